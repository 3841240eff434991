"""Stage `report`: the study as one page for people, and the small tables it is written from."""

from pathlib import Path

import fathom.ground.stage
from fathom.diagnosis.case import Diagnosis
from fathom.ground.section import read_section
from fathom.networks.recipe import Recipe
from fathom.page.content import read_content
from fathom.page.gather import Asked, Places, gather
from fathom.page.page import write_page
from fathom.statistics.params import Comparison
from fathom.study.rows import read_architectures, read_runs
from fathom.study.splits import Split


def report(
    dataset: Path,
    labels: Path,
    nuclei: Path,
    splits: Path,
    audit: Path,
    baseline: Path,
    runs: Path,
    ladders: Path,
    new_slides: Path,
    metrics: Path,
    plots: Path,
    verdicts: Path,
    tables: Path,
    page: Path,
) -> None:
    """Write TABLES, which git keeps, and PAGE from them; `fathom report` writes the same page."""
    recipe, limits, group = read_section(Recipe), read_section(Diagnosis), read_section(Split).group
    confidence = read_section(Comparison).confidence
    asked = Asked(read_runs(), read_architectures(), recipe, limits, group, confidence)
    places = Places(dataset, labels, nuclei, splits, audit, baseline, runs, ladders, new_slides)
    gather(places, asked, tables)
    write_page(read_content(metrics, plots, verdicts, tables), page)


if __name__ == "__main__":
    fathom.ground.stage.run(report)
