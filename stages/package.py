"""Stage `package`: the best model, by validation, as the model registry hands it out."""

import shutil
from pathlib import Path

import fathom.ground.stage
from fathom.ground.output import written_whole
from fathom.ground.section import read_section
from fathom.models.best_run import best_run
from fathom.packaging.description import Package
from fathom.packaging.package import write_model_card, write_package
from fathom.study.nuclei import read_nuclei
from fathom.study.rows import read_runs


def package(models: Path, runs: Path, nuclei: Path, onnx: Path, zipped: Path, card: Path) -> None:
    """Write the model file `onnx`, its bioimage.io package `zipped` and its `card` in Markdown."""
    model = models / f"{best_run(runs, list(read_runs()))}.onnx"
    write_package(model, zipped, read_section(Package), read_nuclei(nuclei))
    write_model_card(model, card)
    with written_whole(onnx) as part:
        shutil.copyfile(model, part)


if __name__ == "__main__":
    fathom.ground.stage.run(package)
