from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fathom.datasets.dataset import read_dataset
from fathom.ground.errors import FathomError
from fathom.ground.images import write_labels
from fathom.imaging.crop_dataset import crop_dataset
from fathom.imaging.params import Classes, Crop
from fathom.study.accounts import ANNOTATION_COUNTS, REASONS, totals
from fathom.study.nuclei import NUCLEUS_COLUMNS, read_nuclei

PARAMS = Crop(crop_px=12, normalisation="none", low_percentile=0.0, high_percentile=100.0)
ILL = Classes(positive="ill")


def write_field(folder: Path, name: str, colour: bool = False) -> np.ndarray:
    """Write a field of nine squares of 6 x 6 px, and return its label image."""
    labels = np.zeros((60, 60), dtype=np.int32)
    for number in range(9):
        top, left = 5 + 18 * (number // 3), 5 + 18 * (number % 3)
        labels[top : top + 6, left : left + 6] = number + 1
    pixels = np.where(labels > 0, 100 + labels, 7).astype(np.uint8)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(
        folder / "images" / name, np.stack([pixels] * 3, axis=-1) if colour else pixels
    )
    write_labels(folder.parent / "labels" / name, labels)
    return labels


def write_tables(folder: Path, images: list[dict], annotations: list[dict]) -> None:
    pd.DataFrame(images).to_csv(folder / "images.csv", index=False)
    if annotations:
        pd.DataFrame(annotations).to_csv(folder / "annotations.csv", index=False)


def point(image: str, number: int, label: str) -> dict:
    """Return an annotation in the middle of square `number` (from 1)."""
    row, column = divmod(number - 1, 3)
    return {"image": image, "x": 8 + 18 * column, "y": 8 + 18 * row, "label": label}


def run(folder: Path, classes: Classes = ILL, params: Crop = PARAMS) -> pd.DataFrame:
    return crop_dataset(
        read_dataset(folder), folder.parent / "labels", classes, params, folder.parent / "nuclei"
    )


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "set"
    write_field(folder, "a.tif")
    write_field(folder, "b.tif")
    a, b = "images/a.tif", "images/b.tif"
    images = [{"image": name, "slide": name, "patient": "p"} for name in (b, a)]
    points = [point(a, 1, "ill"), point(a, 2, "well"), point(a, 3, "well"), point(a, 3, "ill")]
    twice = [point(b, 9, "ill"), point(b, 9, "ill") | {"x": 45}]
    write_tables(folder, images, points + twice)
    return folder


def test_a_nucleus_takes_the_annotation_inside_it(folder):
    accounts = run(folder)
    nuclei = read_nuclei(folder.parent / "nuclei")
    assert nuclei.kept["nucleus"].tolist() == ["images/a.tif#1", "images/a.tif#2", "images/b.tif#9"]
    assert nuclei.kept["label"].tolist() == ["ill", "well", "ill"]
    assert nuclei.kept["positive"].tolist() == [True, False, True]
    assert tuple(nuclei.table.columns) == NUCLEUS_COLUMNS
    assert totals(accounts) == {
        "found": 18,
        "kept": 3,
        "kept_positive": 2,
        "images": 2,
        "images_listed": 2,
        "slides": 2,
        "slides_listed": 2,
        "patients": 1,
        "patients_listed": 1,
        "left_out_touches_border": 0,
        "left_out_larger_than_crop": 0,
        "left_out_two_labels": 1,
        "left_out_no_label": 14,
        "annotations": 6,
        "annotations_kept": 4,
        "annotations_touches_border": 0,
        "annotations_larger_than_crop": 0,
        "annotations_two_labels": 2,
        "annotations_in_no_nucleus": 0,
    }


@given(data=st.data())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_accounts_close_whatever_is_annotated_and_found(data):
    """Found is kept and left out; annotated is in kept, in left-out, and in no nucleus."""
    place, label = st.integers(0, 59), st.sampled_from(["ill", "well"])
    points_drawn = st.lists(st.tuples(place, place, label), max_size=20, unique=True)
    drawn = data.draw(points_drawn)
    crop_px = data.draw(st.integers(8, 20))
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "set"
        for name in ("a.tif", "b.tif"):
            write_field(folder, name)
        write_labels(folder.parent / "labels" / "c.tif", np.zeros((60, 60), np.int32))
        tifffile.imwrite(folder / "images" / "c.tif", np.ones((60, 60), np.uint8))
        names = [f"images/{name}.tif" for name in "abc"]
        images = [{"image": name, "slide": name, "patient": "p"} for name in names]
        points = [point(names[0], 1, "ill"), point(names[0], 2, "well")]
        points += [
            {"image": names[1 + x % 2], "x": x, "y": y, "label": label} for x, y, label in drawn
        ]
        write_tables(folder, images, points)
        accounts = run(folder, params=PARAMS.model_copy(update={"crop_px": crop_px}))
    left_out = [f"left_out_{key}" for key in REASONS]
    assert (accounts["nuclei"] == accounts[["kept", *left_out]].sum(axis=1)).all()
    parts = [name for name in ANNOTATION_COUNTS if name != "annotations"]
    assert (accounts["annotations"] == accounts[parts].sum(axis=1)).all()
    assert accounts["annotations"].sum() == len(points)
    assert accounts["image"].tolist() == names


def test_crops_come_in_the_order_of_the_table(folder):
    run(folder)
    crops = read_nuclei(folder.parent / "nuclei").crops()[:]
    assert crops.shape == (3, 12, 12, 1)
    assert crops.max(axis=(1, 2, 3)).tolist() == [101, 102, 109]


def test_same_data_same_bytes(folder):
    def content():
        run(folder)
        return {p.name: p.read_bytes() for p in (folder.parent / "nuclei").iterdir()}

    assert content() == content()


def test_the_label_of_an_image_is_that_of_all_its_nuclei(tmp_path):
    folder = tmp_path / "set"
    images = []
    for name, label in (("a.tif", "ill"), ("b.tif", "well")):
        write_field(folder, name)
        images.append({"image": f"images/{name}", "slide": name, "patient": name, "label": label})
    write_tables(folder, images, [])
    assert run(folder)["kept_positive"].sum() == 9


def test_a_positive_class_that_the_data_lack_is_named(folder):
    with pytest.raises(FathomError, match=r"classes\.positive = 'sick'.*'ill', 'well'"):
        run(folder, Classes(positive="sick"))
    assert not (folder.parent / "nuclei").exists()


def test_grey_and_colour_are_not_mixed(folder):
    write_field(folder, "b.tif", colour=True)
    with pytest.raises(FathomError, match="mixes grey and colour"):
        run(folder)
    assert not (folder.parent / "nuclei").exists()


def test_a_class_without_a_nucleus_is_an_error_with_the_counts(folder):
    small = PARAMS.model_copy(update={"crop_px": 5})
    with pytest.raises(FathomError, match="left_out_larger_than_crop 18"):
        run(folder, params=small)
    assert not (folder.parent / "nuclei").exists()
