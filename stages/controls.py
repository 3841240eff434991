"""Stage `controls`: what tells the label and should not, beside everyone's score."""

from pathlib import Path

import fathom.ground.stage
from fathom.controls.controls import PredictionPaths, Rows, score_controls
from fathom.controls.params import Shortcuts
from fathom.ground.output import write_metrics
from fathom.ground.section import read_section
from fathom.statistics.params import Comparison
from fathom.study.nuclei import read_nuclei
from fathom.study.rows import read_controls, read_runs
from fathom.study.splits import Split


def controls(
    nuclei: Path,
    baseline: Path,
    runs: Path,
    label_pixels: Path,
    control_classifiers: Path,
    control_runs: Path,
    metrics: Path,
) -> None:
    """Write the numbers of all controls; `fathom table` prints them."""
    numbers = score_controls(
        read_nuclei(nuclei),
        read_section(Split).group,
        Rows(read_runs(), read_controls()),
        PredictionPaths(runs, baseline, control_runs, control_classifiers, label_pixels),
        read_section(Comparison),
        read_section(Shortcuts),
    )
    write_metrics(metrics, numbers)


if __name__ == "__main__":
    fathom.ground.stage.run(controls)
