"""Stage `texture_runs`: networks that look for textures planted into the study's own nuclei."""

from pathlib import Path

import fathom.ground.stage
from fathom.diagnosis.case import Diagnosis
from fathom.diagnosis.diagnosis import read_trained_rows
from fathom.ground.numerics import read_numerics
from fathom.ground.section import read_section
from fathom.networks.recipe import Probes, Recipe
from fathom.statistics.params import Comparison
from fathom.study.nuclei import read_nuclei
from fathom.study.rows import read_architectures, read_runs
from fathom.study.splits import Split, read_splits
from fathom.texture.params import Texture
from fathom.texture.texture_networks import Search, asked_networks


def texture_runs(
    nuclei: Path, splits: Path, runs: Path, ladders: Path, cells: Path, out: Path
) -> None:
    """Train the question's networks on drawn labels, from the strongest texture to the weakest."""
    found, split, lines = read_nuclei(nuclei), read_section(Split), read_architectures()
    rows = read_trained_rows(read_runs(), runs, lines, read_section(Recipe), found, split.group)
    networks = asked_networks(rows, ladders, found, split.group, read_section(Diagnosis))
    search = Search(
        found,
        read_splits(splits, found),
        splits,
        split,
        read_section(Texture),
        read_section(Probes),
        read_numerics(),
        cells,
        read_section(Comparison).confidence,
    )
    search.run(networks, out)


if __name__ == "__main__":
    fathom.ground.stage.run(texture_runs)
