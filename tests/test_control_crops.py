"""The control crops: what they hide is hidden, and a planted mark is found."""

import numpy as np
import pandas as pd
import pytest
from simulated_controls import CROP, cut, marked
from simulated_crops import PARAMS
from sklearn.metrics import balanced_accuracy_score

from fathom.controls.control_crops import (
    COUNTS,
    label_pixels,
    silhouettes,
    surroundings,
    write_control_crops,
)
from fathom.ground.errors import FathomError
from fathom.ground.images import read_labels, read_micrograph, write_labels
from fathom.imaging.crops import Scale
from fathom.networks.interventions import Plan
from fathom.networks.recipe import Probes, Recipe
from fathom.splitting.folds import write_splits
from fathom.study.nuclei import TABLE, read_nuclei
from fathom.study.splits import Split, read_splits
from fathom.training.trained_rows import cells_of, train_rows

SCALE = Scale(0.0, 255.0)
SIDE = CROP.crop_px
TWO_FOLDS = Split(group="slide", folds=2, validation_share=0.4, seed=0)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return data set, label images, nuclei and the folder of control crops of clean slides."""
    folder = tmp_path_factory.mktemp("controls")
    dataset, labels, nuclei = cut(folder)
    write_control_crops(dataset, labels, nuclei, CROP, folder / "controls")
    return dataset, labels, nuclei, folder / "controls"


def one_field(seed=0):
    """Return a noisy field with three nuclei, and the boxes of the first two."""
    rng = np.random.default_rng(seed)
    micrograph = rng.integers(10, 250, (120, 120)).astype(np.uint8)
    labels = np.zeros(micrograph.shape, np.int32)
    labels[50:66, 52:64], labels[50:60, 80:95], labels[2:12, 3:15] = 1, 2, 3
    boxes = pd.DataFrame(
        {"top": [50, 2], "left": [52, 3], "bottom": [66, 12], "right": [64, 15]}, index=[0, 1]
    )
    return micrograph, labels, boxes


def test_the_table_and_so_the_splits_are_those_of_the_nuclei(written, tmp_path):
    _, _, nuclei, controls = written
    write_splits(nuclei, TWO_FOLDS, tmp_path)
    for name in ("silhouette", "background", "shuffled-labels"):
        same = (nuclei.folder / TABLE).read_bytes() == (controls / name / TABLE).read_bytes()
        assert same, name
        found = read_nuclei(controls / name)
        assert found.crops().shape == nuclei.crops().shape
        read_splits(tmp_path, found)  # the certificate matches


def test_a_silhouette_is_the_mask(written):
    _, _, nuclei, controls = written
    crops = nuclei.crops()[:]
    found = read_nuclei(controls / "silhouette").crops()[:]
    assert np.array_equal(found == 255, crops > 0)
    assert set(np.unique(found)) == {0, 255}
    assert np.array_equal(read_nuclei(controls / "shuffled-labels").crops()[:], crops)


def test_a_silhouette_fills_all_channels():
    crops = np.zeros((1, 4, 4, 3), np.uint8)
    crops[0, 1, 2] = 0, 7, 0
    assert silhouettes(crops)[0, 1, 2].tolist() == [255, 255, 255]
    assert silhouettes(crops).sum() == 3 * 255


def test_the_hole_is_the_same_square_in_every_crop(written):
    crops = read_nuclei(written[3] / "background").crops()[:][..., 0]
    quarter = SIDE // 4
    assert not crops[:, quarter : SIDE - quarter, quarter : SIDE - quarter].any()
    assert crops.any(axis=(1, 2)).all()


def test_nothing_of_a_nucleus_can_be_seen_around_it():
    micrograph, labels, boxes = one_field()
    before = surroundings(micrograph, labels, boxes, SCALE, SIDE)
    others, outline = micrograph.copy(), labels.copy()
    others[labels > 0] = 7  # whatever is in the nuclei
    outline[50:66, 52:64] = 0
    outline[57:59, 52:64] = outline[50:66, 57:59] = 1  # another outline in the same box
    for pixels, numbers in ((others, labels), (micrograph, outline)):
        assert np.array_equal(surroundings(pixels, numbers, boxes, SCALE, SIDE), before)


def test_a_pixel_is_the_mean_of_the_background_it_stands_for():
    micrograph, labels, boxes = one_field()
    crop = surroundings(micrograph, labels, boxes, SCALE, SIDE)[0, ..., 0]
    top, left = 50 - 8 - 16, 52 - 10 - 16
    for row, column in ((0, 0), (31, 5), (3, 31), (12, 29)):
        block = np.s_[top + 2 * row : top + 2 * row + 2, left + 2 * column : left + 2 * column + 2]
        seen = micrograph[block][labels[block] == 0]
        assert crop[row, column] == (np.rint(seen.mean()) if len(seen) else 0)


def test_beyond_the_image_there_is_nothing():
    micrograph, labels, boxes = one_field()
    crop = surroundings(micrograph, labels, boxes, SCALE, SIDE)[1, ..., 0]
    assert not crop[:10].any()
    assert crop[-1, -1]


def test_the_pixels_that_the_label_is_about_are_counted_in_nuclei_only(written, tmp_path):
    dataset, labels, nuclei, controls = written
    assert pd.read_parquet(controls / COUNTS).empty  # there are no label masks
    image = dataset.images["image"].iloc[0]
    numbers = read_labels(dataset.mask_path(image))
    here = nuclei.kept[nuclei.kept["image"] == image]
    number = int(here["nucleus"].iloc[3].split("#")[1])
    mask = np.zeros_like(numbers)
    own = np.argwhere(numbers == number)[:7]
    mask[tuple(own.T)] = 5
    mask[tuple(np.argwhere(numbers == 0)[:50].T)] = 5
    path = dataset.folder / "label_masks" / f"{image.removeprefix('images/')[:-4]}.tif"
    write_labels(path, mask)
    try:
        counts = label_pixels(dataset, labels, nuclei.kept)
    finally:
        path.unlink()
    assert counts["nucleus"].tolist() == here["nucleus"].tolist()
    assert counts.loc[counts["label_px"] > 0].to_dict("list") == {
        "nucleus": [here["nucleus"].iloc[3]],
        "label_px": [7],
    }


def test_other_label_images_are_refused(written, tmp_path):
    dataset, labels, nuclei, _ = written
    for path in sorted(labels.rglob("*.tif")):
        write_labels(tmp_path / path.relative_to(labels), np.roll(read_labels(path), 1) // 2)
    with pytest.raises(FathomError, match="is not what the nuclei were cut with"):
        write_control_crops(dataset, tmp_path, nuclei, CROP, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def background_score(folder, alter):
    """Return the balanced accuracy of a small network that sees the surroundings alone."""
    dataset, labels, nuclei = cut(folder, alter=alter)
    write_control_crops(dataset, labels, nuclei, CROP, folder / "controls")
    found = read_nuclei(folder / "controls" / "background")
    write_splits(found, TWO_FOLDS, folder / "splits")
    recipe = Recipe.model_validate(
        {
            **PARAMS["recipe"],
            "optimiser": "adam",
            "momentum": 0.9,
            "alpha": 0.999,
            "learning_rate": 0.01,
            "epochs": 12,
            "batch_size": 16,
            "dropout": 0.0,
            "augmentation": False,
        }
    )
    plan = Plan("4conv3x3 - mp2x2 - 8conv3x3 - mp2x2 - fc16 - o", recipe)
    splits = read_splits(folder / "splits", found)
    cells = cells_of("background", plan, Probes(crops=8, epochs=()), found, splits, final=False)
    train_rows({folder / "run": (cells, found)}, "portable", folder / "cells")
    told = pd.read_parquet(folder / "run" / "predictions.parquet")
    told = told[told["part"] == "test"].merge(nuclei.kept[["nucleus", "positive"]])
    return balanced_accuracy_score(told["positive"], told["probability"] >= 0.5)


@pytest.mark.long
def test_a_planted_mark_makes_background_only_high(tmp_path):
    assert background_score(tmp_path, marked) > 0.8


@pytest.mark.long
def test_clean_surroundings_are_near_chance(tmp_path):
    assert abs(background_score(tmp_path, lambda slide: slide) - 0.5) < 0.12


def test_surroundings_of_colour_have_three_channels():
    micrograph, labels, boxes = one_field()
    colour = np.stack([micrograph, micrograph // 2, micrograph // 3], axis=-1)
    found = surroundings(colour, labels, boxes, SCALE, SIDE)
    assert found.shape == (2, SIDE, SIDE, 3)
    assert np.array_equal(found[..., :1], surroundings(micrograph, labels, boxes, SCALE, SIDE))


def test_the_scale_is_the_backgrounds_own(written):
    dataset, _, nuclei, controls = written
    image = dataset.images["image"].iloc[0]
    pixels = read_micrograph(dataset.path(image))
    background = pixels[read_labels(dataset.mask_path(image)) == 0]
    low, high = np.percentile(background, [CROP.low_percentile, CROP.high_percentile])
    shard = nuclei.kept.loc[nuclei.kept["image"] == image]
    crops = read_nuclei(controls / "background").crops()[shard.index]
    seen = crops[crops > 0].astype(float)
    expected = 255 * (np.median(background) - low) / (high - low)
    # A window shows the light of its place; on the nuclei's scale nearly all would be 1.
    assert abs(np.median(seen) - expected) < 10
