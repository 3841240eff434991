from math import nan

import pandas as pd
import pytest
from matplotlib.image import imread
from test_diagnosis import ROWS
from test_verdict import LIMITS

from fathom.diagnosis.diagnosis import case_of
from fathom.diagnosis.verdict import judge
from fathom.reports.layer_plots import draw_verdicts, layers_of


def probes(scale=1.0):
    """Return probes of two cells, three layers and the input, at the start and the end."""
    rows = [
        {
            "fold": fold,
            "epoch": epoch,
            "place": place,
            "between_samples": scale * (1 + fold) * 10.0 ** -(place + epoch),
            "readability": 0.5 + place / 100 + fold / 10 if place and epoch else nan,
        }
        for fold in (0, 1)
        for epoch in (0, 7)
        for place in range(4)
    ]
    return pd.DataFrame(rows)


def test_layers_are_medians_over_cells_at_the_start_and_the_end():
    found = layers_of(probes())
    assert found["start"].tolist() == pytest.approx([1.5 * 10.0**-place for place in range(4)])
    assert found["end"].tolist() == pytest.approx(
        [1.5 * 10.0 ** -(place + 7) for place in range(4)]
    )
    assert found["readability"].tolist()[1:] == pytest.approx([0.56, 0.57, 0.58])
    assert pd.isna(found["readability"][0])


def test_every_verdict_has_its_picture_and_the_same_numbers_the_same_bytes(tmp_path):
    verdicts = [judge(case_of("deep", ROWS, 48), LIMITS)]
    tables = {name: probes(scale) for scale, name in enumerate(ROWS)}  # one of them is all 0
    for folder in (tmp_path / "one", tmp_path / "two"):
        draw_verdicts(verdicts, tables, folder)
    one, two = (tmp_path / name / "deep.png" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    assert imread(one).shape[1] == 1200
