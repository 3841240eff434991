"""Stage `audit_images`: what is wrong with the images, before anything refuses to read them."""

from pathlib import Path

import fathom.ground.stage
from fathom.audit.findings import refuse_errors
from fathom.audit.image_audit import audit_image_files, write_image_audit
from fathom.audit.params import Audit
from fathom.ground.image_store import open_store
from fathom.ground.section import read_section


def audit_images(dataset: Path, store: Path, out: Path) -> None:
    """Write the findings, their pictures and the traits of images; stop at an error not waived."""
    found = audit_image_files(dataset, read_section(Audit), open_store(store))
    write_image_audit(out, dataset, found)
    refuse_errors(found.findings, out)


if __name__ == "__main__":
    fathom.ground.stage.run(audit_images)
