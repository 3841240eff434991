"""What each network found of a planted texture: the numbers of metrics/texture.json, and back.

A change is *found* by networks whose balanced accuracy on held-out nuclei is above .5 by its
interval over groups, as everywhere. Imports little: `fathom table` reads it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

CHANCE = 0.5
COUNTS = ("cells", "left", "diverged_cells", "constant_cells")  # fields of `Sought`


class Accuracy(NamedTuple):
    """A balanced accuracy and the ends of its interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Sought:
    """One strength that one network was asked for: over all its folds and seeds."""

    network: str
    strength: float
    accuracy: Accuracy  # of held-out nuclei
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


def texture_numbers(
    sought: Sequence[Sought], wavelength_px: float, confidence: float
) -> dict[str, float]:
    """Return the metrics: `<network>.<strength>.<number>`, and `<network>.smallest_found`.

    That is absent of a network that found nothing, and a strength of which a network was not asked.
    """
    numbers: dict[str, float] = {"wavelength_px": wavelength_px, "confidence": confidence}
    for one in sought:
        key = f"{one.network}.{one.strength:g}"
        ends = zip(("", "_low", "_high"), one.accuracy, strict=True)
        numbers |= {f"{key}.balanced_accuracy{end}": value for end, value in ends}
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
        sought.append(Sought(network, float(strength), Accuracy(*ends), *counts))
    return tuple(sorted(sought, key=lambda one: (one.network, -one.strength)))


def read_texture(file: Path) -> dict[str, float]:
    """Read the metrics of the stage `texture`."""
    numbers: dict[str, float] = json.loads(file.read_text(encoding="utf-8"))
    return numbers


def smallest_found(sought: Sequence[Sought], network: str) -> float | None:
    """Return the smallest strength that a network found, None where it found none."""
    return min((s.strength for s in sought if s.network == network and s.found), default=None)
