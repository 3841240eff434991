"""Stage `export`: the final model of a run as one ONNX file that scores new slides."""

from pathlib import Path

from fathom.dataset import read_dataset
from fathom.export import export_run
from fathom.nuclei import read_nuclei
from fathom.params import Crop, Recipe, Segmentation, read_run, read_section
from fathom.stage import run_stage


def export(name: str, dataset: Path, nuclei: Path, trained: Path, metrics: Path, out: Path) -> None:
    """Write `out`, MODEL.onnx, and check that it computes what torch computes."""
    run, line = read_run(name)
    export_run(
        name,
        line,
        run.recipe(read_section(Recipe), name),
        read_section(Segmentation),
        read_section(Crop),
        nuclei=read_nuclei(nuclei),
        images=read_dataset(dataset).images,
        trained=trained,
        metrics=metrics,
        out=out,
    )


if __name__ == "__main__":
    run_stage(export)
