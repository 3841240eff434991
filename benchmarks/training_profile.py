"""Where the time of an epoch goes: torch's operators by their own time, one network, one thread.

    python benchmarks/training_profile.py [shallow|vgg-13|...] [--nuclei data/nuclei]

Profiles an epoch of 1,088 of the study's nuclei after two that warm up, under the numerics of
params.yaml, without validation and probes.
"""

from pathlib import Path
from typing import Annotated

import fathom.ground.stage  # first: it chooses the instruction sets, before torch is loaded  # isort: skip

import numpy as np
import typer
from torch.profiler import ProfilerActivity, profile

from fathom.study.nuclei import read_nuclei
from fathom.networks.recipe import Recipe
from fathom.study.rows import read_row
from fathom.ground.section import read_section
from fathom.training.cell import Cell, Shown
from fathom.training.determinism import reproducible
from fathom.networks.interventions import planned
from fathom.training.training import _device, _Training

TRAINED_ON = 1088
SHOWN = 14  # operators


def main(
    run: Annotated[str, typer.Argument(help="A row of `runs` in params.yaml.")] = "shallow",
    nuclei: Path = Path("data/nuclei"),
) -> None:
    """Print milliseconds a batch of 64 and the share of the whole, by operator."""
    found = read_nuclei(nuclei)
    row, line = read_row("runs", run)
    plan = planned(row, f"runs.{run}", line, read_section(Recipe), found.crop_px)
    rows = {"train": np.arange(TRAINED_ON), "validation": np.arange(TRAINED_ON, len(found.kept))}
    shown = Shown(found.crops()[:], found.kept["positive"].to_numpy(dtype=np.bool_))
    with reproducible("portable"):
        training = _Training(
            shown, Cell(run, 0, 0, plan.line, plan.recipe, rows), _device("portable")
        )
        for epoch in (1, 2):
            training._train(epoch)
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            training._train(3)
    averages = profiled.key_averages()
    whole = sum(one.self_cpu_time_total for one in averages)
    batches = TRAINED_ON / plan.recipe.batch_size
    print(f"{run}: {whole / 1e3 / batches:.1f} ms a batch in torch's operators")
    for one in sorted(averages, key=lambda one: -one.self_cpu_time_total)[:SHOWN]:
        share = one.self_cpu_time_total / whole
        print(f"{one.key[:50]:<50} {one.self_cpu_time_total / 1e3 / batches:8.2f} ms {share:6.1%}")


if __name__ == "__main__":
    fathom.ground.stage.run(main)
