"""Stage `score_across`: a run on acquisitions that it was not trained on, beside its folds."""

from pathlib import Path

import fathom.ground.stage
from fathom.controls.controls import score_across as scored
from fathom.ground.output import write_metrics
from fathom.ground.section import read_section
from fathom.imaging.nuclei import read_nuclei
from fathom.params.comparison import Comparison
from fathom.params.data import Split
from fathom.params.shortcuts import Shortcuts


def score_across(name: str, nuclei: Path, run: Path, across: Path, metrics: Path) -> None:
    """Write the balanced accuracy of the run NAME within, across and as the folds have it."""
    numbers = scored(
        name,
        read_nuclei(nuclei),
        read_section(Split).group,
        run,
        across,
        read_section(Shortcuts).acquisition,
        read_section(Comparison).confidence,
    )
    write_metrics(metrics, numbers)


if __name__ == "__main__":
    fathom.ground.stage.run(score_across)
