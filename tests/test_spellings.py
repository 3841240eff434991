"""Names of one patient, as people and spreadsheets write them; and names of two."""

import unicodedata

import pytest

from fathom.datasets.spellings import alike, canonical, rounded


@pytest.mark.parametrize(
    "other", ["p7", "P7", "p7 ", " P07", "P-7", "p_07", "P 7", "p007", "p.7", "PO7", "pO07"]
)
def test_spellings_of_one_patient(other):
    assert canonical(other) == canonical("P07")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("p1", "p10"),
        ("p1-2", "p12"),
        ("1.10", "1.1"),
        ("2022-05-25", "2022-05-26"),
        ("p7a", "p7b"),
        ("Olsen", "0lsen2"),
        ("p7", "q7"),
    ],
)
def test_different_patients(one, other):
    assert canonical(one) != canonical(other)


SERIES = [f"1.{number}" for number in range(1, 13)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("007", "7"),
        ("7", "7.0"),
        ("7", "7,0"),
        ("1.10", "1.1"),
        ("12E3", "1.20E+04"),
        ("12000", "1.20E+04"),
        ("100000", "1E5"),
        ("123456789012345678", "1.23457E+17"),
        ("2022-05-25", "25/05/2022"),
        ("2022-05-25", "5/25/22"),
        ("2022-05-25", "25.05.2022"),
        ("2022-05-25", "25-May-2022"),
        ("2022-05-25", "25-May"),
        ("2022-05-25", "May 25, 2022"),
        ("2022-05-25", "2022-05-25 00:00:00"),
        ("2022-05-25", "20220525"),
        ("2022-05-25", "44706"),
        ("1,234", "1234"),
        ("1,234,567", "1234567"),
        ("1'234", "1234"),
        ("1\u202f234", "1234"),
        ("12.000", "12000"),
        ("1.234,5", "1234.5"),
        ("1,234.50", "1234.5"),
        (".5", "0.5"),
        (",5", "0.5"),
        ("1234567890123456789", "1234567890123450000"),
        ("1234567890123456", "1234567890123450"),
        ("50%", "0.5"),
        ("12.5 %", "0,125"),
        ("10:30", "0.4375"),
        ("10:30", "10:30:00 AM"),
        ("22:30", "10:30:00 pm"),
        ("10:20", "0.430555556"),
        ("2022-05-25", "2022-05-25 00:00:00.000"),
        ("2022-05-25", "2022-05-25T00:00:00Z"),
        ("2022-05-25", "5/25/2022 12:00:00 AM"),
        ("2022-05-25", "25. Mai 2022"),
        ("2022-05-25", "25 mai 2022"),
        ("2022-08-02", "2 ao\u00fbt 2022"),
        ("2022-03-01", "1. M\u00e4rz 2022"),
        ("2022-05", "May-22"),
        ("2022-05", "44682"),
        ("2022-05", "05/2022"),
        ("May-22", "44682"),
        ("May-22", "44703"),
        ("1-5", "01. Mai"),
        ("1-3", "01. Mrz"),
        ("1-2", "01-f\u00e9vr"),
        ("DEZ1", "01. Dez"),
        ("OKT2", "02. Okt"),
        ("1-2", "02-Jan"),
        ("MARCH1", "1-Mar"),
        ("SEPT2", "02-Sep"),
        ("p1", "p1 "),
        ("p1", "\u00a0p1"),
        ("p1", "\uff501"),
        ("p\u20131", "p-1"),
        ("M\u00fcller", unicodedata.normalize("NFD", "M\u00fcller")),
        ("M\u00fcller", "M\u00dcLLER"),
    ],
)
def test_what_a_spreadsheet_makes_of_a_name_is_found(one, other):
    assert alike([other, "another", one, one]) == [tuple(sorted((one, other)))]


@pytest.mark.parametrize(
    "names",
    [
        ["p1", "p10", "p11", "p2"],
        SERIES,
        ["2022-05-25", "2022-05-26", "2022-06-25"],
        ["01/02/2022", "02/01/2022"],
        ["1-2", "2-1", "1-12"],
        ["may1", "may2", "marta1", "mara1"],
        [f"May-{day}" for day in range(1, 32)],
        [f"{day:02d}. Mai" for day in range(1, 32)],
        [f"2022-{number:02d}" for number in range(1, 13)],
        ["1,234", "1235", "12,345", "1,2345"],
        ["10:30", "10:31", "0.5"],
        ["5%", "50%", "6"],
        ["2022-05-25 00:00", "2022-05-25 10:30"],
        ["123456789012345678", "123456789012345679"],
        ["M\u00fcller", "Muller"],
        ["+", "-"],
    ],
)
def test_different_names_are_not_bound(names):
    assert alike(names) == []


def test_three_spellings_are_one_group():
    assert alike(["7", "b", "007", "7.0", "B"]) == [("007", "7", "7.0"), ("B", "b")]


def test_which_numbers_a_spreadsheet_rounded():
    assert all(map(rounded, ["1.23457E+17", "1,23457E+17", "1234567890123450000"]))
    assert not any(map(rounded, ["1.20E+02", "1E5", "12E3", "p1.5e9", "1.5", "100000000000"]))
    assert not any(map(rounded, ["1234567890123456789", "1234567890123450"]))
