"""Stage `split`: outer folds and inner validation parts, groups whole, classes balanced."""

from pathlib import Path

from fathom.imaging.nuclei import read_nuclei
from fathom.params.data import Split
from fathom.params.section import read_section
from fathom.splitting.folds import write_splits
from fathom.stage import run_stage


def split(nuclei: Path, out: Path) -> None:
    """Write splits.parquet and the certificate of what was checked."""
    write_splits(read_nuclei(nuclei), read_section(Split), out)


if __name__ == "__main__":
    run_stage(split)
