"""Stage `check`: what params.yaml and the tables of both data sets say, before any work."""

from pathlib import Path

import fathom.ground.stage
from fathom.datasets.new_slides import NewSlides, listed_classes, require_known
from fathom.ground.output import written_whole
from fathom.ground.section import read_section
from fathom.imaging.params import Classes, Crop
from fathom.networks.interventions import planned_table
from fathom.networks.recipe import Recipe
from fathom.study.rows import read_architectures, read_controls, read_runs


def check(dataset: Path, new_slides: Path, out: Path) -> None:
    """Plan every row, compare the classes; OUT is the same bytes whenever nothing is wrong."""
    lines, recipe, crop_px = read_architectures(), read_section(Recipe), read_section(Crop).crop_px
    planned_table("runs", read_runs(), lines, recipe, crop_px)
    planned_table("controls", read_controls(), lines, recipe, crop_px)
    read_section(NewSlides)
    if studied := listed_classes(dataset):
        read_section(Classes).require_positive(studied, dataset)
        require_known(new_slides, listed_classes(new_slides), studied, f"the study {dataset}")
    with written_whole(out) as part:
        part.write_text("params.yaml and the data sets' tables fit\n", encoding="utf-8")


if __name__ == "__main__":
    fathom.ground.stage.run(check)
