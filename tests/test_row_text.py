"""A rate at which every network diverges, from training to a scored slide: one status."""

import json
from pathlib import Path

import pandas as pd
import pytest
from conftest import write_simulated_dataset
from made_splits import make_splits
from tiny_model import PARAMS, RECIPE

from fathom.datasets.dataset import read_dataset
from fathom.ground.errors import FathomError, ModelError
from fathom.imaging.crop_dataset import crop_dataset
from fathom.imaging.params import Classes, Crop, Segmentation
from fathom.imaging.segment_dataset import segment_dataset
from fathom.models.best_run import best_run
from fathom.models.export import export_run
from fathom.networks.architecture import parse
from fathom.networks.architecture_cost import weight_layers
from fathom.networks.interventions import Plan
from fathom.networks.recipe import Probes
from fathom.scoring.predict import predict_slides
from fathom.statistics.comparison import compare, write_comparison
from fathom.statistics.final_network import networks, with_final_networks
from fathom.statistics.params import Comparison
from fathom.statistics.row_text import mark
from fathom.statistics.scores import read_cells, study_of
from fathom.study.nuclei import read_nuclei
from fathom.study.splits import Split
from fathom.training.trained_rows import cells_of, train_rows

pytestmark = pytest.mark.long  # two runs are trained, compared and exported
LINE = "4conv3x3 - mp2x2 - gap - o"
SEGMENTATION = Segmentation.model_validate(PARAMS["segmentation"])
CROP = Crop.model_validate({**PARAMS["crop"], "crop_px": 32})
SPLIT = Split(group="slide", folds=2, validation_share=0.5, seed=0)
CALM = RECIPE.model_copy(update={"epochs": 1, "batch_size": 16, "norm": "none", "seeds": (0,)})
PLANS = {
    "wild": Plan(LINE, CALM.model_copy(update={"learning_rate": 1e30, "optimiser": "sgd"})),
    "calm": Plan(LINE, CALM),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return the folder of a tiny study of two runs: trained, compared, exported."""
    folder = tmp_path_factory.mktemp("project")
    write_simulated_dataset(folder / "mine")
    dataset = read_dataset(folder / "mine")
    segment_dataset(dataset, SEGMENTATION, folder / "labels")
    crop_dataset(dataset, folder / "labels", Classes(positive="ill"), CROP, folder / "nuclei")
    nuclei = read_nuclei(folder / "nuclei")
    splits, probes = make_splits(nuclei, SPLIT), Probes(crops=8, epochs=(1,))
    rows = {
        folder / "runs" / name: (cells_of(name, plan, probes, nuclei, splits, final=True), nuclei)
        for name, plan in PLANS.items()
    }
    train_rows(rows, "portable", folder / "cells")

    study = study_of(nuclei, "slide")
    everyone = {
        name: read_cells(folder / "runs" / name / "predictions.parquet", study) for name in PLANS
    }
    everyone["baseline-forest"] = everyone["calm"]
    depths = dict.fromkeys(PLANS, weight_layers(parse(LINE)))
    found = compare(everyone, study, depths, Comparison(confidence=0.95, baseline="forest"))
    results = with_final_networks(found, PLANS, folder / "runs", study)
    write_comparison(folder / "metrics", folder / "summary.json", results)
    for name, plan in PLANS.items():
        export_run(
            name,
            plan,
            SEGMENTATION,
            CROP,
            group="slide",
            confidence=0.9,
            nuclei=nuclei,
            images=dataset.images,
            trained=folder / "runs" / name,
            metrics=folder / "metrics" / f"{name}.json",
            out=folder / "models" / f"{name}.onnx",
        )
    return folder


def metrics_of(project: Path, name: str) -> dict[str, float]:
    found: dict[str, float] = json.loads((project / "metrics" / f"{name}.json").read_text())
    return found


def test_every_network_of_the_run_is_said_to_have_diverged(project):
    assert networks(project / "runs" / "wild")["diverged"].tolist() == [True, True, True]
    assert not networks(project / "runs" / "calm")["diverged"].any()


def test_metrics_and_summary_mark_it(project):
    wild, calm = metrics_of(project, "wild"), metrics_of(project, "calm")
    assert (wild["diverged_cells"], wild["final_diverged"], mark(wild)) == (2, 1, "†‡")
    assert (calm["diverged_cells"], calm["final_diverged"]) == (0, 0)
    short = json.loads((project / "summary.json").read_text())
    assert short["wild.failed_networks"] == 3
    assert not any("calm.failed" in key for key in short)


def test_it_is_exported_never_chosen_and_scores_only_when_it_is_forced(project, tmp_path):
    assert best_run(project / "metrics", list(PLANS)) == "calm"
    with pytest.raises(FathomError, match="wild diverged"):
        best_run(project / "metrics", ["wild"])
    model, slide = project / "models" / "wild.onnx", project / "mine" / "images" / "field00.tif"
    with pytest.raises(ModelError, match=r"wild\.onnx: the network diverged"):
        predict_slides(model, [slide], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    predict_slides(model, [slide], tmp_path / "out", force=True)
    assert pd.read_csv(tmp_path / "out" / "summary.csv")["scored"].item() > 0
