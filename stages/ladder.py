"""Stage `ladder`: train what decides why a network fails, until it is decided."""

from pathlib import Path

import fathom.ground.stage
from fathom.diagnosis.arm_trainer import ArmTrainer
from fathom.diagnosis.case import Diagnosis
from fathom.diagnosis.diagnosis import read_trained_rows, suspects
from fathom.diagnosis.ladder import climb
from fathom.diagnosis.ladder_file import write_climbed
from fathom.ground.numerics import read_numerics
from fathom.ground.section import read_section
from fathom.networks.recipe import Probes, Recipe
from fathom.study.nuclei import read_nuclei
from fathom.study.rows import read_architectures, read_runs
from fathom.study.splits import Split, read_splits


def ladder(nuclei: Path, splits: Path, runs: Path, cells: Path, out: Path) -> None:
    """Climb a ladder for each network that params name; the store CELLS saves what it can."""
    found, group, lines = read_nuclei(nuclei), read_section(Split).group, read_architectures()
    rows = read_trained_rows(read_runs(), runs, lines, read_section(Recipe), found, group)
    limits, probes = read_section(Diagnosis), read_section(Probes)
    parts, numerics = read_splits(splits, found), read_numerics()
    out.mkdir(parents=True)
    for case in suspects(rows, limits, found.crop_px):
        own = out / case.base.name
        trainer = ArmTrainer(found, parts, probes, numerics, cells, group, own)
        write_climbed(own, climb(case, limits, trainer, print))


if __name__ == "__main__":
    fathom.ground.stage.run(ladder)
