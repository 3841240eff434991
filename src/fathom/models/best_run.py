"""Which of the runs is the one to use."""

import json
from collections.abc import Sequence
from pathlib import Path

from fathom.ground.errors import FathomError


def best_run(metrics: Path, runs: Sequence[str]) -> str:
    """Return the run with the highest balanced accuracy on the validation parts; ties: the first.

    `metrics` is the folder of `<run>.json`. Test parts have no say: they report, they never choose.
    """
    measured = []
    for run in runs:
        path = metrics / f"{run}.json"
        if not path.is_file():
            raise FathomError(f"{path} is missing: run the stage 'compare' first")
        numbers = json.loads(path.read_text(encoding="utf-8"))
        measured.append(float(numbers["validation_balanced_accuracy"]))
    return runs[measured.index(max(measured))]
