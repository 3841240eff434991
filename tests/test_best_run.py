import json

import pytest

from fathom.ground.errors import FathomError
from fathom.models.best_run import best_run


def write_validation(folder, **measured):
    for run, value in measured.items():
        numbers = {"validation_balanced_accuracy": value, "balanced_accuracy": 1 - value}
        (folder / f"{run}.json").write_text(json.dumps(numbers), encoding="utf-8")


def test_the_best_run_is_the_best_by_validation_and_of_equals_the_first(tmp_path):
    write_validation(tmp_path, a=0.6, b=0.7, c=0.7, d=0.5)
    assert best_run(tmp_path, ["a", "b", "c"]) == "b"
    assert best_run(tmp_path, ["c", "b", "a"]) == "c"
    with pytest.raises(FathomError, match=r"e\.json is missing: run the stage 'compare' first"):
        best_run(tmp_path, ["a", "e"])
