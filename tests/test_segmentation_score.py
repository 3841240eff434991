from pathlib import Path

import numpy as np
import pytest

from fathom.datasets.dataset import DataSet, labels_path, read_dataset
from fathom.ground.errors import FathomError
from fathom.ground.images import Labels, write_labels, write_picture
from fathom.imaging.segmentation_score import THRESHOLDS, agreement, score


def labels(
    *boxes: tuple[int, int, int, int], numbers: tuple[int, ...] = (), side: int = 40
) -> Labels:
    """Draw boxes (top, left, bottom, right) numbered 1, 2, ... or by `numbers`."""
    image = np.zeros((side, side), dtype=np.int32)
    for number, (top, left, bottom, right) in zip(
        numbers or range(1, len(boxes) + 1), boxes, strict=True
    ):
        image[top:bottom, left:right] = number
    return image


NONE = labels()
SQUARE = labels((0, 0, 10, 10))


def test_equal_label_images_score_one_whatever_their_numbers() -> None:
    truth = labels((0, 0, 10, 10), (20, 20, 30, 25))
    found = labels((0, 0, 10, 10), (20, 20, 30, 25), numbers=(70000, 3))
    one = score(found, truth)
    assert (one.true, one.found, one.matched) == (2, 2, (2,) * 10)
    assert one.precision_iou50 == one.recall_iou50 == one.f1_iou50 == one.mean_f1_iou50_95 == 1
    assert one.count_error == 0


def test_measures_by_hand() -> None:
    truth = labels((0, 0, 10, 10), (0, 20, 10, 30), (20, 0, 30, 10))
    # Exact; shifted by 2 of 10 columns, IoU 80 / 120 = 0.667; and two where nothing is.
    found = labels((0, 0, 10, 10), (0, 22, 10, 32), (20, 20, 25, 25), (30, 30, 35, 35))
    one = score(found, truth)
    assert one.matched == (2, 2, 2, 2, 1, 1, 1, 1, 1, 1)
    assert one.precision_iou50 == 2 / 4
    assert one.recall_iou50 == 2 / 3
    assert one.f1_iou50 == 4 / 7
    assert one.mean_f1_iou50_95 == pytest.approx((4 * 4 / 7 + 6 * 2 / 7) / 10)
    assert one.count_error == 1 / 3


def test_an_iou_of_exactly_one_half_is_no_match() -> None:
    halves = labels((0, 0, 10, 5), (0, 5, 10, 10))
    assert score(halves, SQUARE).matched[0] == 0
    more_than_half = labels((0, 0, 10, 6), (0, 6, 10, 10))
    assert score(more_than_half, SQUARE).matched == (1, 1) + (0,) * 8  # 0.6 is not above 0.6


def test_merging_two_nuclei_matches_at_most_the_larger() -> None:
    truth = labels((0, 0, 10, 14), (0, 14, 10, 20))
    one = score(labels((0, 0, 10, 20)), truth)
    assert (one.matched[0], one.precision_iou50, one.recall_iou50) == (1, 1.0, 0.5)


@pytest.mark.parametrize(
    ("found", "truth", "precision", "recall", "f1", "count_error"),
    [
        (NONE, NONE, 1, 1, 1, 0),
        (NONE, SQUARE, 0, 0, 0, 1),
        (SQUARE, NONE, 0, 0, 0, 1),
    ],
    ids=["both-empty", "none-found", "none-true"],
)
def test_empty_label_images(found, truth, precision, recall, f1, count_error) -> None:
    one = score(found, truth)
    assert (one.precision_iou50, one.recall_iou50, one.f1_iou50) == (precision, recall, f1)
    assert one.mean_f1_iou50_95 == f1
    assert one.count_error == count_error


def test_exchanging_the_two_exchanges_precision_and_recall() -> None:
    rng = np.random.default_rng(0)
    one, other = (np.kron(rng.integers(0, 5, (8, 8)), np.ones((4, 4), int)) for _ in range(2))
    there, back = (
        score(one.astype(np.int32), other.astype(np.int32)),
        score(other.astype(np.int32), one.astype(np.int32)),
    )
    assert there.matched == back.matched
    assert there.precision_iou50 == back.recall_iou50


def test_thresholds_are_those_of_the_name() -> None:
    assert THRESHOLDS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"found \(40, 40\), true \(20, 20\)"):
        score(NONE, labels(side=20))


def dataset_of(folder: Path, masks: dict[str, Labels | None]) -> DataSet:
    rows = "".join(f"images/{name}.png,s,p\n" for name in masks)
    folder.mkdir()
    (folder / "images.csv").write_text(f"image,slide,patient\n{rows}")
    for name, mask in masks.items():
        write_picture(folder / f"images/{name}.png", np.zeros((40, 40), dtype=np.uint8))
        if mask is not None:
            write_labels(folder / f"masks/{name}.tif", mask)
    return read_dataset(folder, require_labels=False)


def test_a_data_set_is_scored_by_the_mean_over_its_masked_images(tmp_path: Path) -> None:
    many = labels(*[(0, left, 10, left + 10) for left in (0, 10, 20)])
    dataset = dataset_of(tmp_path / "data", {"a": many, "b": SQUARE, "c": None})
    for name, found in {"a": many, "b": NONE, "c": SQUARE}.items():
        write_labels(labels_path(tmp_path / "labels", f"images/{name}.png"), found)
    assert agreement(dataset, tmp_path / "labels") == {
        "images_with_masks": 2,
        "nuclei_true": 4,
        "nuclei_found": 3,
        "precision_iou50": 0.5,
        "recall_iou50": 0.5,
        "f1_iou50": 0.5,
        "mean_f1_iou50_95": 0.5,
        "count_error": 0.5,
    }


def test_a_data_set_without_masks_has_no_score(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "data", {"a": None})
    assert agreement(dataset, tmp_path / "labels") == {"images_with_masks": 0}


def test_a_missing_label_image_is_named(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "data", {"a": SQUARE})
    with pytest.raises(FathomError, match=r"labels/a\.tif is missing: run the stage 'segment'"):
        agreement(dataset, tmp_path / "labels")
