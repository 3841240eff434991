"""That the audit finds the published copy in the default data, were it left in.

    python benchmarks/published_copy.py .downloads/mnfinder-1.2.3-py3-none-any.whl

Measures the 49 micrographs of the wheel, the one that `fetch` leaves out among them, and prints
every pair of images that shows one field.
"""

import sys
import tempfile
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd

from fathom.audit.image_checks import audit_images
from fathom.audit.image_traits import image_traits
from fathom.images import read_micrograph
from fathom.params.audit import Audit
from fathom.params.section import read_section


def main(wheel: Path) -> None:
    """Unpack the micrographs, audit them, and print the near-duplicates."""
    with tempfile.TemporaryDirectory() as name, ZipFile(wheel) as archive:
        folder = Path(name)
        names = sorted(n for n in archive.namelist() if "/images/" in n and n.endswith(".tif"))
        archive.extractall(folder, names)
        images = pd.DataFrame({"image": names, "patient": [n.split("/")[2] for n in names]})
        traits = image_traits(folder, names)
        found = audit_images(traits, images, read_section(Audit))
        copies = [one for one in found if one.check.startswith("duplicate_images")]
        print(f"{len(names)} micrographs, {len(copies)} pair(s) that show one field")
        for one in copies:
            first, second = (read_micrograph(folder / row) for row in one.rows)
            same = "pixel for pixel" if np.array_equal(first, second) else "not pixel for pixel"
            print(f"{one.name}\n  {one.what}; {same}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
