"""Who finds a planted texture: the scores, and the file of metrics that says so.

A change is *found* by networks whose balanced accuracy on held-out nuclei is above .5 by its
interval over groups, as everywhere; each network's threshold is chosen on its validation part.

Strengths are a fixed sequence, strongest first: who does not find one is not asked for weaker ones.
So each is tested at the full level without a correction, and the smallest that is found is wrong
with at most its probability (Maurer, Hothorn & Lehmacher 1995; Westfall & Krishen 2001, J. Stat.
Plan. Inference 99:25).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fathom.statistics.final_network import networks
from fathom.statistics.intervals import (
    Interval,
    Numbers,
    design_of,
    leave_out,
    share_interval,
)
from fathom.statistics.measures import measures_of, seeds_of
from fathom.statistics.scores import read_cells, study_of
from fathom.study.nuclei import read_nuclei
from fathom.study.plateau import constant_loss, left_at
from fathom.study.trained import HISTORY, PREDICTIONS

NUCLEI, RUNS = "nuclei", "runs"  # folders of one strength
CHANCE = 0.5
COUNTS = ("cells", "left", "diverged_cells", "constant_cells")  # fields of `Sought`


@dataclass(frozen=True)
class Sought:
    """One strength that one network was asked for: over all its folds and seeds."""

    network: str
    strength: float
    accuracy: Interval  # balanced, of held-out nuclei
    cells: int  # trained networks, and of these
    left: int  # those that left the plateau,
    diverged_cells: int
    constant_cells: int  # say the same of every nucleus

    @property
    def found(self) -> bool:
        """Whether the change was found."""
        return self.accuracy.low > CHANCE

    @property
    def counts(self) -> dict[str, int]:
        """Return how many networks there are and how they ended, by the names of metrics."""
        return {name: getattr(self, name) for name in COUNTS}


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
        accuracy = share_interval(values, design, confidence)
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


def texture_numbers(sought: Sequence[Sought], wavelength_px: float, confidence: float) -> Numbers:
    """Return the metrics: `<network>.<strength>.<number>`, and `<network>.smallest_found`.

    That is absent of a network that found nothing, and a strength of which a network was not asked.
    """
    numbers: Numbers = {"wavelength_px": wavelength_px, "confidence": confidence}
    for one in sought:
        key = f"{one.network}.{one.strength:g}"
        numbers |= one.accuracy.as_numbers(f"{key}.balanced_accuracy")
        numbers |= {f"{key}.{name}": count for name, count in one.counts.items()}
        numbers |= {f"{key}.found": int(one.found)}
    for network in dict.fromkeys(one.network for one in sought):
        smallest = smallest_found(sought, network)
        if smallest is not None:
            numbers[f"{network}.smallest_found"] = smallest
    return numbers


def sought_of(numbers: Mapping[str, float]) -> tuple[Sought, ...]:
    """Return what `texture_numbers` made numbers of: by network, the strongest first."""
    keys = [key.removesuffix(".found") for key in numbers if key.endswith(".found")]
    sought = []
    for key in keys:
        network, _, strength = key.partition(".")
        ends = (numbers[f"{key}.balanced_accuracy{end}"] for end in ("", "_low", "_high"))
        counts = (int(numbers[f"{key}.{name}"]) for name in COUNTS)
        sought.append(Sought(network, float(strength), Interval(*ends), *counts))
    return tuple(sorted(sought, key=lambda one: (one.network, -one.strength)))


def read_texture(file: Path) -> dict[str, float]:
    """Read the metrics of the stage `texture`."""
    numbers: dict[str, float] = json.loads(file.read_text(encoding="utf-8"))
    return numbers


def smallest_found(sought: Sequence[Sought], network: str) -> float | None:
    """Return the smallest strength that a network found, None where it found none."""
    return min((s.strength for s in sought if s.network == network and s.found), default=None)
