import csv
import math
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fathom.datasets.dataset import labels_path, read_dataset, stem
from fathom.datasets.layout import IMAGE_COLUMNS
from fathom.datasets.tables import _fault_of_form
from fathom.ground.errors import FathomError
from fathom.ground.image_store import open_store
from fathom.ground.resolution import COARSEST_UM, FINEST_UM

SHARED = Path(os.environ.get("FATHOM_SHARED", Path(__file__).parents[2] / "shared"))
AMIBR = SHARED / "data" / "amibr"


def write_set(folder, images, annotations=()):
    """Write a data set of images of 12 x 8 px; a column without values is left out."""
    for row in images:
        path = folder / row["image"]
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            tifffile.imwrite(path, np.ones((8, 12), np.uint8))
    write_rows(folder / "images.csv", images)
    write_rows(folder / "annotations.csv", annotations)
    return folder


def write_rows(path, rows):
    if rows:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)


def test_tables_have_their_columns_and_types_whatever_the_files_have(tmp_path):
    images = [
        {"image": f"images/{n}.tif", "slide": n, "patient": p}
        for n, p in (("b", "007"), ("a", "NA"))
    ]
    annotations = [
        {"image": "images/b.tif", "x": "1e1", "y": "+7.25", "label": "1"},
        {"image": "images/a.tif", "x": "0", "y": "2", "label": "0"},
    ]
    dataset = read_dataset(write_set(tmp_path, images, annotations))

    assert list(dataset.images) == [*IMAGE_COLUMNS, "um_per_px_given"]
    assert list(dataset.images["image"]) == ["images/a.tif", "images/b.tif"]
    assert list(dataset.images["patient"]) == ["NA", "007"]
    assert dataset.images["label"].isna().all()
    assert dataset.images["um_per_px"].isna().all()
    assert dataset.images["um_per_px"].dtype == np.float64
    assert dataset.annotations.to_dict("list") == {
        "image": ["images/b.tif", "images/a.tif"],
        "x": [10.0, 0.0],
        "y": [7.25, 2.0],
        "label": ["1", "0"],
    }
    assert dataset.classes == ("0", "1")


def test_the_scale_is_that_of_the_table_and_else_that_of_the_file(tmp_path):
    names = ("a.tif", "b.tif", "c.tif")
    images = [
        {"image": name, "slide": name, "patient": name, "label": label, "um_per_px": scale}
        for name, label, scale in zip(names, ("well", "ill", "ill"), ("0.5", "", ""), strict=True)
    ]
    for name in names[:2]:
        sizes = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25}
        pixels = np.ones((8, 12), np.uint8)
        tifffile.imwrite(tmp_path / name, pixels, ome=True, metadata=sizes)
    scales = read_dataset(write_set(tmp_path, images)).images[["um_per_px", "um_per_px_given"]]
    assert scales.fillna(0).to_numpy().tolist() == [[0.5, 0.5], [0.25, 0], [0, 0]]


def test_labels_of_images_and_scale(tmp_path):
    images = [
        {"image": "a.tif", "slide": "1", "patient": "1", "label": "well", "um_per_px": "0.645"},
        {"image": "b.tif", "slide": "2", "patient": "2", "label": "ill", "um_per_px": ""},
    ]
    dataset = read_dataset(write_set(tmp_path, images))
    assert list(dataset.images["label"]) == ["well", "ill"]
    assert dataset.images["um_per_px"][0] == 0.645
    assert math.isnan(dataset.images["um_per_px"][1])
    assert list(dataset.annotations) == ["image", "x", "y", "label"]
    assert dataset.annotations.empty
    assert dataset.annotations[["x", "y"]].dtypes.eq(np.float64).all()
    assert dataset.classes == ("ill", "well")


def test_new_slides_need_neither_labels_nor_images(tmp_path):
    images = [{"image": "a.tif", "slide": "1", "patient": "1"}]
    dataset = read_dataset(write_set(tmp_path, images), require_labels=False)
    assert dataset.classes == ()
    (tmp_path / "images.csv").write_text("image,slide,patient\n")
    nothing = read_dataset(tmp_path, require_labels=False)
    assert nothing.images.empty
    assert list(nothing.images) == list(dataset.images)
    assert list(nothing.images.dtypes) == list(dataset.images.dtypes)


def test_faults_are_raised_as_one_error(tmp_path):
    images = [{"image": "a.tif", "slide": "1", "patient": ""}]
    with pytest.raises(FathomError) as caught:
        read_dataset(write_set(tmp_path, images))
    assert str(caught.value) == (
        f"the data set {tmp_path} has 2 faults:\n"
        "  images.csv, row 2, column 'patient': is empty\n"
        "  images.csv, column 'label': there must be exactly two classes, not 0"
    )


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("images/a.tif", "a"),
        ("images/p1/a.tif", "p1/a"),
        ("a.png", "a"),
        ("p1/images/a.png", "p1/images/a"),
        ("images/a.ome.tif", "a"),
        ("images/a.lif - Series001.tif", "a.lif - Series001"),
    ],
)
def test_stem(image, expected):
    assert stem(image) == expected
    assert labels_path(Path("labels"), image) == Path(f"labels/{expected}.tif")


def test_mask_path(tmp_path):
    images = [
        {"image": f"images/p1/{name}.x.tif", "slide": name, "patient": name, "label": label}
        for name, label in (("a", "ill"), ("b", "well"), ("c", "ill"))
    ]
    write_set(tmp_path, images)
    (tmp_path / "masks/p1").mkdir(parents=True)
    labels = np.zeros((8, 12), np.uint16)
    tifffile.imwrite(tmp_path / "masks/p1/a.x.tiff", labels)
    tifffile.imwrite(tmp_path / "masks/p1/b.x.tif", labels)
    dataset = read_dataset(tmp_path)
    assert dataset.path("images/p1/a.x.tif") == tmp_path / "images/p1/a.x.tif"
    assert dataset.mask_path("images/p1/a.x.tif") == tmp_path / "masks/p1/a.x.tiff"
    assert dataset.mask_path("images/p1/b.x.tif") == tmp_path / "masks/p1/b.x.tif"
    assert dataset.mask_path("images/p1/c.x.tif") is None
    tifffile.imwrite(tmp_path / "masks/p1/a.x.tif", labels)
    with pytest.raises(FathomError, match=r"has a\.x\.tif and a\.x\.tiff; keep one"):
        dataset.mask_path("images/p1/a.x.tif")


@pytest.mark.parametrize("mask", ["a.tif", "a.ome.tif", "a.tiff"])
def test_the_mask_of_an_ome_tiff_has_its_name_with_or_without_ome(tmp_path, mask):
    images = [{"image": "images/a.ome.tif", "slide": "a", "patient": "a"}]
    write_set(tmp_path, images)
    (tmp_path / "masks").mkdir()
    tifffile.imwrite(tmp_path / "masks" / mask, np.zeros((8, 12), np.uint8))
    dataset = read_dataset(tmp_path, require_labels=False)
    assert dataset.mask_path("images/a.ome.tif") == tmp_path / "masks" / mask


def test_what_is_sound_as_a_new_slide_is_checked_again_in_a_study(tmp_path):
    images = [
        {"image": name, "slide": name, "patient": name, "label": label}
        for name, label in (("a.tif", "ill"), ("b.tif", "well"))
    ]
    write_set(tmp_path, images)
    sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 1.0}
    tifffile.imwrite(tmp_path / "b.tif", np.ones((8, 12), np.uint8), ome=True, metadata=sizes)
    store = open_store(tmp_path / "store")
    read_dataset(tmp_path, require_labels=False, store=store)
    assert len(list(store.folder.iterdir())) == 2
    for _ in range(2):
        with pytest.raises(FathomError, match=r"b\.tif: its pixels are 0\.5 um wide and 1 um high"):
            read_dataset(tmp_path, store=store)


@pytest.fixture(scope="module")
def one_image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    tifffile.imwrite(folder / "a.tif", np.ones((8, 12), np.uint8))
    return folder


NAMES = st.text(min_size=1, max_size=8).filter(
    lambda text: _fault_of_form(text, may_be_empty=False) is None
)


@settings(max_examples=60)
@given(
    slide=NAMES,
    patient=NAMES,
    scale=st.none() | st.floats(FINEST_UM, COARSEST_UM),
    points=st.lists(
        st.tuples(
            st.floats(0, 12, exclude_max=True),
            st.floats(0, 8, exclude_max=True),
            st.sampled_from(['"quoted", it\'s', "µ"]),
        ),
        unique=True,
    ),
)
@example(slide="a", patient="\ufb2a", scale=None, points=[])  # NFC is another text
def test_what_is_written_is_read(one_image, slide, patient, scale, points):
    images = [{"image": "a.tif", "slide": slide, "patient": patient, "um_per_px": scale}]
    columns = ("image", "x", "y", "label")
    annotations = [dict(zip(columns, ("a.tif", *point), strict=True)) for point in points]
    (one_image / "annotations.csv").unlink(missing_ok=True)
    dataset = read_dataset(write_set(one_image, images, annotations), require_labels=False)
    row = dataset.images.iloc[0]
    composed = tuple(unicodedata.normalize("NFC", name) for name in (slide, patient))
    assert (row["slide"], row["patient"]) == composed
    assert math.isnan(row["um_per_px"]) if scale is None else row["um_per_px"] == scale
    read = dataset.annotations[["x", "y", "label"]].itertuples(index=False, name=None)
    assert list(read) == points


@pytest.mark.skipif(not AMIBR.is_dir(), reason=f"{AMIBR} is not here (set FATHOM_SHARED)")
def test_amibr_is_sound():
    dataset = read_dataset(AMIBR)
    assert dataset.images["patient"].nunique() == 202
    assert dict(dataset.annotations["label"].value_counts()) == {"normal": 1232, "atypical": 832}
