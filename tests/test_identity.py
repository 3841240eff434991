"""A cell's key follows all that decides its numbers, and nothing else."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from simulated_crops import cell_of, shown_of

from fathom.ground import fingerprint as fingerprints
from fathom.ground.fingerprint import closure, code_of, fingerprint
from fathom.networks.recipe import Probes
from fathom.training import identity
from fathom.training.cell import Shown
from fathom.training.identity import TRAINS, gpu, keys_of

N = 60
CELL = replace(cell_of(N), probes=Probes(crops=8, epochs=(1,)))
SHOWN = shown_of(N)


def key(cell=CELL, shown=SHOWN, numerics="portable"):
    [found] = keys_of([cell], [shown], numerics)
    return found


def recipe(**changes):
    return replace(CELL, recipe=CELL.recipe.model_copy(update=changes))


def rows(**changes):
    return replace(CELL, rows={**CELL.rows, **changes})


ONE_PIXEL = SHOWN.crops.copy()
ONE_PIXEL[7, 3, 2, 0] ^= 1
ONE_LABEL = SHOWN.targets.copy()
ONE_LABEL[5] ^= True


@pytest.mark.parametrize(
    "changed",
    [
        {"cell": replace(CELL, line="8conv3x3 - mp2x2 - fc31 - o")},
        {"cell": recipe(learning_rate=0.123)},
        {"cell": recipe(epochs=CELL.recipe.epochs + 1)},
        {"cell": recipe(dropout=0.123)},
        {"cell": recipe(training_nuclei=0.5)},
        {"cell": replace(CELL, probes=None)},
        {"cell": replace(CELL, probes=Probes(crops=9, epochs=(1,)))},
        {"cell": replace(CELL, probes=Probes(crops=8, epochs=(2,)))},
        {"cell": replace(CELL, fold=1)},
        {"cell": replace(CELL, fold=-1)},
        {"cell": replace(CELL, seed=1)},
        {"cell": rows(train=CELL.rows["train"][:-1])},
        {"cell": rows(train=CELL.rows["train"][::-1])},
        {"cell": rows(validation=CELL.rows["validation"][1:])},
        {"cell": rows(test=np.arange(5))},
        {"shown": Shown(ONE_PIXEL, SHOWN.targets)},
        {"shown": Shown(SHOWN.crops[::-1], SHOWN.targets)},
        {"shown": Shown(SHOWN.crops.reshape(N, 6, 24, 1), SHOWN.targets)},
        {"shown": Shown(SHOWN.crops, ONE_LABEL)},
        {"numerics": "native"},
    ],
)
def test_what_decides_the_numbers_changes_the_key(changed):
    assert key(**changed) != key()


def test_fields_that_change_places_change_the_key():
    assert key(replace(CELL, fold=2, seed=3)) != key(replace(CELL, fold=3, seed=2))
    assert key(rows(test=np.arange(5))) != key(rows(other=np.arange(5)))


def test_the_runs_name_and_the_recipes_other_seeds_are_no_part_of_the_key():
    assert key(replace(CELL, run="another")) == key()
    assert key(recipe(seeds=(0, 1, 2, 3))) == key()


def test_arrays_of_other_memory_have_the_key_of_their_values():
    strided = np.repeat(SHOWN.crops, 2, axis=0)[::2]
    assert not strided.flags["C_CONTIGUOUS"]
    assert key(shown=Shown(strided, SHOWN.targets.copy())) == key()


def test_keys_stand_in_the_order_of_their_cells():
    other = Shown(ONE_PIXEL, SHOWN.targets)
    cells, shown = [CELL, CELL, replace(CELL, seed=1)], [SHOWN, other, SHOWN]
    expected = [key(cell, one) for cell, one in zip(cells, shown, strict=True)]
    assert keys_of(cells, shown, "portable") == expected
    assert len(set(expected)) == 3


def test_another_version_of_a_package_changes_the_key(monkeypatch):
    before = key()
    real = identity.version
    for package in ("torch", "numpy", "scipy", "scikit-learn"):
        told = {package: "0.0.1"}
        monkeypatch.setattr(identity, "version", lambda name, told=told: told.get(name, real(name)))
        assert key() != before


def test_native_numbers_are_those_of_one_processor_and_portable_ones_of_none(monkeypatch):
    portable, native = key(), key(numerics="native")
    monkeypatch.setattr(identity, "processor", lambda: "another")
    assert key(numerics="native") != native
    assert key() == portable


def test_native_numbers_are_those_of_one_gpu(monkeypatch):
    native = key(numerics="native")
    monkeypatch.setattr(identity, "gpu", lambda: "another")
    assert key(numerics="native") != native


def test_without_a_gpu_there_is_no_name():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        assert gpu() == ""


def test_a_fingerprint_tells_arrays_of_equal_bytes_and_split_texts_apart():
    zeros = np.zeros(4, np.uint8)
    told = [zeros, zeros.reshape(2, 2), zeros.view("u4"), np.zeros(5, np.uint8)]
    assert len({fingerprint(one) for one in told}) == 4
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
    assert fingerprint("ab") != fingerprint("ab", "")


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """Return a copy of fathom's sources whose code is fingerprinted."""
    for path in closure(TRAINS):
        copied = tmp_path / path.relative_to(fingerprints.SOURCES)
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_bytes(path.read_bytes())
    monkeypatch.setattr(fingerprints, "SOURCES", tmp_path)
    code_of.cache_clear()
    yield tmp_path / "fathom"
    code_of.cache_clear()


def edited(path, before, after):
    """Return the code's fingerprint with `path` edited; leave the file as it was."""
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), "utf-8")
    code_of.cache_clear()
    found = code_of(TRAINS)
    path.write_text(text, "utf-8")
    return found


@pytest.mark.parametrize(
    ("module", "before", "after"),
    [
        ("training/training.py", "LSUV_CROPS = 128", "LSUV_CROPS = 129"),
        ("training/optimisers.py", "mul_(1 - share)", "mul_(1 + share)"),
        ("training/batches.py", "SYMMETRIES = 8", "SYMMETRIES = 4"),
        ("networks/units.py", "@ weight.detach()", "+ weight.detach()"),
        ("networks/layers.py", "import", "import sys\nimport"),
        ("ground/streams.py", '"weights", "order"', '"order", "weights"'),
    ],
)
def test_edited_code_changes_the_key(sources, module, before, after):
    own, whole = code_of(TRAINS), key()
    assert edited(sources / module, before, after) != own
    code_of.cache_clear()
    assert key() == whole


def test_comments_docstrings_and_blank_lines_are_no_code(sources):
    own = code_of(TRAINS)
    path = sources / "training" / "training.py"
    assert edited(path, "LSUV_CROPS = 128", "# a comment\n\n\nLSUV_CROPS = 128  # another") == own
    for words in ("Training one cell", "Train a cell from its checkpoint", "A cell between two"):
        assert edited(path, words, "Other words, of") == own
    assert edited(path, "continues after epoch", "goes on after epoch") != own  # no docstring


def test_code_that_is_not_imported_there_is_no_part_of_the_key(sources):
    own = code_of(TRAINS)
    (sources / "training" / "runs.py").write_text("whatever = 1\n", "utf-8")
    code_of.cache_clear()
    assert code_of(TRAINS) == own


def test_the_code_is_what_importing_the_training_really_loads():
    script = f"""
import sys
import {TRAINS}
loaded = (module for name, module in sys.modules.items() if name.startswith("fathom."))
print(*(module.__file__ for module in loaded), sep="\\n")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    loaded = {Path(line) for line in done.stdout.split("\n") if line}
    modules = {path for path in loaded if path.name != "__init__.py"}  # these import nothing
    assert {path.resolve() for path in closure(TRAINS)} == modules
