import json

import pytest

from fathom.ground.errors import FathomError
from fathom.models.best_run import best_run


def write_validation(folder, **measured):
    for run, value in measured.items():
        numbers = {"validation_balanced_accuracy": value, "balanced_accuracy": 1 - value}
        (folder / f"{run}.json").write_text(json.dumps(numbers), encoding="utf-8")


FAILED = [({"final_diverged": 1}, "diverged"), ({"final_constant": 1}, "the same answer")]


@pytest.mark.parametrize(("failed", "said"), FAILED)
def test_a_run_whose_final_network_failed_is_never_chosen(tmp_path, failed, said):
    write_validation(tmp_path, a=0.6, b=0.9)
    sound = {"final_diverged": 0, "final_constant": 0}
    for run, more in (("a", sound), ("b", sound | failed)):
        path = tmp_path / f"{run}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | more))
    assert best_run(tmp_path, ["a", "b"]) == "a"
    with pytest.raises(FathomError, match=f"network that can be used: b .*{said}"):
        best_run(tmp_path, ["b"])


def test_the_best_run_is_the_best_by_validation_and_of_equals_the_first(tmp_path):
    write_validation(tmp_path, a=0.6, b=0.7, c=0.7, d=0.5)
    assert best_run(tmp_path, ["a", "b", "c"]) == "b"
    assert best_run(tmp_path, ["c", "b", "a"]) == "c"
    with pytest.raises(FathomError, match=r"e\.json is missing: run the stage 'compare' first"):
        best_run(tmp_path, ["a", "e"])
