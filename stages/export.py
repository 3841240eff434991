"""Stage `export`: the final model of a run as one ONNX file that scores new slides."""

from pathlib import Path

import fathom.ground.stage
from fathom.datasets.dataset import read_dataset
from fathom.ground.section import read_section
from fathom.imaging.params import Crop, read_segmentation
from fathom.models.abstention import AbstentionLevel
from fathom.models.export import export_run
from fathom.networks.interventions import planned
from fathom.networks.recipe import Recipe
from fathom.study.nuclei import read_nuclei
from fathom.study.rows import read_row
from fathom.study.splits import Split


def export(name: str, dataset: Path, nuclei: Path, trained: Path, metrics: Path, out: Path) -> None:
    """Write `out`, MODEL.onnx, and check that it computes what torch computes."""
    run, line = read_row("runs", name)
    crop = read_section(Crop)
    export_run(
        name,
        planned(run, f"runs.{name}", line, read_section(Recipe), crop.crop_px),
        read_segmentation(),
        crop,
        group=read_section(Split).group,
        confidence=read_section(AbstentionLevel).confidence,
        nuclei=read_nuclei(nuclei),
        images=read_dataset(dataset).images,
        trained=trained,
        metrics=metrics,
        out=out,
    )


if __name__ == "__main__":
    fathom.ground.stage.run(export)
