"""Stage `predict`: the new slides, scored with the model of the run that is best by validation."""

from pathlib import Path

import fathom.ground.stage
from fathom.datasets.dataset import read_dataset
from fathom.ground.output import write_metrics
from fathom.ground.section import read_section
from fathom.models.best_run import best_run
from fathom.models.onnx_model import OnnxModel
from fathom.scoring.new_slides import score_dataset, travel
from fathom.statistics.params import Comparison
from fathom.study.rows import read_runs


def predict(new_slides: Path, models: Path, runs: Path, out: Path, metrics: Path) -> None:
    """Write what `fathom predict` writes, and how well the model travels where labels are known."""
    best = best_run(runs, list(read_runs()))
    dataset = read_dataset(new_slides, require_labels=False)
    model = OnnxModel(models / f"{best}.onnx")
    table = score_dataset(model, dataset, out)
    (out / "best_run.txt").write_text(f"{best}\n", encoding="utf-8")
    write_metrics(metrics, travel(table, len(dataset.images), model.card, read_section(Comparison)))
    print(f"new slides were scored with '{best}', the best run by validation")


if __name__ == "__main__":
    fathom.ground.stage.run(predict)
