import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from audit_params import audit_params
from sklearn.metrics import balanced_accuracy_score, recall_score, roc_auc_score
from tiny_model import PARAMS, make_card, write_model

from fathom.datasets.dataset import read_dataset
from fathom.ground.errors import FathomError
from fathom.ground.images import read_micrograph, write_labels
from fathom.imaging.annotations import account_of_annotations
from fathom.imaging.params import Segmentation
from fathom.imaging.segmentation import segment
from fathom.models.onnx_model import OnnxModel
from fathom.scoring.external_validation import (
    audit_new_slides,
    score_dataset,
    validation_metrics,
)
from fathom.statistics.params import Comparison
from fathom.study.accounts import ANNOTATION_COUNTS, READINGS

SLIDES = 8  # of the simulated data set
SEGMENTATION = Segmentation.model_validate(PARAMS["segmentation"])
COMPARISON = Comparison.model_validate(PARAMS["comparison"])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return OnnxModel(write_model(tmp_path_factory.mktemp("model") / "tiny.onnx", um_per_px=None))


@pytest.fixture(scope="module")
def scored(model, simulated_dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("scored")
    dataset = read_dataset(simulated_dataset, require_labels=False)
    return score_dataset(model, dataset, None, out), out


def test_every_image_gets_its_files_and_its_row(scored):
    _, out = scored
    stems = [f"field{number:02d}" for number in range(SLIDES)]
    expected = {f"{stem}.{kind}" for stem in stems for kind in ("geojson", "parquet", "png")}
    assert {path.name for path in out.iterdir()} == expected | {"summary.csv"}
    summary = pd.read_csv(out / "summary.csv")
    assert summary["image"].tolist() == [f"images/{stem}.tif" for stem in stems]


def test_the_annotated_classes_are_found_again(scored, simulated_dataset):
    table = scored[0].nuclei
    annotations = pd.read_csv(simulated_dataset / "annotations.csv")
    for row in table[table["left_out"] == ""].itertuples():
        inside = annotations[
            (annotations["image"] == row.image)
            & annotations["x"].between(row.left, row.right)
            & annotations["y"].between(row.top, row.bottom)
        ]
        assert row.label in set(inside["label"])
        assert row.slide == f"s{int(row.image[-6:-4])}"


def test_the_numbers_are_those_of_scikit_learn(scored):
    table = scored[0].nuclei
    # A threshold in the middle of this untrained network's probabilities, so that both occur.
    card = make_card(threshold=float(table["probability"].median()))
    numbers = validation_metrics(scored[0], card, COMPARISON)
    known = table[table["label"].notna() & table["probability"].notna()]
    truth = (known["label"] == "ill").to_numpy()
    decided = (known["probability"] >= card.threshold).to_numpy()
    assert numbers["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, decided))
    assert numbers["auroc"] == pytest.approx(roc_auc_score(truth, known["probability"]))
    assert numbers["sensitivity"] == pytest.approx(recall_score(truth, decided))
    assert numbers["specificity"] == pytest.approx(recall_score(~truth, ~decided))
    assert numbers["images"] == numbers["labelled_slides"] == SLIDES
    assert numbers["labelled"] == len(known)
    assert numbers["labelled_positive"] == truth.sum()
    for name in ("balanced_accuracy", "auroc", "sensitivity", "specificity"):
        assert numbers[f"{name}_low"] <= numbers[name] <= numbers[f"{name}_high"]
    assert numbers == validation_metrics(scored[0], card, COMPARISON)


def test_the_interval_is_over_slides(scored):
    """Were each slide ten, with the same nuclei in each, the intervals would be shorter."""
    table = scored[0].nuclei
    card = make_card(threshold=float(table["probability"].median()))

    def of(nuclei):
        return validation_metrics(replace(scored[0], nuclei=nuclei), card, COMPARISON)

    few = of(table)
    more = [table.assign(slide=table["slide"] + str(copy)) for copy in range(10)]
    copies = of(pd.concat([table] * 10))
    many = of(pd.concat(more))
    width = {
        name: numbers["auroc_high"] - numbers["auroc_low"]
        for name, numbers in {"few": few, "copies": copies, "many": many}.items()
    }
    assert width["copies"] == pytest.approx(width["few"])
    assert width["many"] < 0.6 * width["few"]


def test_with_one_class_there_are_counts_only(scored):
    table = scored[0].nuclei
    one = table[table["label"] == "ill"]
    numbers = validation_metrics(replace(scored[0], nuclei=one), make_card(), COMPARISON)
    assert numbers["labelled"] == numbers["labelled_positive"] == len(one)
    assert not any("accuracy" in name for name in numbers)


def test_every_annotation_is_accounted_for(scored, simulated_dataset):
    accounts = scored[0].accounts
    annotations = pd.read_csv(simulated_dataset / "annotations.csv")
    assert accounts["annotations"].sum() == len(annotations)
    became = [name for name in ANNOTATION_COUNTS if name != "annotations"]
    assert (accounts[became].sum(axis=1) == accounts["annotations"]).all()
    numbers = validation_metrics(scored[0], make_card(), COMPARISON)
    assert numbers["annotations"] == len(annotations)
    assert numbers["annotations_kept"] > 0.7 * len(annotations)
    assert numbers["labelled"] == accounts["kept"].sum()


def test_the_account_is_that_of_a_study(scored, simulated_dataset):
    """The stage `crop` counts the same in whole label images, here those that are put together."""
    dataset = read_dataset(simulated_dataset, require_labels=False)
    found = segment(read_micrograph(dataset.path("images/field00.tif")), SEGMENTATION)
    here = dataset.annotations[dataset.annotations["image"] == "images/field00.tif"]
    expected = account_of_annotations(found, here, {}, None)
    account = scored[0].accounts.iloc[0]
    for name in (*(f"gained_{one}" for one in READINGS), *(f"lost_{one}" for one in READINGS)):
        assert account[name] == expected[name], name
    assert account["covered"] == pytest.approx(expected["covered"])


def test_points_that_another_reading_fits_are_refused(model, simulated_dataset, tmp_path):
    folder = tmp_path / "exchanged"
    shutil.copytree(simulated_dataset, folder)
    annotations = pd.read_csv(folder / "annotations.csv")
    exchanged = annotations.rename(columns={"x": "y", "y": "x"})
    exchanged.to_csv(folder / "annotations.csv", index=False)
    dataset = read_dataset(folder, require_labels=False)
    wrong = score_dataset(model, dataset, None, tmp_path / "out")
    with pytest.raises(FathomError, match="only if x and y are exchanged"):
        audit_new_slides(wrong, dataset, audit_params())


def test_names_that_may_be_one_are_said(scored, simulated_dataset):
    dataset = read_dataset(simulated_dataset, require_labels=False)
    assert audit_new_slides(scored[0], dataset, audit_params()) == []
    dataset.images.loc[0, "patient"] = "P-00"
    (said,) = audit_new_slides(scored[0], dataset, audit_params())
    assert "'P-00' and 'p0' may be one patient" in said


def test_no_images_are_a_result(model, tmp_path):
    (tmp_path / "images.csv").write_text("image,slide,patient\n", encoding="utf-8")
    dataset = read_dataset(tmp_path, require_labels=False)
    scored = score_dataset(model, dataset, None, tmp_path / "out")
    assert validation_metrics(scored, model.card, COMPARISON) == {"images": 0}
    assert (tmp_path / "out" / "summary.csv").read_text(encoding="utf-8").count("\n") == 1


def test_classes_that_the_model_does_not_know(model, simulated_dataset, tmp_path):
    dataset = read_dataset(simulated_dataset)
    dataset.annotations.loc[dataset.annotations["label"] == "ill", "label"] = "sick"
    with pytest.raises(FathomError, match="does not know the class 'sick', only 'ill' and 'well'"):
        score_dataset(model, dataset, None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_of_masks_takes_the_masks_of_the_data_set(simulated_dataset, tmp_path):
    masks = Segmentation.model_validate({**PARAMS["segmentation"], "method": "masks"})
    model = OnnxModel(write_model(tmp_path / "masks.onnx", segmentation=masks, um_per_px=None))
    folder = tmp_path / "dataset"
    (folder / "images").mkdir(parents=True)
    image = simulated_dataset / "images" / "field00.tif"
    (folder / "images" / "field00.tif").write_bytes(image.read_bytes())
    (folder / "images.csv").write_text(
        "image,slide,patient\nimages/field00.tif,s,p\n", encoding="utf-8"
    )
    with pytest.raises(FathomError, match="have no label image"):
        score_dataset(model, read_dataset(folder, require_labels=False), None, tmp_path / "out")
    labels = np.zeros((160, 160), dtype=np.int32)
    labels[20:40, 20:40], labels[60:80, 90:110] = 7, 3
    write_labels(folder / "masks" / "field00.tif", labels)
    table = score_dataset(model, read_dataset(folder, require_labels=False), None, tmp_path / "out")
    assert table.nuclei["area_px"].tolist() == [400, 400]
    assert table.nuclei["probability"].notna().all()
