"""Small inputs made by code, under the heading 'Tables and names' of docs/files.md: a row each."""

import json
import re
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from audit_params import audit_params
from conftest import draw_field
from model_cards import PARAMS
from tiny_model import write_model
from typer.testing import CliRunner

from fathom.arranging.arrange import propose, write
from fathom.audit.account_checks import audit_accounts
from fathom.audit.image_audit import audit_image_files
from fathom.audit.nucleus_checks import audit_nuclei, audit_pairs, near_duplicate_table
from fathom.cli import app
from fathom.datasets.check import check_dataset
from fathom.datasets.dataset import read_dataset
from fathom.ground.errors import FathomError
from fathom.ground.section import read_section
from fathom.imaging.crop_dataset import crop_dataset
from fathom.imaging.params import Classes, Crop, Segmentation
from fathom.imaging.segment_dataset import segment_dataset
from fathom.models.best_run import best_run
from fathom.scoring.predict import predict_slides, read_patients
from fathom.study.nuclei import read_nuclei
from fathom.study.rows import read_runs

DOCS = Path(__file__).parents[2] / "docs" / "files.md"
SIDE = 160
CROP = Crop.model_validate({**PARAMS["crop"], "crop_px": 32})
MASKS = Segmentation.model_validate({**PARAMS["segmentation"], "method": "masks"})
CASES = {}


def case(function):
    """Make a function a case: it gets a folder, and says what comes out as the docs have it."""
    CASES[function.__name__.replace("_", "-")] = function
    return function


def write_set(folder, slides=6, name="field"):
    """Write a data set with masks, twelve discs a field, and one patient a slide."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    images, points = [], []
    for number in range(slides):
        field, annotated = draw_field(number)
        image = f"images/{name}{number}.tif"
        labels = np.zeros((SIDE, SIDE), np.uint16)
        for nucleus, (x, y) in enumerate(annotated[["x", "y"]].to_numpy(), start=1):
            labels[(rows + 0.5 - y) ** 2 + (columns + 0.5 - x) ** 2 < 64] = nucleus
        tifffile.imwrite(folder / image, field)
        tifffile.imwrite(folder / f"masks/{name}{number}.tif", labels)
        images.append({"image": image, "slide": f"s{number}", "patient": f"p{number}"})
        points.append(annotated.assign(image=image)[["image", "x", "y", "label"]])
    pd.DataFrame(images).to_csv(folder / "images.csv", index=False)
    pd.concat(points).to_csv(folder / "annotations.csv", index=False)
    return folder


def change(folder, table, **columns):
    path = folder / f"{table}.csv"
    content = pd.read_csv(path, dtype=str)
    points = {axis: content[axis].astype(float) for axis in "xy" if axis in content}
    made = {name: make(content.assign(**points)) for name, make in columns.items()}
    content.assign(**made).to_csv(path, index=False)


def findings_of_crops(folder, *, segmented=False):
    """Return the accounts and the findings by name of what is cropped from a data set's masks.

    `segmented`: as the stage `segment` takes them; else they are read as label images.
    """
    dataset, labels = read_dataset(folder), folder / "masks"
    if segmented:
        labels = folder.parent / "labels"
        segment_dataset(dataset, MASKS, labels)
    out = folder.parent / "nuclei"
    accounts = crop_dataset(dataset, labels, Classes(positive="ill"), CROP, out)
    return accounts, {one.name: one for one in audit_accounts(accounts, audit_params())}


def findings_of_images(folder):
    table = audit_image_files(folder, audit_params()).findings
    return dict(zip(table["name"], table["severity"], strict=True))


@case
def points_exchanged(folder):
    write_set(folder, slides=8)
    change(folder, "annotations", x=lambda table: table["y"], y=lambda table: table["x"])
    _, found = findings_of_crops(folder)
    assert "x and y are exchanged" in found["annotations_misread:annotations.csv"].what


@case
def points_upwards(folder):
    write_set(folder, slides=8)
    change(folder, "annotations", y=lambda table: SIDE - table["y"])
    _, found = findings_of_crops(folder)
    assert "counted upwards" in found["annotations_misread:annotations.csv"].what


@case
def points_in_micrometres(folder):
    write_set(folder)
    change(folder, "images", um_per_px=lambda table: 0.5)
    change(folder, "annotations", x=lambda table: table["x"] / 2, y=lambda table: table["y"] / 2)
    with pytest.raises(FathomError, match="If they are micrometres, not pixels, 72 more"):
        findings_of_crops(folder)


@case
def points_of_another_resolution(folder):
    write_set(folder)
    change(folder, "annotations", x=lambda table: table["x"] / 3, y=lambda table: table["y"] / 3)
    with pytest.raises(FathomError, match="If they are of an image of a third of the resolution"):
        findings_of_crops(folder)


@case
def scale_of_the_file(folder):
    write_set(folder)
    path = folder / "images/field3.tif"
    sizes = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25}
    tifffile.imwrite(path, tifffile.imread(path), ome=True, metadata=sizes)
    change(folder, "images", um_per_px=lambda table: 0.5)
    assert findings_of_images(folder) == {"contradicting_scales:images.csv": "warning"}
    change(folder, "images", um_per_px=lambda table: "")
    assert findings_of_images(folder) == {"unknown_scales:images.csv": "warning"}


@case
def points_beside_a_wide_image(folder):
    write_set(folder)
    for number in range(6):
        path = folder / f"images/field{number}.tif"
        tifffile.imwrite(path, tifffile.imread(path)[:90])
        path = folder / f"masks/field{number}.tif"
        tifffile.imwrite(path, tifffile.imread(path)[:90])
    content = pd.read_csv(folder / "annotations.csv")
    content = content[content["y"] < 90].rename(columns={"x": "y", "y": "x"})
    content.to_csv(folder / "annotations.csv", index=False)
    assert any("with x and y exchanged" in fault.what for fault in check_dataset(folder))


@case
def image_that_gives_nothing(folder):
    write_set(folder)
    content = pd.read_csv(folder / "annotations.csv")
    content[content["image"] != "images/field3.tif"].to_csv(folder / "annotations.csv", index=False)
    accounts, found = findings_of_crops(folder)
    assert set(found) == {"nothing_kept:patient p3"}
    assert accounts["nuclei"].sum() == 72


@case
def stray_pixels(folder):
    write_set(folder)
    path = folder / "masks/field0.tif"
    labels = tifffile.imread(path)
    labels[0, 2:14] = np.arange(12, 0, -1)
    tifffile.imwrite(path, labels)
    accounts, _ = findings_of_crops(folder, segmented=True)
    assert accounts["kept"].sum() == 72
    assert findings_of_images(folder) == {"labels_in_pieces:images/field0.tif": "warning"}


@case
def two_specks(folder):
    write_set(folder)
    for number in (0, 1):
        path = folder / f"masks/field{number}.tif"
        labels = tifffile.imread(path)
        labels[2, 2] = 13
        tifffile.imwrite(path, labels)
    content = pd.read_csv(folder / "annotations.csv")
    specks = [[f"images/field{n}.tif", 2.5, 2.5, label] for n, label in ((0, "ill"), (1, "well"))]
    pd.concat([content, pd.DataFrame(specks, columns=content.columns)]).to_csv(
        folder / "annotations.csv", index=False
    )
    findings_of_crops(folder)
    nuclei, params = read_nuclei(folder.parent / "nuclei"), audit_params()
    crops = nuclei.crops()[:]
    found = {one.name for one in audit_nuclei(nuclei, crops, params)}
    assert {"debris:slide s0", "debris:slide s1"} <= found
    assert not list(audit_pairs(near_duplicate_table(nuclei, crops, params)))


@case
def two_scales(folder):
    write_set(folder)
    change(folder, "images", um_per_px=lambda table: np.where(table.index < 3, 0.25, 0.5))
    assert findings_of_images(folder) == {"mixed_scales:images.csv": "error"}


@case
def pixels_that_are_not_square(folder):
    write_set(folder)
    path = folder / "images/field1.tif"
    sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 1.0}
    tifffile.imwrite(path, tifffile.imread(path), ome=True, metadata=sizes)
    for column in ("", 0.5):
        change(folder, "images", um_per_px=lambda table, column=column: column)
        (fault,) = check_dataset(folder)
        assert fault.row == 3
        assert "0.5 um wide and 1 um high; a study takes square ones" in fault.what
        with pytest.raises(FathomError, match="a study takes square ones"):
            read_dataset(folder)
    assert check_dataset(folder, require_labels=False) == []


@case
def two_label_images(folder):
    write_set(folder)
    mask = folder / "masks/field0.tif"
    shutil.copy(mask, mask.with_suffix(".tiff"))
    (fault,) = check_dataset(folder)
    said = "'images/field0.tif' has field0.tif and field0.tiff; keep one"
    assert str(fault) == f"masks: {said}"
    model = write_model(folder / "m.onnx", um_per_px=None, segmentation=MASKS)
    slide, out = folder / "images/field0.tif", folder / "out"
    with pytest.raises(FathomError, match=r"has field0\.tif and field0\.tiff; keep one"):
        predict_slides(model, [slide], out, masks=folder / "masks")
    assert not out.exists()


@case
def patients_as_a_spreadsheet_has_them(folder):
    write_set(folder)
    for one, other in (
        ("007", "7"),
        ("12E3", "1.20E+04"),
        ("1,234", "1234"),
        ("10:30", "0.4375"),
        ("2022-05-25", "25. Mai 2022"),
    ):
        names = [one, other, "a", "b", "c", "d"]
        change(folder, "images", patient=lambda table, names=names: names)
        name = "|".join(sorted((one, other)))
        assert findings_of_images(folder)[f"patient_spellings:{name}"] == "error"


@case
def slides_of_one_patient(folder):
    write_set(folder)
    change(
        folder,
        "images",
        slide=lambda table: ["S-1", "s01", *"cdef"],
        patient=lambda table: ["p0", "p0", *"cdef"],
    )
    assert findings_of_images(folder) == {"slide_spellings:S-1|s01": "error"}


@case
def patient_with_a_blank(folder):
    write_set(folder)
    change(folder, "images", patient=lambda table: ["p1 ", *"bcdef"])
    (fault,) = check_dataset(folder)
    assert "begins or ends with white space" in fault.what


@case
def patients_option(folder):
    folder.mkdir(parents=True)
    table = folder / "patients.csv"
    for text, said in (
        ("image,patient\na.tif,p1 \n", "white space"),
        ("image,patient\na.tif,nan\n", "is not a value"),
        ("image,patient,patient\na.tif,p1,p2\n", "more than once"),
        ("image,patient,Patient\na.tif,p1,p2\n", "more than once"),
        ("image,patient\na.tif,7\nb.tif,007\n", "may be one patient"),
        ("image,patient\na.tif,1.23457E+17\nb.tif,1.23457E+17\n", "several patients may be in"),
    ):
        table.write_text(text)
        images = [Path("a.tif"), Path("b.tif")][: text.count("\n") - 1]
        with pytest.raises(FathomError, match=said):
            read_patients(table, images)


@case
def missing_values_as_text(folder):
    write_set(folder)
    for text in ("nan", "None", "N/A", "#N/A", "#DIV/0!", "#NV", "#BEZUG!", "#VALEUR!", "Err:502"):
        change(folder, "images", patient=lambda table, text=text: [text, *"bcdef"])
        (fault,) = check_dataset(folder)
        assert fault.what == f"'{text}' is not a value"


@case
def label_images_in_a_folder_of_their_own(folder):
    write_set(folder)
    (folder / "masks").rename(folder / "labels")
    for table in ("images", "annotations"):
        (folder / f"{table}.csv").unlink()
    write(propose(folder))
    dataset = read_dataset(folder, require_labels=False)
    assert dataset.images["image"].tolist() == [f"images/field{n}.tif" for n in range(6)]
    assert all(dataset.mask_path(image) for image in dataset.images["image"])


@case
def two_folders_that_may_be_patients(folder):
    write_set(folder)
    for patient in ("patientA", "patientB"):
        (folder / patient).mkdir()
    for number, path in enumerate(sorted((folder / "images").iterdir())):
        path.rename(folder / f"patient{'AB'[number % 2]}" / path.name)
    for table in ("images", "annotations"):
        (folder / f"{table}.csv").unlink()
    shutil.rmtree(folder / "masks")
    asked = CliRunner().invoke(app, ["new", str(folder), "--yes"])
    assert "may be two classes, or two patients" in str(asked.exception)
    assert set(propose(folder, labels="none").images["patient"]) == {"patientA", "patientB"}


@case
def one_class_in_two_spellings(folder):
    write_set(folder)
    change(folder, "annotations", label=lambda table: table["label"].replace("well", "ILL"))
    (fault,) = check_dataset(folder)
    assert "one class, spelled in two ways" in fault.what


@case
def class_without_quotes(folder):
    folder.mkdir(parents=True)
    file = folder / "params.yaml"
    for written in ("0", "yes", "true"):
        file.write_text(f"classes: {{positive: {written}}}")
        with pytest.raises(FathomError, match="in quotes"):
            read_section(Classes, file)


@case
def names_in_two_unicode_forms(folder):
    write_set(folder, name="M\u00fcller")
    for part in ("images", "masks"):
        for path in (folder / part).iterdir():
            path.rename(path.with_name(unicodedata.normalize("NFD", path.name)))
    accounts, _ = findings_of_crops(folder, segmented=True)
    assert accounts["kept"].sum() == 72


@case
def masks_with_capitals_and_litter(folder):
    write_set(folder)
    (folder / "masks/field0.tif").rename(folder / "masks/field0.TIF")
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store"):
        (folder / "masks" / name).write_bytes(b"x")
    accounts, _ = findings_of_crops(folder, segmented=True)
    assert accounts["kept"].sum() == 72


@case
def folder_with_a_difficult_name(folder):
    write_set(folder / "my slides \"\u00fc\" $HOME 'a' & b")
    assert check_dataset(folder / "my slides \"\u00fc\" $HOME 'a' & b") == []
    accounts, _ = findings_of_crops(folder / "my slides \"\u00fc\" $HOME 'a' & b")
    assert accounts["kept"].sum() == 72


@case
def names_of_runs(folder):
    folder.mkdir(parents=True)
    for name in ("small-lr0.001", "deep batch norm", "13"):
        file = folder / "params.yaml"
        file.write_text(f"runs: {{{name}: {{architecture: a, interventions: {{}}}}}}")
        with pytest.raises(FathomError, match="begins with a letter"):
            read_runs(file)


@case
def run_that_diverged(folder):
    folder.mkdir(parents=True)
    for run, diverged, value in (("a", 0, 0.6), ("b", 1, 0.9)):
        numbers = {"validation_balanced_accuracy": value, "final_diverged": diverged}
        (folder / f"{run}.json").write_text(json.dumps(numbers))
    assert best_run(folder, ["a", "b"]) == "a"


@pytest.mark.parametrize("name", CASES)
def test_what_comes_out_is_what_the_docs_say(name, tmp_path):
    CASES[name](tmp_path / "set")
    shutil.rmtree(tmp_path)


def test_the_docs_have_a_row_for_each_case_and_no_other():
    text = DOCS.read_text(encoding="utf-8").partition("## Tables and names")[2]
    rows = re.findall(r"^\| `([a-z-]+)` \|", text.partition("\n## ")[0], re.MULTILINE)
    assert sorted(rows) == sorted(CASES)
