import numpy as np
import pandas as pd
import pytest
from model_cards import make_card

from fathom.models.abstention import Abstention
from fathom.results.summary import (
    Counts,
    ScoredSlide,
    Summary,
    summary_of,
    summary_of_slide,
    verdict,
    write_patients,
    write_summary,
)
from fathom.slides.stated_resolution import Resolution
from fathom.statistics.metrics import wilson_interval


def nuclei(probabilities, threshold=0.5):
    probability = np.array(probabilities, dtype=float)
    scored = ~np.isnan(probability)
    named = np.where(probability >= threshold, "ill", "well")
    return pd.DataFrame(
        {
            "left_out": np.where(scored, "", "touches the border"),
            "probability": probability,
            "class": pd.Series(named, dtype="str").where(scored),
        }
    )


def card_with(band):
    abstention = Abstention(confidence=0.9, group="slide", groups=20, band=band)
    return make_card(abstention=abstention)


@pytest.mark.parametrize(
    ("positive", "scored", "band", "expected"),
    [
        (0, 0, 0.0, "undecided"),
        (3, 3, 0.0, "undecided"),  # so few can be so by chance
        (4, 4, 0.0, "ill"),
        (0, 4, 0.0, "well"),
        (701, 1000, 0.2, "ill"),
        (699, 1000, 0.2, "undecided"),  # one half is within the band
        (700, 1000, 0.2, "undecided"),
        (301, 1000, 0.2, "undecided"),
        (299, 1000, 0.2, "well"),
        (520, 1000, 0.01, "undecided"),  # within chance
        (1000, 1000, 0.5, "undecided"),
        (1000, 1000, 1.0, "undecided"),
    ],
)
def test_a_verdict_needs_both_the_band_and_enough_nuclei(positive, scored, band, expected):
    assert verdict(positive, scored, card_with(band)) == expected


@pytest.mark.parametrize("card", [make_card(), card_with(None)])
def test_a_model_without_a_band_never_decides(card):
    assert verdict(1000, 1000, card) == "undecided"


@pytest.mark.parametrize("scored", [1, 7, 50, 400])
def test_the_interval_holds_the_share_and_stays_between_0_and_1(scored):
    for positive in range(scored + 1):
        low, high = wilson_interval(positive, scored, 0.95)
        assert 0 <= low <= positive / scored <= high <= 1


def test_the_interval_is_wilsons():
    """81 of 263: Newcombe 1998, Stat. Med. 17:857, table I, method 3 (without continuity)."""
    assert wilson_interval(81, 263, 0.95) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20, 0.95) == pytest.approx((0, 0.1611), abs=5e-5)


def test_nuclei_that_were_not_scored_do_not_count():
    row = summary_of(Counts.of(nuclei([0.9, 0.8, 0.2, np.nan]), make_card()), make_card(), "a.tif")
    assert (row.nuclei, row.scored, row.positive) == (4, 3, 2)
    assert row.share_positive == pytest.approx(2 / 3)
    assert row.mean_probability == pytest.approx(1.9 / 3)
    assert (row.verdict, row.remark) == ("undecided", "")


@pytest.mark.parametrize(
    ("probabilities", "remark"),
    [([], "a.tif: no nucleus was found"), ([np.nan], "a.tif: none of its nuclei could be scored")],
)
def test_an_image_without_scores_is_undecided_and_says_why(probabilities, remark):
    row = summary_of(Counts.of(nuclei(probabilities), make_card()), make_card(), "a.tif")
    assert row.verdict == "undecided"
    assert row.remark.startswith(remark)
    assert (row.nuclei, row.scored, row.positive) == (len(probabilities), 0, 0)
    assert row.share_positive is row.mean_probability is None


def test_the_row_of_a_slide_says_who_states_its_resolution():
    scored = ScoredSlide(Counts(4, 3, 2, 1.9), Resolution(0.4, "assumption"))
    row = summary_of_slide(scored, make_card(), "a.tif")
    assert (row.um_per_px, row.um_per_px_stated_by, row.scored) == (0.4, "assumption", 3)


def test_tallies_of_batches_add_up_to_that_of_the_image():
    table = nuclei([0.9, 0.8, np.nan, 0.2, 0.6, np.nan])
    parts = [Counts.of(table.iloc[k : k + 2], make_card()) for k in (0, 2, 4)]
    whole = sum(parts, Counts())
    assert whole == Counts(6, 4, 3, pytest.approx(2.5))
    assert Counts.of(table, make_card()) == whole


def test_the_table_is_what_a_spreadsheet_reads(tmp_path):
    rows = [
        Summary("a.tif", 3, 2, 1, 0.5, 0.1, 0.9, 1 / 3, 0.25, 0.5, "file", "undecided"),
        Summary("b.tif", remark="b.tif: the file is empty (0 bytes)"),
    ]
    write_summary(rows, tmp_path / "out")
    assert (tmp_path / "out" / "summary.csv").read_text(encoding="utf-8") == (
        "image,nuclei,scored,positive,share_positive,share_low,share_high,mean_probability,band,"
        "um_per_px,um_per_px_stated_by,verdict,remark\n"
        "a.tif,3,2,1,0.500000,0.100000,0.900000,0.333333,0.250000,0.500000,file,undecided,\n"
        "b.tif,,,,,,,,,,,not scored,b.tif: the file is empty (0 bytes)\n"
    )


def test_a_patient_is_the_nuclei_of_all_images(tmp_path):
    tallies = [
        Counts(60, 50, 45, 40.0),
        None,
        Counts(0, 0, 0, 0.0),
        Counts(60, 50, 45, 42.0),
        None,
    ]
    patients = ["p2", "p2", "p1", "p2", "p3"]
    table = write_patients(tallies, patients, card_with(0.3), tmp_path)
    assert list(table["patient"]) == ["p2", "p1", "p3"]
    assert list(table["images"]) == [3, 1, 1]
    first, second, third = table.to_dict("records")
    assert (first["nuclei"], first["scored"], first["positive"]) == (120, 100, 90)
    assert (first["share_positive"], first["mean_probability"]) == (0.9, pytest.approx(0.82))
    assert (first["verdict"], first["band"]) == ("ill", 0.3)
    assert first["remark"] == "p2: 1 of 3 images could not be scored"
    assert (second["verdict"], second["remark"][:24]) == ("undecided", "p1: no nucleus was found")
    assert (third["verdict"], third["remark"]) == (
        "not scored",
        "p3: 1 of 1 images could not be scored",
    )
    assert (tmp_path / "summary_by_patient.csv").is_file()
