"""Stage `score_across`: a run on acquisitions that it was not trained on, beside its folds."""

from pathlib import Path

import fathom.ground.stage
from fathom.controls.controls import score_across as scored
from fathom.controls.params import Shortcuts
from fathom.ground.output import write_metrics
from fathom.ground.section import read_section
from fathom.statistics.params import Comparison
from fathom.study.nuclei import read_nuclei
from fathom.study.splits import Split


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
