"""Every fault has a test that asserts the file, the row, the column and what is said."""

import unicodedata

import numpy as np
import pytest
import tifffile
from PIL import Image

from fathom.datasets.check import check_dataset
from fathom.datasets.dataset import read_dataset
from fathom.ground.errors import FathomError

WIDTH, HEIGHT = 12, 8
IMAGES = [
    "image,slide,patient,label,um_per_px",
    "images/a.tif,s1,p1,ill,0.5",
    "images/b.tif,s2,p2,well,",
]
NUCLEI = ["image,x,y,label", "images/a.tif,2,3,ill", "images/b.tif,4.5,6,well"]
UNLABELLED = ["image,slide,patient", "images/a.tif,s1,p1", "images/b.tif,s2,p2"]


@pytest.fixture
def folder(tmp_path):
    """A sound data set with a label an image; a test breaks it."""
    folder = tmp_path / "set"
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for name in "abc":
        tifffile.imwrite(folder / f"images/{name}.tif", np.ones((HEIGHT, WIDTH), np.uint16))
    write(folder, "images.csv", IMAGES)
    return folder


def write(folder, name, lines):
    (folder / name).write_text("\n".join([*lines, ""]), encoding="utf-8")


def faults(folder, **options):
    return [str(fault) for fault in check_dataset(folder, **options)]


def faults_of_images(folder, lines, **options):
    write(folder, "images.csv", lines)
    return faults(folder, **options)


def faults_of_nuclei(folder, lines, **options):
    write(folder, "images.csv", UNLABELLED)
    write(folder, "annotations.csv", lines)
    return faults(folder, **options)


@pytest.mark.parametrize("other", ["Ill", "ILL", "\uff49ll"])
def test_one_class_spelled_in_two_ways(folder, other):
    lines = [IMAGES[0], "images/a.tif,s1,p1,ill,", f"images/b.tif,s2,p2,{other},"]
    (found,) = faults_of_images(folder, lines)
    assert "are one class, spelled in two ways" in found
    lines[2] = "images/b.tif,s2,p2,ill-,"
    assert faults_of_images(folder, lines) == []


@pytest.mark.parametrize(("table", "disk"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_a_name_is_found_in_whichever_unicode_form_it_is_on_disk(folder, table, disk):
    name = "images/pr\u00e9l\u00e8vement/M\u00fcller.tif"
    written, file = unicodedata.normalize(table, name), unicodedata.normalize(disk, name)
    (folder / file).parent.mkdir()
    tifffile.imwrite(folder / file, np.ones((HEIGHT, WIDTH), np.uint16))
    mask = unicodedata.normalize(disk, "pr\u00e9l\u00e8vement/M\u00fcller.tif")
    write_mask(folder, mask, np.tri(HEIGHT, WIDTH, dtype=np.uint8))
    write(folder, "images.csv", [*UNLABELLED, f"{written},s3,p3"])
    points = [*NUCLEI, f"{unicodedata.normalize(disk, name)},1,1,ill"]
    write(folder, "annotations.csv", points)
    assert faults(folder) == []
    dataset = read_dataset(folder)
    assert dataset.images["image"].iloc[-1] == name
    assert (dataset.annotations["image"] == name).sum() == 1
    assert dataset.path(name).is_file()
    assert dataset.mask_path(name) is not None


@pytest.mark.parametrize("suffix", [".TIF", ".Tif", ".TIFF", ".PNG"])
def test_masks_with_a_suffix_in_capitals_are_masks(folder, suffix):
    labels = np.tri(HEIGHT, WIDTH, dtype=np.uint8)
    save = Image.fromarray(labels).save if suffix == ".PNG" else None
    path = folder / "masks" / f"a{suffix}"
    save(path) if save else tifffile.imwrite(path, labels)
    assert faults(folder) == []
    assert read_dataset(folder).mask_path("images/a.tif") == path


@pytest.mark.parametrize(
    "name", ["Thumbs.db", "desktop.ini", ".DS_Store", "._a.tif", "ehthumbs.db", "p1/Thumbs.db"]
)
def test_what_a_file_manager_leaves_behind_is_no_mask(folder, name):
    (folder / "masks" / name).parent.mkdir(exist_ok=True)
    (folder / "masks" / name).write_bytes(b"x")
    assert faults(folder) == []


def write_mask(folder, name, labels):
    path = folder / "masks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        Image.fromarray(labels).save(path)
    else:
        tifffile.imwrite(path, labels)


def test_sound_data_sets_have_no_fault(folder):
    assert faults(folder) == []
    assert faults_of_nuclei(folder, NUCLEI) == []
    (folder / "annotations.csv").unlink()
    assert faults(folder, require_labels=False) == []


# The folder and the form of its tables


def test_missing_folder(tmp_path):
    assert faults(tmp_path / "no") == [f"{tmp_path}/no: there is no such folder"]


def test_empty_folder(tmp_path):
    assert faults(tmp_path) == [
        f"images.csv: is missing from {tmp_path}; its first line must be: "
        "image,slide,patient,label,um_per_px"
    ]


def test_table_that_is_a_folder(folder):
    (folder / "annotations.csv").mkdir()
    assert faults(folder) == ["annotations.csv: cannot be read: Is a directory"]


def test_what_only_follows_from_a_fault_of_form_is_not_said(folder):
    write_mask(folder, "a.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    (folder / "annotations.csv").write_bytes(b"\xff")
    write(folder, "images.csv", UNLABELLED)
    assert faults(folder) == [
        "annotations.csv, row 1: is not UTF-8 text; save the table as CSV UTF-8"
    ]
    write(folder, "annotations.csv", [line.replace("label", "class") for line in NUCLEI])
    assert faults(folder) == [
        "annotations.csv, row 1, column 'label': is missing; there is only: image, x, y, class",
        "annotations.csv, row 1, column 'class': is not one of image, x, y, label",
    ]
    write(folder, "annotations.csv", NUCLEI)
    write(folder, "images.csv", [line.replace("image,", "file,") for line in UNLABELLED])
    assert faults(folder) == [
        "images.csv, row 1, column 'image': is missing; there is only: file, slide, patient",
        "images.csv, row 1, column 'file': is not one of image, slide, patient, label, um_per_px",
    ]


def test_table_without_a_header(folder):
    (folder / "images.csv").write_text("\n\n")
    assert faults(folder) == [
        "images.csv, row 1: is empty; the first line must be: image,slide,patient,label,um_per_px"
    ]


def test_table_that_is_not_utf8(folder):
    (folder / "images.csv").write_bytes(
        "\n".join([*IMAGES, "images/c.tif,µ,p,ill,"]).encode("cp1252")
    )
    assert faults(folder) == ["images.csv, row 4: is not UTF-8 text; save the table as CSV UTF-8"]


def test_byte_order_mark_windows_line_ends_and_blank_lines_are_accepted(folder):
    (folder / "images.csv").write_bytes(("\r\n".join([*IMAGES, "", ""])).encode("utf-8-sig"))
    assert faults(folder) == []
    assert list(read_dataset(folder).images["patient"]) == ["p1", "p2"]


def test_semicolons_for_commas(folder):
    found = faults_of_images(folder, [line.replace(",", ";") for line in IMAGES])
    assert found[0] == (
        "images.csv, row 1, column 'image': is missing; there is only: "
        "image;slide;patient;label;um_per_px; commas must separate the cells"
    )


def test_quote_that_never_ends(folder):
    assert faults_of_images(folder, [*IMAGES, 'images/c.tif,"s3,p3,ill,']) == [
        "images.csv, row 4: is not CSV from here on: unexpected end of data"
    ]


def test_rows_are_counted_as_an_editor_does(folder):
    lines = [IMAGES[0], "", 'images/a.tif,s1,"p\n1",ill,', "images/b.tif,s2,,well,"]
    assert faults_of_images(folder, lines) == [
        "images.csv, row 3, column 'patient': 'p\\n1' holds a character that cannot be printed",
        "images.csv, row 5, column 'patient': is empty",
    ]


def test_ragged_rows(folder):
    lines = [IMAGES[0], "images/a.tif,s1,p1,ill", "images/b.tif,s2,p2,well,,"]
    assert faults_of_images(folder, lines) == [
        "images.csv, row 2: has 4 cells where the header has 5",
        "images.csv, row 3: has 6 cells where the header has 5",
    ]


def test_missing_unknown_and_repeated_columns(folder):
    lines = ["image,slide,label,Patient,slide", *(f"images/{c}.tif,s,{c},p,s" for c in "ab")]
    assert faults_of_images(folder, lines) == [
        "images.csv, row 1, column 'slide': is there more than once: 'slide', 'slide'",
        "images.csv, row 1, column 'patient': is missing; "
        "there is only: image, slide, label, Patient, slide",
        "images.csv, row 1, column 'Patient': is not one of "
        "image, slide, patient, label, um_per_px",
    ]


@pytest.mark.parametrize("column", ["image", "slide", "patient"])
def test_empty_cell(folder, column):
    lines = [",".join("" if c == column else f"images/{c}.tif" for c in IMAGES[0].split(",")[:3])]
    found = faults_of_images(folder, [*UNLABELLED, *lines], require_labels=False)
    assert f"images.csv, row 4, column '{column}': is empty" in found


@pytest.mark.parametrize(
    "text",
    [
        *("nan", "NaN", "Nan", "-nan", "-nan(ind)", "NaT", "None", "null", "NULL", "<NA>", r"\N"),
        *("N/A", "n/a", "#N/A", "#DIV/0!", "#NULL!", "#NAME?", "#SPILL!", "Err:502", "####"),
        *("#NV", "#BEZUG!", "#WERT!", "#ZAHL!", "#\u00dcBERLAUF!"),
        *("#VALEUR!", "#NOM?", "#NUL!", "#NOMBRE!", "#N/D"),
    ],
)
def test_not_a_number_for_a_name(folder, text):
    lines = [*IMAGES[:2], f"images/b.tif,{text},p2,well,"]
    assert faults_of_images(folder, lines) == [
        f"images.csv, row 3, column 'slide': '{text}' is not a value"
    ]


@pytest.mark.parametrize("text", ["NA", "none", "Nancy", "#7", "#4!", "N", "Null", "Err"])
def test_what_may_be_a_name_is_one(folder, text):
    rows = ["image,slide,patient", f"images/a.tif,{text},p1", "images/b.tif,s2,p2"]
    assert faults_of_images(folder, rows, require_labels=False) == []


def test_white_space_around_a_name_is_one_fault(folder):
    lines = [*IMAGES, "images/c.tif ,s3,p3, ill,"]
    assert faults_of_images(folder, lines) == [
        "images.csv, row 4, column 'image': 'images/c.tif ' begins or ends with white space",
        "images.csv, row 4, column 'label': ' ill' begins or ends with white space",
    ]


def test_white_space_for_a_name(folder):
    assert faults_of_images(folder, [*IMAGES, "images/c.tif,s3,  ,ill,"]) == [
        "images.csv, row 4, column 'patient': holds white space only"
    ]


# Paths and files


@pytest.mark.parametrize("path", ["../x.tif", "/x.tif", "images/../../x.tif", "images/../a.tif"])
def test_path_that_leaves_the_folder(folder, path):
    tifffile.imwrite(folder.parent / "x.tif", np.ones((HEIGHT, WIDTH), np.uint8))
    assert faults_of_images(folder, [*IMAGES, f"{path},s3,p3,ill,"]) == [
        f"images.csv, row 4, column 'image': '{path}' leaves the folder; give the path inside it"
    ]


@pytest.mark.parametrize(
    ("path", "long"),
    [
        (f"images/{'ü' * 110}.tif", "a name of 224 bytes, where 200 are the most"),
        (f"{'a' * 150}/{'ü' * 120}.tif", "a name of 244 bytes, where 200 are the most"),
        ("9" * 256, "a name of 256 bytes, where 200 are the most"),
        ("a/" * 2100 + "c.tif", "a path of 4205 bytes, where 2000 are the most"),
    ],
)
def test_path_that_no_system_has(folder, path, long):
    """An error of the system once: no file can be looked for under such a name."""
    assert faults_of_images(folder, [*IMAGES, f"{path},s3,p3,ill,"]) == [
        f"images.csv, row 4, column 'image': '{path[:40]}...' is too long: {long}; "
        "give the file a shorter name"
    ]


@pytest.mark.parametrize("path", ["./images/c.tif", "images//c.tif", "images/c.tif/", "."])
def test_path_that_is_written_in_a_roundabout_way(folder, path):
    assert faults_of_images(folder, [*IMAGES, f"{path},s3,p3,ill,"]) == [
        f"images.csv, row 4, column 'image': '{path}' is not the plain path of a file, "
        "such as images/a.tif"
    ]


def test_backslash(folder):
    assert faults_of_images(folder, [*IMAGES, "images\\c.tif,s3,p3,ill,"]) == [
        "images.csv, row 4, column 'image': 'images\\c.tif': folders are separated by '/', "
        "not by a backslash"
    ]


def test_mask_for_an_image(folder):
    write_mask(folder, "a.tif", np.ones((HEIGHT, WIDTH), np.uint8))
    assert faults_of_images(folder, [*IMAGES, "masks/a.tif,s3,p3,ill,"]) == [
        "images.csv, row 4, column 'image': 'masks/a.tif' lies in masks/, which is for label images"
    ]


def test_link_to_a_file_elsewhere_is_accepted(folder):
    """`dvc config cache.type symlink` makes every file of a data set such a link."""
    elsewhere = (folder / "images/a.tif").rename(folder.parent / "cached")
    (folder / "images/a.tif").symlink_to(elsewhere)
    assert faults(folder) == []


def test_image_that_is_listed_twice(folder):
    assert faults_of_images(folder, [*IMAGES, IMAGES[1]]) == [
        "images.csv, row 4, column 'image': 'images/a.tif' is in row 2 already"
    ]


@pytest.mark.parametrize("twin", ["images/a.png", "a.tif"])
def test_images_that_would_share_a_label_image(folder, twin):
    Image.new("L", (WIDTH, HEIGHT)).save(folder / "images/a.png")
    tifffile.imwrite(folder / "a.tif", np.ones((HEIGHT, WIDTH), np.uint8))
    assert faults_of_images(folder, [*IMAGES, f"{twin},s3,p3,ill,"]) == [
        f"images.csv, row 4, column 'image': '{twin}' and 'images/a.tif' in row 2 would share "
        "the label image 'a.tif'; rename one"
    ]


def test_missing_image(folder):
    (folder / "images/b.tif").unlink()
    assert faults(folder) == [
        "images.csv, row 3, column 'image': images/b.tif: there is no such file"
    ]


def test_zero_byte_image(folder):
    (folder / "images/b.tif").write_bytes(b"")
    assert faults(folder) == [
        "images.csv, row 3, column 'image': images/b.tif: the file is empty (0 bytes)"
    ]


@pytest.mark.parametrize("suffix", ["tif", "png", "jpg"])
def test_truncated_and_unreadable_images(folder, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    whole, cut, text = (folder / f"images/{name}.{suffix}" for name in ("whole", "cut", "text"))
    if suffix == "tif":
        tifffile.imwrite(whole, noise)
    else:
        Image.fromarray(noise).save(whole)
    cut.write_bytes(whole.read_bytes()[:-1000])
    text.write_bytes(b"no picture at all")
    lines = [f"images/{p.name},{p.name},p3,ill," for p in (whole, cut, text)]
    found = faults_of_images(folder, [*IMAGES, *lines])
    assert len(found) == 2
    what = "is truncated" if suffix == "tif" else "cannot be read"
    assert found[0].startswith(f"images.csv, row 5, column 'image': images/cut.{suffix}: {what}")
    assert found[1].startswith(f"images.csv, row 6, column 'image': images/text.{suffix}: ")


def test_image_of_a_kind_that_cannot_be_used(folder):
    tifffile.imwrite(folder / "images/a.tif", np.ones((HEIGHT, WIDTH), np.float32))
    (folder / "images/b.tif").rename(folder / "images/b.czi")
    lines = [line.replace("b.tif", "b.czi") for line in IMAGES]
    assert faults_of_images(folder, lines) == [
        "images.csv, row 2, column 'image': images/a.tif: holds float32 numbers; "
        "8- or 16-bit unsigned integers were expected. Save it as such",
        "images.csv, row 3, column 'image': images/b.czi: "
        "'.czi' is not one of .tif, .tiff, .png, .jpg, .jpeg",
    ]


# Slides, patients, scale


def test_slide_under_two_patients(folder):
    lines = [*IMAGES[:2], "images/b.tif,s1,p2,well,"]
    assert faults_of_images(folder, lines) == [
        "images.csv, row 3, column 'patient': "
        "slide 's1' has the patient 'p2' here and 'p1' in row 2"
    ]


def test_patient_under_two_labels(folder):
    lines = [*IMAGES[:2], "images/b.tif,s2,p1,well,"]
    assert faults_of_images(folder, lines) == [
        "images.csv, row 3, column 'label': "
        "patient 'p1' has the label 'well' here and 'ill' in row 2"
    ]


def test_patient_may_have_nuclei_of_both_classes(folder):
    write(folder, "annotations.csv", NUCLEI)
    assert faults_of_images(folder, [UNLABELLED[0], *(f"images/{c}.tif,s,p" for c in "ab")]) == []


@pytest.mark.parametrize("text", ["0", "-0.5", "inf", "half", "0_5", '"0,5"', "325"])
def test_scale_that_no_pixel_has(folder, text):
    shown = text.strip('"')
    assert faults_of_images(folder, [*IMAGES, f"images/c.tif,s3,p3,ill,{text}"]) == [
        f"images.csv, row 4, column 'um_per_px': '{shown}' is not the width of a pixel in um, 0.01 "
        "to 20.0; leave it empty where it is not known"
    ]


def test_scale_that_is_nan(folder):
    assert faults_of_images(folder, [*IMAGES, "images/c.tif,s3,p3,ill,NaN"]) == [
        "images.csv, row 4, column 'um_per_px': 'NaN' is not a value"
    ]


# Classes


def test_no_image(folder):
    assert faults_of_images(folder, IMAGES[:1]) == ["images.csv: lists no image"]
    assert faults_of_images(folder, IMAGES[:1], require_labels=False) == []


def test_no_label_at_all(folder):
    none = "there must be exactly two classes, not 0"
    assert faults_of_images(folder, UNLABELLED) == [f"images.csv, column 'label': {none}"]
    assert faults_of_nuclei(folder, NUCLEI[:1]) == [f"images.csv, column 'label': {none}"]


def test_only_one_class(folder):
    assert faults_of_nuclei(folder, [*NUCLEI[:2], "images/b.tif,1,1,ill"]) == [
        "annotations.csv, column 'label': there must be exactly two classes, not 1: "
        "'ill' (count 2, first in annotations.csv, row 2)"
    ]


@pytest.mark.parametrize("require_labels", [True, False])
def test_three_classes(folder, require_labels):
    lines = [*IMAGES, "images/c.tif,s3,p3,Well,", "images/d.tif,s4,p4,well,"]
    tifffile.imwrite(folder / "images/d.tif", np.ones((HEIGHT, WIDTH), np.uint8))
    assert faults_of_images(folder, lines, require_labels=require_labels) == [
        "images.csv, column 'label': there must be exactly two classes, not 3: "
        "'well' (count 2, first in images.csv, row 3); "
        "'ill' (count 1, first in images.csv, row 2); "
        "'Well' (count 1, first in images.csv, row 4)"
    ]


def test_empty_class_of_an_image(folder):
    lines = [*IMAGES, "images/c.tif,s3,p3,,"]
    assert faults_of_images(folder, lines) == [
        "images.csv, row 4, column 'label': is empty, and no nucleus of the image is in "
        "annotations.csv"
    ]
    assert faults(folder, require_labels=False) == []


def test_empty_class_of_a_nucleus(folder):
    assert faults_of_nuclei(folder, [*NUCLEI, "images/b.tif,1,1,"]) == [
        "annotations.csv, row 4, column 'label': is empty"
    ]


def test_one_image_may_have_a_label_and_another_one_annotations(folder):
    write(folder, "annotations.csv", [NUCLEI[0], NUCLEI[2]])
    assert faults_of_images(folder, [*IMAGES[:2], "images/b.tif,s2,p2,,"]) == []


def test_label_of_an_image_and_annotations_in_it(folder):
    write(folder, "annotations.csv", [NUCLEI[0], NUCLEI[2]])
    assert faults(folder) == [
        "annotations.csv, row 2, column 'image': 'images/b.tif' has a label of its own, in row 3 "
        "of images.csv; an image has one label or its nuclei have, not both"
    ]


# Annotations


def test_annotation_of_an_image_that_is_not_listed(folder):
    assert faults_of_nuclei(folder, [*NUCLEI, "images/c.tif,1,1,ill"]) == [
        "annotations.csv, row 4, column 'image': 'images/c.tif' is not an image of images.csv"
    ]


def test_many_points_outside_that_are_inside_once_x_and_y_are_exchanged(folder):
    points = [f"images/b.tif,{x},{y},ill" for x, y in ((1, 8), (2, 9), (3, 11))]
    found = faults_of_nuclei(folder, [NUCLEI[0], "images/a.tif,2,3,well", *points])
    assert len(found) == 3
    assert all(
        one.endswith("with x and y exchanged every point lies inside its image") for one in found
    )
    found = faults_of_nuclei(folder, [*NUCLEI, *points, "images/a.tif,11,3,ill"])
    assert not any("exchanged" in one for one in found)


@pytest.mark.parametrize(("x", "y"), [("12", "0"), ("-0.1", "0"), ("0", "8"), ("0", "1e9")])
def test_annotation_outside_of_its_image(folder, x, y):
    column, text, last = ("x", x, 11) if y == "0" else ("y", y, 7)
    assert faults_of_nuclei(folder, [*NUCLEI, f"images/b.tif,{x},{y},ill"]) == [
        f"annotations.csv, row 4, column '{column}': {text} lies outside of 'images/b.tif', "
        f"0 to {last}"
    ]


def test_annotations_in_the_corners_lie_inside(folder):
    corners = ["images/b.tif,0,0,ill", "images/b.tif,11.9,7.9,ill"]
    assert faults_of_nuclei(folder, [*NUCLEI, *corners]) == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("left", "'left' is not a number"),
        ("-inf", "'-inf' is not a number"),
        ("nan", "'nan' is not a value"),
        ("", "is empty"),
    ],
)
def test_coordinate_that_is_not_a_number(folder, text, what):
    assert faults_of_nuclei(folder, [*NUCLEI, f"images/b.tif,1,{text},ill"]) == [
        f"annotations.csv, row 4, column 'y': {what}"
    ]


def test_annotation_made_twice(folder):
    assert faults_of_nuclei(folder, [*NUCLEI, "images/b.tif,4.50,6.0,well"]) == [
        "annotations.csv, row 4: is the annotation of row 3 once more"
    ]


def test_two_labels_for_a_point_are_left_to_the_crop_stage(folder):
    assert faults_of_nuclei(folder, [*NUCLEI, "images/b.tif,4.5,6,ill"]) == []


# Masks


def test_masks_of_every_kind_are_accepted(folder):
    labels = np.zeros((HEIGHT, WIDTH), np.uint16)
    write_mask(folder, "a.png", labels)
    labels[1, 1], labels[3, 3] = 1, 2
    write_mask(folder, "b.tiff", labels.astype(np.uint8))
    (folder / "masks/.DS_Store").write_text("")
    assert faults(folder) == []


def test_mask_of_another_shape(folder):
    write_mask(folder, "b.png", np.zeros((WIDTH, HEIGHT), np.uint8))
    assert faults(folder) == ["masks/b.png: is 8 x 12 px, its image 'images/b.tif' 12 x 8 px"]


def test_mask_that_is_not_a_label_image(folder):
    write_mask(folder, "a.tif", np.zeros((HEIGHT, WIDTH), np.float32))
    write_mask(folder, "b.png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    found = faults(folder)
    assert [fault.split(":")[0] for fault in found] == ["masks/a.tif", "masks/b.png"]
    assert all(": a label image is grey and whole-numbered" in fault for fault in found)


def test_mask_that_cannot_be_read(folder):
    (folder / "masks/b.png").write_bytes(b"")
    assert faults(folder) == ["masks/b.png: the file is empty (0 bytes)"]


def test_black_and_white_mask(folder):
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[1, 1] = 255
    write_mask(folder, "a.png", labels)
    assert faults(folder) == []  # one nucleus, whatever its number
    labels[5, 5] = 255
    write_mask(folder, "a.png", labels)
    assert faults(folder) == [
        "masks/a.png: holds one number, 255, in 2 separate pieces: that is a black and white "
        "picture; a label image has a number of its own for each nucleus"
    ]


def test_mask_of_no_image(folder):
    write_mask(folder, "p1/c.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    write_mask(folder, "a.bmp.tif", np.zeros((HEIGHT, WIDTH), np.uint8))
    (folder / "masks/b.npy").write_text("")
    assert faults(folder) == [
        "masks/a.bmp.tif: is the mask of no image: images.csv has none called 'a.bmp'",
        "masks/b.npy: '.npy' is not one of .png, .tif, .tiff",
        "masks/p1/c.png: is the mask of no image: images.csv has none called 'p1/c'",
    ]


def test_label_masks_are_of_an_image_and_of_its_size(folder):
    black_and_white = np.zeros((HEIGHT, WIDTH), np.uint8)
    black_and_white[[1, 6], [1, 9]] = 255
    write_mask(folder, "../label_masks/a.png", black_and_white)
    assert faults(folder) == []
    write_mask(folder, "../label_masks/b.png", black_and_white.T)
    write_mask(folder, "../label_masks/z.png", black_and_white)
    assert faults(folder) == [
        "label_masks/b.png: is 8 x 12 px, its image 'images/b.tif' 12 x 8 px",
        "label_masks/z.png: is the mask of no image: images.csv has none called 'z'",
    ]


def test_two_masks_of_one_image(folder):
    for name in ("b.png", "b.tif"):
        write_mask(folder, name, np.zeros((HEIGHT, WIDTH), np.uint8))
    assert faults(folder) == ["masks: 'images/b.tif' has b.png and b.tif; keep one"]


# All of it


def test_every_fault_is_named_in_one_go(folder):
    (folder / "images/a.tif").write_bytes(b"")
    write(folder, "images.csv", [*IMAGES, "images/c.tif,,p3,,-1", "../d.tif,s4,p1,well,"])
    write(folder, "annotations.csv", [NUCLEI[0], "images/x.tif,a,1,ill", "images/c.tif,1,99,"])
    write_mask(folder, "z.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    with pytest.raises(FathomError) as caught:
        read_dataset(folder)
    places = [line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:]]
    assert places == [
        "images.csv, row 2, column 'image'",
        "images.csv, row 4, column 'slide'",
        "images.csv, row 4, column 'um_per_px'",
        "images.csv, row 5, column 'image'",
        "images.csv, row 5, column 'label'",
        "annotations.csv, row 2, column 'image'",
        "annotations.csv, row 2, column 'x'",
        "annotations.csv, row 3, column 'label'",
        "annotations.csv, row 3, column 'y'",
        "masks/z.png",
    ]
    assert str(caught.value).startswith(f"the data set {folder} has 10 faults:\n")
