import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from tiny_model import make_card

from fathom.scoring.slide_summary import Summary, summarise, verdict, write_summary


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


@pytest.mark.parametrize(
    ("positive", "scored", "expected"),
    [(0, 0, "undecided"), (3, 3, "undecided"), (4, 4, "ill"), (0, 4, "well")],
)
def test_few_nuclei_decide_only_together(positive, scored, expected):
    assert verdict(positive, scored, make_card()) == expected


@pytest.mark.parametrize("scored", [7, 50, 400])
def test_the_verdict_is_withheld_where_chance_could_have_made_the_majority(scored):
    for positive in range(scored + 1):
        interval = binomtest(positive, scored).proportion_ci(0.95, method="wilson")
        expected = "ill" if interval.low > 0.5 else "well" if interval.high < 0.5 else "undecided"
        assert verdict(positive, scored, make_card()) == expected


def test_nuclei_that_were_not_scored_do_not_count():
    row = summarise(nuclei([0.9, 0.8, 0.2, np.nan]), make_card(), "a.tif")
    assert (row.nuclei, row.scored, row.positive) == (4, 3, 2)
    assert row.share_positive == pytest.approx(2 / 3)
    assert row.mean_probability == pytest.approx(1.9 / 3)
    assert (row.verdict, row.remark) == ("undecided", "")


@pytest.mark.parametrize(
    ("probabilities", "remark"),
    [([], "a.tif: no nucleus was found"), ([np.nan], "a.tif: none of its nuclei could be scored")],
)
def test_an_image_without_scores_is_undecided_and_says_why(probabilities, remark):
    row = summarise(nuclei(probabilities), make_card(), "a.tif")
    assert row.verdict == "undecided"
    assert row.remark.startswith(remark)
    assert (row.nuclei, row.scored, row.positive) == (len(probabilities), 0, 0)
    assert row.share_positive is row.mean_probability is None


def test_the_table_is_what_a_spreadsheet_reads(tmp_path):
    rows = [
        Summary("a.tif", 3, 2, 1, 0.5, 1 / 3, "undecided"),
        Summary("b.tif", remark="b.tif: the file is empty (0 bytes)"),
    ]
    write_summary(rows, tmp_path / "out")
    assert (tmp_path / "out" / "summary.csv").read_text(encoding="utf-8") == (
        "image,nuclei,scored,positive,share_positive,mean_probability,verdict,remark\n"
        "a.tif,3,2,1,0.500000,0.333333,undecided,\n"
        "b.tif,,,,,,not scored,b.tif: the file is empty (0 bytes)\n"
    )
