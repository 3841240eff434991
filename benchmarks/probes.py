"""What the probes cost: the time of a training with them over the time without.

    OMP_NUM_THREADS=1 python benchmarks/probes.py [--epochs 40] [--rounds 5]

Fold 0 of VGG-13/8 under the default recipe, on simulated nuclei (docs/simulator.md), as many as the
default study trains on. Both sides in turn in each round; the time is that of the processor.
"""

import argparse
import statistics
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from fathom.networks.families import reduced_vgg
from fathom.params.recipe import Probes, Recipe
from fathom.params.section import read_section
from fathom.simulation.simulated_nuclei import simulate_nuclei
from fathom.simulation.simulation import DEFAULT
from fathom.training.cell import Cell
from fathom.training.training import train_cell

PARAMS = Path(__file__).parents[1] / "params.yaml"
TRAIN, VALIDATION = 1100, 280


class Forgetful:
    """A checkpoint that keeps nothing: writing one is no part of what is compared."""

    def load(self):
        return None

    def save(self, state):
        pass


def main() -> None:
    """Print the median ratio and its range."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    nuclei = simulate_nuclei(replace(DEFAULT, patients=10, nuclei_per_patient=138), seed=0)
    positive = nuclei.table["positive"].to_numpy(dtype=bool)
    rows = {"train": np.arange(TRAIN), "validation": np.arange(TRAIN, TRAIN + VALIDATION)}
    recipe = read_section(Recipe, PARAMS).changed({"epochs": arguments.epochs}, "benchmark")
    bare = Cell("vgg-13", 0, 0, reduced_vgg("B", 8), recipe, rows)
    probed = replace(bare, probes=read_section(Probes, PARAMS))
    ratios = []
    for _ in range(arguments.rounds):
        seconds = []
        for cell in (bare, probed):
            began = time.process_time()
            train_cell(nuclei.crops, positive, cell, Forgetful(), lambda _: None)
            seconds.append(time.process_time() - began)
        ratios.append(seconds[1] / seconds[0])
        print(f"{seconds[0]:.1f} s without, {seconds[1]:.1f} s with: {ratios[-1]:.3f}", flush=True)
    print(f"median {statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}")


if __name__ == "__main__":
    main()
