"""Who finds a planted texture: the scores of each network and strength.

Each network's threshold is chosen on its validation part; `fathom.texture.found` says what counts
as found.

Strengths are a fixed sequence, strongest first: who does not find one is not asked for weaker ones.
So each is tested at the full level without a correction, and the smallest that is found is wrong
with at most its probability (Maurer, Hothorn & Lehmacher 1995; Westfall & Krishen 2001, J. Stat.
Plan. Inference 99:25).
"""

from pathlib import Path

import pandas as pd

from fathom.statistics.final_network import networks
from fathom.statistics.intervals import design_of, leave_out, share_interval
from fathom.statistics.measures import measures_of, seeds_of
from fathom.statistics.scores import read_cells, study_of
from fathom.study.nuclei import read_nuclei
from fathom.study.plateau import constant_loss, left_at
from fathom.study.trained import HISTORY, PREDICTIONS
from fathom.texture.found import Accuracy, Sought

NUCLEI, RUNS = "nuclei", "runs"  # folders of one strength


def strength_folder(folder: Path, strength: float) -> Path:
    """Return where a strength's nuclei and runs lie."""
    return folder / f"{strength:g}"


def score_strength(
    folder: Path, strength: float, group: str, confidence: float
) -> tuple[Sought, ...]:
    """Return what each network came to at one strength, by name; none where nobody was asked.

    `group` is the column of the nuclei's table over which intervals are.
    """
    here = strength_folder(folder, strength)
    if not here.is_dir():
        return ()
    study = study_of(read_nuclei(here / NUCLEI), group)
    found = []
    for run in sorted((here / RUNS).iterdir()):
        cells = read_cells(run / PREDICTIONS, study)
        design = design_of(study.positive, study.group, study.groups, seeds_of([cells]))
        values = measures_of(cells, leave_out(design))["balanced_accuracy"]
        interval = share_interval(values, design, confidence)
        accuracy = Accuracy(interval.estimate, interval.low, interval.high)
        ended = networks(run)
        failed = int(ended["diverged"].sum()), int(ended["constant"].sum())
        found.append(Sought(run.name, strength, accuracy, len(ended), _left(run), *failed))
    return tuple(found)


def _left(run: Path) -> int:
    """Return how many of a run's networks left the plateau."""
    history = pd.read_parquet(run / HISTORY, columns=["fold", "seed", "epoch", "train_loss"])
    constant = constant_loss(0.5, "none")  # training parts are balanced, whatever weighs the loss
    return sum(
        left_at(one.sort_values("epoch")["train_loss"].tolist(), constant) is not None
        for _, one in history.groupby(["fold", "seed"])
    )
