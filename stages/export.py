"""Stage `export`: the final model of a run as one ONNX file that scores new slides."""

from pathlib import Path

import fathom.ground.stage
from fathom.datasets.dataset import read_dataset
from fathom.ground.section import read_section
from fathom.imaging.nuclei import read_nuclei
from fathom.params.abstention import AbstentionLevel
from fathom.params.data import Crop, Split
from fathom.params.recipe import Recipe
from fathom.params.runs import read_row
from fathom.params.segmenter import read_segmentation
from fathom.scoring.export import export_run
from fathom.training.interventions import planned


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
