"""The final network is tested itself: diverged, constant, or sound."""

import numpy as np
import pandas as pd
import pytest
from model_cards import make_card

from fathom.ground.errors import ModelError
from fathom.packaging.card import model_card
from fathom.statistics.final_network import final_numbers
from fathom.statistics.scores import Study

N = 20
NAMES = [f"n{i}" for i in range(N)]
POSITIVE = np.arange(N) % 2 == 0
STUDY = Study(pd.Index(NAMES), POSITIVE, np.zeros(N, np.int64), 1, ("well", "ill"))


def write(folder, probability, losses):
    """Write what training leaves of a final network (fold -1) and of two folds'."""
    rows = pd.DataFrame({"nucleus": NAMES, "fold": -1, "seed": 0, "part": "validation"})
    rows.assign(probability=probability).to_parquet(folder / "predictions.parquet")
    history = [
        {"fold": fold, "seed": 0, "epoch": epoch, "validation_loss": loss}
        for fold, of_fold in losses.items()
        for epoch, loss in enumerate(of_fold, start=1)
    ]
    pd.DataFrame(history).to_parquet(folder / "history.parquet")


SOUND = {-1: [0.7, 0.6], 0: [0.7, 0.6], 1: [0.7, np.nan]}
RIGHT = np.where(POSITIVE, 0.9, 0.2)


@pytest.mark.parametrize(
    ("probability", "losses", "expected"),
    [
        (RIGHT, SOUND, (0, 0, 0, 1.0)),
        (np.full(N, 0.5), SOUND, (0, 0, 1, 0.5)),
        (np.full(N, 0.5) + 1e-8 * POSITIVE, SOUND, (0, 0, 1, 0.5)),
        (np.where(POSITIVE, np.nan, 0.2), SOUND, (0, 0, 1, 0.5)),
        (RIGHT, SOUND | {-1: [np.nan, np.nan]}, (0, 1, 0, 1.0)),
        (RIGHT, SOUND | {-1: [0.7, np.nan]}, (0, 0, 0, 1.0)),
        (RIGHT, SOUND | {0: [np.nan, np.nan]}, (1, 0, 0, 1.0)),
    ],
)
def test_what_is_said_of_a_runs_final_network(tmp_path, probability, losses, expected):
    write(tmp_path, probability, losses)
    assert tuple(final_numbers(tmp_path, STUDY).values()) == expected


@pytest.mark.parametrize("key", ["final_diverged", "final_constant"])
def test_a_model_that_failed_says_so_and_is_refused_unless_it_is_forced(tmp_path, key):
    card = make_card(metrics={key: 1, "balanced_accuracy": 0.5})
    assert "**Not to be used**" in model_card(card, "0" * 64)
    with pytest.raises(ModelError, match=r"m\.onnx: the network .*--force"):
        card.require_sound(tmp_path / "m.onnx")
    sound = make_card(metrics={key: 0, "balanced_accuracy": 0.5})
    assert "Not to be used" not in model_card(sound, "0" * 64)
    sound.require_sound(tmp_path / "m.onnx")
