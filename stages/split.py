"""Stage `split`: outer folds and inner validation parts, groups whole, classes balanced."""

from pathlib import Path

import fathom.ground.stage
from fathom.audit.duplicate_table import read_duplicates
from fathom.ground.section import read_section
from fathom.imaging.nuclei import read_nuclei
from fathom.params.data import Split
from fathom.splitting.folds import write_splits


def split(nuclei: Path, audit: Path, out: Path) -> None:
    """Write splits.parquet and the certificate of what was checked."""
    found = read_nuclei(nuclei)
    write_splits(found, read_section(Split), out, read_duplicates(audit, found))


if __name__ == "__main__":
    fathom.ground.stage.run(split)
