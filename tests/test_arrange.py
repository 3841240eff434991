"""`fathom new`: names, labels of every kind, a yes, and never a file overwritten."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
from conftest import draw_field
from PIL import Image
from typer.testing import CliRunner

from fathom.arranging.arrange import propose, write
from fathom.arranging.labels import geojson_points
from fathom.arranging.pattern import Pattern, guess
from fathom.cli import app
from fathom.datasets.check import check_dataset
from fathom.datasets.dataset import read_dataset
from fathom.ground.errors import FathomError, SlideError
from fathom.ground.images import read_labels

NAMES = [
    f"{patient}_{slide}_{field}" for patient in ("p1", "p2") for slide in "ab" for field in "12"
]


def images_of(folder, names, suffix=".tif"):
    for name in names:
        path = folder / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, np.arange(1600, dtype=np.uint16).reshape(40, 40))
    return folder


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (NAMES, "{patient}_{slide}_{field}"),
        ([f"study/{name}_DAPI" for name in NAMES], "study/{patient}_{slide}_{field}_DAPI"),
        (["p1/a", "p1/b", "p2/a"], "{patient}/{field}"),
        (["p1/s1/a", "p1/s2/a", "p2/s1/b"], "{patient}/{slide}/{field}"),
        (["x 1-1", "x 1-2", "x 2-1"], "x {patient}-{field}"),
        (["d1/x/p1_1", "d2/p1_2", "d3/p2_1"], "{patient}_{field}"),
        (["a", "b", "c"], "{field}"),
        (["a_1", "b_2", "c_3"], "{field}"),
        (["a_1", "b", "c_3_4"], "{field}"),
    ],
)
def test_the_pattern_that_names_suggest(names, pattern):
    assert guess(names).text == pattern


def test_a_slide_belongs_to_one_patient():
    found = Pattern("{patient}_{slide}_{field}").read(NAMES)
    assert found["p1_a_2"] == ("p1", "p1_a")
    assert found["p2_a_2"] == ("p2", "p2_a")
    assert Pattern("{patient}_*").read(["d/p1_x"]) == {"d/p1_x": ("p1", "d/p1_x")}


@pytest.mark.parametrize("text", ["{person}", "{patient}{patient}", "{patient", "a", "}{field}"])
def test_what_is_no_pattern(text):
    with pytest.raises(FathomError, match="is none: it consists of"):
        Pattern(text)


def test_names_that_do_not_fit_are_named():
    with pytest.raises(FathomError, match="does not fit 1 of 2 images, such as 'odd'"):
        Pattern("{patient}_{field}").read(["p1_1", "odd"])


def test_folders_are_labels(tmp_path):
    folder = images_of(
        tmp_path / "set",
        [
            f"{label}/{p}_{i}"
            for label, p in (("ill", "p1"), ("non-ill", "p2"), ("ill", "p3"))
            for i in (1, 2)
        ],
    )
    found = propose(folder)
    assert found.pattern == "*/{patient}_{field}"
    write(found)
    assert check_dataset(folder) == []
    dataset = read_dataset(folder)
    assert dataset.classes == ("ill", "non-ill")
    assert set(dataset.images["patient"]) == {"p1", "p2", "p3"}
    assert dataset.images["slide"].nunique() == 6


def test_a_table_labels_images_or_points(tmp_path):
    folder = images_of(tmp_path / "set", NAMES)
    table = tmp_path / "labels.csv"
    table.write_text(
        "image,label,note\n"
        + "".join(f"{name},{'ill' if name < 'p2' else 'well'},x\n" for name in NAMES)
    )
    found = propose(folder, labels=str(table), um_per_px=0.5)
    assert found.images["label"].tolist() == ["ill"] * 4 + ["well"] * 4
    assert found.images["um_per_px"].tolist() == ["0.5"] * 8
    table.write_text("image,x,y,label\np1_a_1.tif,3,4.5,ill\np2_b_2,5,6,well\n")
    found = propose(folder, labels=str(table))
    assert found.points == (("p1_a_1.tif", 3.0, 4.5, "ill"), ("p2_b_2.tif", 5.0, 6.0, "well"))
    assert "6 images have no label" in found.text()
    table.write_text("image,label\nnone.tif,ill\n")
    with pytest.raises(FathomError, match=r"row 2, column 'image': 'none.tif' is none of the"):
        propose(folder, labels=str(table))


def feature(kind, coordinates, name):
    classification = {"name": name, "color": [1, 2, 3]} if name else None
    properties = {"objectType": "annotation", "classification": classification}
    geometry = {"type": kind, "coordinates": coordinates}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def test_points_and_outlines_of_qupath(tmp_path):
    folder = images_of(tmp_path / "set", NAMES)
    # A crescent: its centre of mass is not in it.
    crescent = [[0, 0], [20, 0], [20, 20], [0, 20], [0, 16], [16, 16], [16, 4], [0, 4], [0, 0]]
    square = [[30, 30], [36, 30], [36, 36], [30, 36], [30, 30]]
    features = [
        feature("Point", [3.5, 4.5], "ill"),
        feature("MultiPoint", [[1, 2], [3, 4]], "well"),
        feature("Polygon", [crescent], "ill"),
        feature("MultiPolygon", [[square], [[[0, 0], [1, 0], [1, 1], [0, 0]]]], "well"),
        feature("Point", [9, 9], None),
    ]
    collection = {"type": "FeatureCollection", "features": features}
    (folder / "p1_a_1.geojson").write_text(json.dumps(collection))
    points, without = geojson_points(folder / "p1_a_1.geojson", "p1_a_1.tif")
    assert without == 1
    assert [point.label for point in points] == ["ill", "well", "well", "ill", "well"]
    x, y = points[3].x, points[3].y
    assert 16 <= x < 20 or not 4 <= y < 16
    assert 31 < points[4].x < 35
    assert 31 < points[4].y < 35
    (folder / "p2_a_1.geojson").write_text(json.dumps(features[:1]))
    found = propose(folder)
    assert len(found.points) == 6
    assert "1 objects in them have no class" in found.text()
    (folder / "p2_a_1.geojson").write_text("{}")
    with pytest.raises(FathomError, match=r"p2_a_1\.geojson: is not GeoJSON as QuPath writes it"):
        propose(folder)


@pytest.mark.parametrize("end", ["_cp_masks.png", "_labels.tif", "_masks.tif"])
def test_label_images_with_a_table_of_classes(tmp_path, end):
    """The nuclei are labelled by the pixel deepest in them, and the label images become masks."""
    folder = tmp_path / "set"
    folder.mkdir()
    for number in (1, 2):
        field, points = draw_field(number)
        tifffile.imwrite(folder / f"p{number}_1.tif", field)
        rows, columns = np.mgrid[:160, :160]
        labels = np.zeros((160, 160), np.uint16)
        for nucleus, (x, y) in enumerate(points[["x", "y"]].to_numpy(), start=1):
            labels[(rows - y) ** 2 + (columns - x) ** 2 < 60] = nucleus
        path = folder / f"p{number}_1{end}"
        if path.suffix == ".png":
            Image.fromarray(labels).save(path)
        else:
            tifffile.imwrite(path, labels)
    classes = tmp_path / "classes.csv"
    lines = [f"p{n}_1,{i},{'ill' if i % 2 else 'well'}" for n in (1, 2) for i in range(1, 11)]
    classes.write_text("\n".join(["image,number,label", *lines]))
    found = propose(folder, classes=classes)
    assert "4 nuclei of the label images have no class" in found.text()
    write(found)
    assert check_dataset(folder) == []
    dataset = read_dataset(folder)
    assert dataset.images["image"].tolist() == ["p1_1.tif", "p2_1.tif"]
    for image in dataset.images["image"]:
        labels = read_labels(dataset.mask_path(image))
        here = dataset.annotations[dataset.annotations["image"] == image]
        at = labels[here["y"].astype(int), here["x"].astype(int)]
        assert at.tolist() == list(range(1, 11))
        assert here["label"].tolist() == ["ill", "well"] * 5
    classes.write_text("image,number,label\np1_1,99,ill\n")
    (folder / "images.csv").unlink()
    (folder / "annotations.csv").unlink()
    with pytest.raises(FathomError, match="has no nucleus 99"):
        propose(folder, classes=classes)


def test_nothing_is_written_without_a_yes_and_nothing_is_overwritten(tmp_path):
    folder = images_of(tmp_path / "set", NAMES)
    asked = CliRunner().invoke(app, ["new", str(folder)], input="n\n")
    assert "pattern: {patient}_{slide}_{field}" in asked.output
    assert "8 images, 4 slides, 2 patients" in asked.output
    assert "nothing was written" in asked.output
    assert not (folder / "images.csv").exists()
    assert CliRunner().invoke(app, ["new", str(folder)], input="y\n").exit_code == 0
    before = (folder / "images.csv").read_bytes()
    table = pd.read_csv(folder / "images.csv")
    assert table["slide"].tolist() == [name[:4] for name in NAMES]
    with pytest.raises(FathomError, match="is there already, and nothing is overwritten"):
        propose(folder)
    assert (folder / "images.csv").read_bytes() == before


def test_label_images_that_are_there_are_kept(tmp_path):
    folder = images_of(tmp_path / "set", NAMES)
    tifffile.imwrite(folder / "p1_a_1_masks.tif", np.ones((40, 40), np.uint8))
    (folder / "masks").mkdir()
    (folder / "masks/p1_a_1.tif").write_bytes(b"mine")
    with pytest.raises(
        FathomError, match=r"masks/p1_a_1.tif and p1_a_1_masks.tif may both .* keep"
    ):
        propose(folder)
    assert (folder / "masks/p1_a_1.tif").read_bytes() == b"mine"


def label_image(number):
    """Return the field of `draw_field(number)` as a label image of discs, 1 to 12."""
    points = draw_field(number)[1][["x", "y"]].to_numpy()
    rows, columns = np.mgrid[:160, :160]
    labels = np.zeros((160, 160), np.uint16)
    for nucleus, (x, y) in enumerate(points, start=1):
        labels[(rows - y) ** 2 + (columns - x) ** 2 < 60] = nucleus
    return labels


def write_fields(folder, image="images/{}.tif", mask="labels/{}.tif", numbers=range(1, 5)):
    for number in numbers:
        for pattern, pixels in ((image, draw_field(number)[0]), (mask, label_image(number))):
            path = folder / pattern.format(f"p{number}")
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, pixels)
    return folder


def write_classes(path, names):
    rows = [f"{name},{i},{'ill' if i % 2 else 'well'}" for name in names for i in range(1, 13)]
    path.write_text("\n".join(["image,number,label", *rows]))
    return path


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/{}.tif", "labels/{}.tif"),
        ("images/{}.tif", "anything/{}.tif"),
        ("{}.tif", "labels/{}.tif"),
        ("{}/raw/1.tif", "{}/outlined/1.tif"),
        ("images/{}.tif", "masks/{}.tif"),
        ("{}.tif", "masks/{}.tif"),
        ("images/{}.tif", "labels/{}_label.tif"),
        ("M\u00fcller-{}.tif", "Mu\u0308ller-{}_cp_masks.tif"),
        ("M\u00fcller-{}.tif", "labels/Mu\u0308ller-{}.tif"),
    ],
)
def test_label_images_wherever_they_lie(tmp_path, image, mask):
    """They are no images of their own, no folder of them is a class, and all end in masks/."""
    folder = write_fields(tmp_path / "set", image, mask)
    classes = write_classes(
        tmp_path / "classes.csv", [image.format(f"p{number}") for number in range(1, 5)]
    )
    found = propose(folder, classes=classes)
    assert found.images["image"].tolist() == [image.format(f"p{number}") for number in range(1, 5)]
    assert not any("not used" in note or "Nothing is made" in note for note in found.notes)
    write(found)
    assert check_dataset(folder) == []
    dataset = read_dataset(folder)
    assert dataset.classes == ("ill", "well")
    for number, name in enumerate(dataset.images["image"], start=1):
        assert np.array_equal(read_labels(dataset.mask_path(name)), label_image(number))


def test_label_images_alone_are_no_labels(tmp_path):
    found = propose(write_fields(tmp_path / "set"))
    assert "label" not in found.images
    assert len(found.label_images) == 4
    assert "No labels were found" in found.text()


def test_a_micrograph_is_no_label_image_and_a_black_and_white_mask_is_one(tmp_path):
    """Eight bits with a background of 0 are what comes closest."""
    folder = tmp_path / "set"
    for number in (1, 2):
        field = draw_field(number)[0].astype(float)
        eight_bits = np.clip((field - 400) / 12, 0, 255).astype(np.uint8)
        (folder / "a").mkdir(parents=True, exist_ok=True)
        (folder / "b").mkdir(exist_ok=True)
        assert (eight_bits == 0).mean() > 0.5
        tifffile.imwrite(folder / f"a/p{number}.tif", eight_bits)
        tifffile.imwrite(folder / f"b/p{number}.tif", (eight_bits > 60).astype(np.uint8) * 255)
    found = propose(folder)
    assert found.images["image"].tolist() == ["a/p1.tif", "a/p2.tif"]
    assert [path.name for path in found.label_images.values()] == ["p1.tif", "p2.tif"]
    with pytest.raises(SlideError, match=r"p1\.tif: holds one number, 255, .* black and white"):
        write(found)
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b"]


def test_folders_that_may_be_patients_are_never_taken_for_classes_unasked(tmp_path):
    names = [f"patient{one}/x{i}" for one in "AB" for i in (1, 2)]
    folder = images_of(tmp_path / "set", names)
    call = ["new", str(folder), "--yes"]
    refused = CliRunner().invoke(app, call)
    assert isinstance(refused.exception, FathomError)
    assert "--labels folders takes them for classes, --labels none does not" in str(
        refused.exception
    )
    assert not (folder / "images.csv").exists()
    assert CliRunner().invoke(app, [*call, "--labels", "none"]).exit_code == 0
    table = pd.read_csv(folder / "images.csv")
    assert table["patient"].tolist() == ["patientA", "patientA", "patientB", "patientB"]
    assert "label" not in table
    (folder / "images.csv").unlink()
    assert CliRunner().invoke(app, [*call, "--labels", "folders"]).exit_code == 0
    table = pd.read_csv(folder / "images.csv")
    assert table["label"].tolist() == ["patientA", "patientA", "patientB", "patientB"]


def test_what_is_not_used_is_named(tmp_path):
    folder = images_of(tmp_path / "set", NAMES)
    for name in ("p9_a_1.geojson", "notes.txt", "old.czi"):
        (folder / name).write_text("[]")
    tifffile.imwrite(folder / "p9_a_1_other.tif", label_image(1))
    text = propose(folder).text()
    assert "They fit no image, and are not used: p9_a_1_other.tif, p9_a_1.geojson." in text
    assert "Nothing is made of: notes.txt, old.czi." in text


@pytest.mark.parametrize("um_per_px", [72, 0, -1, float("nan")])
def test_a_scale_that_no_microscope_has_is_refused(tmp_path, um_per_px):
    with pytest.raises(FathomError, match=r"--um-per-px is .*; the width of a pixel in um was exp"):
        propose(images_of(tmp_path / "set", NAMES), um_per_px=um_per_px)


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ([feature("Point", [float("nan"), 3], "ill")], "a point lies at nan, 3.0"),
        ([feature("MultiPoint", [[1, 2], [float("inf"), 3]], "ill")], "a point lies at inf"),
        ([feature("Polygon", [[[0, 0], [float("nan"), 1], [1, 1]]], "ill")], "is no number"),
        ([feature("Point", [41, 3], "ill"), feature("Point", [4, 3], "ill")], "1 of 2 points lie"),
        ([feature("Point", [4, -1], "ill")], r"'p1_a_1.tif', which is 40 x 40 px"),
    ],
)
def test_points_that_no_data_set_may_have_are_refused(tmp_path, features, said):
    folder = images_of(tmp_path / "set", NAMES)
    (folder / "p1_a_1.geojson").write_text(json.dumps(features))
    with pytest.raises(FathomError, match=said):
        propose(folder)


def test_points_made_twice_count_once(tmp_path):
    folder = images_of(tmp_path / "set", NAMES)
    features = [feature("Point", [4, 3], "ill"), feature("MultiPoint", [[4, 3], [9, 9]], "ill")]
    (folder / "p1_a_1.geojson").write_text(json.dumps(features))
    found = propose(folder)
    assert [(point.x, point.y) for point in found.points] == [(4, 3), (9, 9)]
    assert "1 points stand there twice" in found.text()


def test_a_point_lies_in_no_hole_of_its_outline(tmp_path):
    """A ring whose left wall is 6 px wide, the others 2."""
    outer = [[0, 0], [24, 0], [24, 20], [0, 20], [0, 0]]
    hole = [[6, 2], [22, 2], [22, 18], [6, 18], [6, 2]]
    path = tmp_path / "a.geojson"
    for kind, coordinates in (("Polygon", [outer, hole]), ("MultiPolygon", [[outer, hole]])):
        path.write_text(json.dumps([feature(kind, coordinates, "ill")]))
        ((_, x, y, _),), _ = geojson_points(path, "a.tif")
        assert 2 <= x <= 4
        assert 2 <= y <= 18


def test_a_label_image_that_cannot_be_read_leaves_nothing_half_written(tmp_path):
    folder = write_fields(tmp_path / "set", "{}.tif", "{}_masks.tif")
    (folder / "p4_masks.tif").write_bytes(b"none")
    before = sorted(folder.rglob("*"))
    with pytest.raises(FathomError, match=r"p4_masks\.tif: cannot be read"):
        write(propose(folder))
    assert sorted(folder.rglob("*")) == before


def test_two_files_of_one_name_are_refused(tmp_path):
    folder = images_of(tmp_path / "set", ["M\u00fcller", "Mu\u0308ller"])
    with pytest.raises(FathomError, match="differ in how an accent is stored"):
        propose(folder)


def test_one_geojson_file_is_not_of_two_images(tmp_path):
    folder = images_of(tmp_path / "set", ["p1/a", "p2/a"])
    (folder / "drawn").mkdir()
    (folder / "drawn/a.geojson").write_text(json.dumps([feature("Point", [4, 3], "ill")]))
    with pytest.raises(FathomError, match=r"may belong to 'p1/a\.tif' and to 'p2/a\.tif'"):
        propose(folder)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "there is no such folder"),
        (lambda folder: folder.mkdir(), "holds no image"),
    ],
)
def test_a_folder_without_images_is_refused(tmp_path, make, message):
    make(tmp_path / "set")
    with pytest.raises(FathomError, match=message):
        propose(tmp_path / "set")
