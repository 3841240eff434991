"""Stage `split_acquisitions`: folds that leave out one acquisition each, for networks."""

from pathlib import Path

import fathom.ground.stage
from fathom.controls.acquisition import read_pairs, write_acquisition_splits
from fathom.controls.params import Shortcuts
from fathom.ground.section import read_section
from fathom.study.nuclei import read_nuclei
from fathom.study.splits import Split


def split_acquisitions(nuclei: Path, splits: Path, out: Path) -> None:
    """Write splits and certificate as the stage `split` does, with its duplicates."""
    write_acquisition_splits(
        read_nuclei(nuclei),
        read_section(Split),
        read_section(Shortcuts),
        read_pairs(splits),
        out,
    )


if __name__ == "__main__":
    fathom.ground.stage.run(split_acquisitions)
