"""That the audit finds the published copy in the default data, were it left in.

    python benchmarks/published_copy.py .downloads/mnfinder-1.2.3-py3-none-any.whl [docs/audit]

Audits the 49 micrographs of the wheel, the one that `fetch` leaves out among them, prints every
pair of images that shows one field, and draws them into the folder.
"""

import sys
import tempfile
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd

from fathom.audit.image_audit import audit_image_files
from fathom.audit.params import Audit
from fathom.audit.pictures import draw_images
from fathom.ground.images import read_micrograph
from fathom.ground.section import read_section


def main(wheel: Path, pictures: Path | None) -> None:
    """Unpack the micrographs, audit them, and print the near-duplicates."""
    with tempfile.TemporaryDirectory() as name, ZipFile(wheel) as archive:
        folder = Path(name)
        names = sorted(n for n in archive.namelist() if "/images/" in n and n.endswith(".tif"))
        for number, entry in enumerate(names):  # not by its own path, which may lead anywhere
            (folder / f"{number}.tif").write_bytes(archive.read(entry))
        patients = [n.split("/")[2] for n in names]
        files = [f"{number}.tif" for number in range(len(names))]
        images = pd.DataFrame({"image": files, "patient": patients})
        images.to_csv(folder / "images.csv", index=False)
        found = audit_image_files(folder, read_section(Audit)).findings
        copies = found[found["check"].str.startswith("duplicate_images")]
        print(f"{len(names)} micrographs, {len(copies)} pair(s) that show one field")
        for one in copies.to_dict("records"):
            first, second = (read_micrograph(folder / row) for row in one["rows"])
            same = "pixel for pixel" if np.array_equal(first, second) else "not pixel for pixel"
            print(f"{one['severity']} {one['name']}\n  {one['what']}; {same}")
        print(found["check"].value_counts().to_string())
        if pictures:
            draw_images(pictures, copies, folder)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) == 3 else None)
