import unicodedata
from pathlib import Path

import pytest

from fathom.ground.errors import FathomError
from fathom.scoring.predict import read_patients

IMAGES = [Path("day1/a.tif"), Path("day2/a.tif"), Path("b.tif")]
TABLE = "image,patient,note\nday1/a.tif,007,x\nday2/a.tif,8,\nb.tif,007,\nnever.tif,9,\n"


@pytest.fixture
def table(tmp_path):
    def write(text):
        path = tmp_path / "patients.csv"
        path.write_bytes(text.encode("utf-8"))
        return path

    return write


def test_patients_by_path_and_by_name_as_text(table):
    assert read_patients(table(TABLE), IMAGES) == ["007", "8", "007"]
    assert read_patients(table("\ufeff" + TABLE), [Path("elsewhere/b.tif")]) == ["007"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TABLE.replace("b.tif", "c.tif"), "the image 'b.tif' is missing; give every image one row"),
        (TABLE + "b.tif,9,\n", "the image 'b.tif' has 2 patients: 007, 9"),
        (TABLE.replace("b.tif,007", "b.tif,"), r"csv, row 4, column 'patient': is empty"),
        (TABLE.replace("b.tif,007", "b.tif, 007"), "' 007' begins or ends with white space"),
        (TABLE.replace("b.tif,007", "b.tif,007 "), "'007 ' begins or ends with white space"),
        (TABLE.replace("b.tif,007", "b.tif,nan"), "'nan' is not a value"),
        (TABLE.replace("note", "patient"), "column 'patient': is there more than once"),
        (TABLE.replace("b.tif,007", "b.tif,7"), "'007' and '7' may be one patient, who would be"),
        (TABLE.replace("note", " patient"), "is there more than once: 'patient', ' patient'"),
        (TABLE.replace("note", "Patient"), "is there more than once: 'patient', 'Patient'"),
        (TABLE.replace("note", "Image "), "'image': is there more than once: 'image', 'Image '"),
        (
            TABLE.replace("007", "1.23457E+17"),
            r"'1.23457E\+17' is a number that a spreadsheet rounded, and several patients",
        ),
        (TABLE.replace("b.tif,007,", "b.tif,007"), "row 4: has 2 cells where the header has 3"),
        ("image,person\na.tif,1\n", "column 'patient': is missing; there is only: image, person"),
        ("image;patient\na.tif;1\n", "commas must separate the cells"),
        ("", "is empty; the first line must be: image,patient"),
        ('image,patient\n"a,1\n', "is not CSV from here on"),
    ],
)
def test_what_is_wrong_is_said(table, text, message):
    with pytest.raises(FathomError, match=message):
        read_patients(table(text), IMAGES)


def test_names_are_found_in_either_unicode_form(table):
    written = unicodedata.normalize("NFD", "image,patient\nM\u00fcller.tif,\u00e9\n")
    assert read_patients(table(written), [Path("M\u00fcller.tif")]) == ["\u00e9"]
    composed = table(unicodedata.normalize("NFC", written))
    images = [Path(unicodedata.normalize("NFD", "M\u00fcller.tif"))]
    assert read_patients(composed, images) == ["\u00e9"]


def test_no_table(tmp_path):
    with pytest.raises(FathomError, match=r"none\.csv: there is no such table of patients"):
        read_patients(tmp_path / "none.csv", IMAGES)
