"""Stage `predict`: the new slides, scored with the model of the run that is best by validation."""

from pathlib import Path

import fathom.ground.stage
from fathom.audit.params import Audit
from fathom.datasets.dataset import read_dataset
from fathom.datasets.new_slides import NewSlides
from fathom.ground.output import write_metrics
from fathom.ground.section import read_section
from fathom.models.best_run import best_run
from fathom.models.onnx_model import OnnxModel
from fathom.scoring.external_validation import audit_new_slides, score_dataset, validation_metrics
from fathom.statistics.params import Comparison
from fathom.study.rows import read_runs


def predict(new_slides: Path, models: Path, runs: Path, out: Path, metrics: Path) -> None:
    """Write what `fathom predict` writes, and how well the model does where labels are known."""
    best = best_run(runs, list(read_runs()))
    assumed = read_section(NewSlides).assumed_um_per_px
    model = OnnxModel(models / f"{best}.onnx")
    dataset = read_dataset(new_slides, require_labels=False)
    scored = score_dataset(model, dataset, assumed, out)
    found = audit_new_slides(scored, dataset, read_section(Audit))
    (out / "best_run.txt").write_text(f"{best}\n", encoding="utf-8")
    numbers = validation_metrics(scored, model.card, read_section(Comparison))
    write_metrics(metrics, numbers)
    for sentence in found:
        print(sentence)
    print(f"new slides were scored with '{best}', the best run by validation")
    if count := numbers.get("images_um_per_px_assumed"):
        print(f"{count} of {numbers['images']} images were assumed to have {assumed} um per px")


if __name__ == "__main__":
    fathom.ground.stage.run(predict)
