"""What the probes cost: their share of the time of a training.

    python benchmarks/probes.py [--networks shallow vgg-13] [--epochs 40] [--rounds 3]

A fold of rows of `runs:`, lines and recipe those of params.yaml (its epochs too, unless others are
given), on simulated nuclei (docs/simulator.md), as many as the default study trains on. One thread;
the time is that of the processor, of the probes by a clock around them: the difference of two
trainings, with probes and without, is smaller than what other processes make of it.
"""

import fathom.ground.stage  # noqa: F401  first: it chooses the instruction sets  # isort: skip

import argparse
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np

from fathom.ground.section import read_section
from fathom.networks.interventions import planned
from fathom.networks.recipe import Probes, Recipe
from fathom.simulation.simulated_nuclei import simulate_nuclei
from fathom.simulation.simulation import DEFAULT
from fathom.study.rows import read_architectures, read_runs
from fathom.training.cell import Cell, Shown
from fathom.training.probing import Prober
from fathom.training.training import _Training, train_cell

PARAMS = Path(__file__).parents[1] / "params.yaml"
TRAIN, VALIDATION = 1100, 280


class Forgetful:
    """A checkpoint that keeps nothing: writing one is no part of what is compared."""

    def load(self):
        return None

    def save(self, state):
        pass


@contextmanager
def clocked(seconds: list[float]) -> Iterator[None]:
    """Add the time of everything that probes to `seconds` while the context lasts."""

    def around(function):
        def run(*arguments, **named):
            began = time.process_time()
            try:
                return function(*arguments, **named)
            finally:
                seconds.append(time.process_time() - began)

        return run

    with ExitStack() as stack:
        for name in ("probe", "before_step", "after_step"):
            stack.enter_context(patch.object(Prober, name, around(getattr(Prober, name))))
        stack.enter_context(patch.object(_Training, "_readability", around(_Training._readability)))
        yield


def share(cell: Cell, shown: Shown) -> float:
    """Return what the probes take of a cell's time."""
    seconds: list[float] = []
    with clocked(seconds):
        began = time.process_time()
        train_cell(shown, cell, Forgetful(), lambda _: None)
        taken = time.process_time() - began
    print(f"{cell.run}: {sum(seconds):.2f} s of {taken:.1f} s", flush=True)
    return sum(seconds) / taken


def main() -> None:
    """Print the probes' share of each network's training, its median and range."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=["shallow", "vgg-13"])
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    nuclei = simulate_nuclei(replace(DEFAULT, patients=10, nuclei_per_patient=138), seed=0)
    shown = Shown(nuclei.crops, nuclei.table["positive"].to_numpy(dtype=bool))
    rows = {"train": np.arange(TRAIN), "validation": np.arange(TRAIN, TRAIN + VALIDATION)}
    runs, lines = read_runs(PARAMS), read_architectures(PARAMS)
    for name in arguments.networks:
        line = lines[runs[name].architecture]
        plan = planned(runs[name], name, line, read_section(Recipe, PARAMS), nuclei.crops.shape[1])
        epochs = arguments.epochs or plan.recipe.epochs
        recipe = plan.recipe.changed({"epochs": epochs}, "benchmark")
        cell = Cell(name, 0, 0, plan.line, recipe, rows, read_section(Probes, PARAMS))
        found = [share(cell, shown) for _ in range(arguments.rounds)]
        print(
            f"{name}, {epochs} epochs: the probes take {statistics.median(found):.1%} of the time, "
            f"{min(found):.1%} to {max(found):.1%}, n = {len(found)}"
        )


if __name__ == "__main__":
    main()
