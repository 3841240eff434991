"""A minute of training against the committed hash of every operation: the same bits here?"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fathom.ground.processor import processor_name

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "benchmarks" / "results" / "golden.json"


def first_difference(committed, found):
    """Return the name of the first operation whose hash is not the committed one, or None."""
    names = [*committed, *(name for name in found if name not in committed)]
    return next((name for name in names if committed.get(name) != found.get(name)), None)


def is_listed(processor):
    return processor in (ROOT / "docs" / "reproducibility.md").read_text(encoding="utf-8")


def test_the_first_operation_that_differs_is_named():
    committed = {"weights": "1", "forward": "2", "step": "3"}
    assert first_difference(committed, dict(committed)) is None
    assert first_difference(committed, {**committed, "forward": "9", "step": "8"}) == "forward"
    assert first_difference(committed, {"weights": "1", "forward": "2"}) == "step"
    assert first_difference(committed, {**committed, "more": "4"}) == "more"


def test_the_processor_of_the_committed_hashes_is_listed():
    assert is_listed(json.loads(GOLDEN.read_text(encoding="utf-8"))["processor"])


@pytest.mark.long
def test_a_training_has_the_committed_bits(capsys):
    command = [sys.executable, ROOT / "benchmarks" / "bits.py", "golden"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found = dict(json.loads(line) for line in done.stdout.splitlines())
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    first = first_difference(golden["hashes"], found)
    if first is None:
        return
    told = (
        f"{processor_name()} computes other bits than {golden['processor']}: the first operation "
        f"that differs is '{first}' (docs/reproducibility.md)"
    )
    if is_listed(processor_name()):
        pytest.fail(told)
    with capsys.disabled():
        print(f"\n{'!' * 100}\n{told}\nThis processor is not listed there: nothing is promised.")
        print("!" * 100)
    pytest.skip(told)
