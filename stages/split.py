"""Stage `split`: outer folds and inner validation parts, groups whole, classes balanced."""

from pathlib import Path

import fathom.ground.stage
from fathom.ground.section import read_section
from fathom.splitting.folds import write_splits
from fathom.study.duplicates import read_duplicates
from fathom.study.nuclei import read_nuclei
from fathom.study.splits import Split


def split(nuclei: Path, audit: Path, out: Path) -> None:
    """Write splits.parquet and the certificate of what was checked."""
    found = read_nuclei(nuclei)
    write_splits(found, read_section(Split), out, read_duplicates(audit, found))


if __name__ == "__main__":
    fathom.ground.stage.run(split)
