"""Which instructions compute: what the environment says is replaced, in workers too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_pool import NONSENSE

from fathom.ground.errors import FathomError
from fathom.ground.numerics import environment, pin, read_numerics
from fathom.training.determinism import reproducible

TESTS = Path(__file__).parent
PORTABLE = {
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "COMPATIBLE",
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}
OTHERS = {"PATH": "/bin", "LOKY_MAX_CPU_COUNT": "3", "HOME": "/home/me", "MKLX": "1", "": "?"}
needs_avx2 = pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() == "DEFAULT", reason="this processor has no AVX2"
)


@pytest.mark.parametrize("numerics", ["portable", "native"])
def test_whatever_the_environment_says_of_instructions_is_replaced(numerics):
    more = {
        **{"DNNL_VERBOSE": "1", "ONEDNN_DEFAULT_FPMATH_MODE": "BF16", "ATEN_THREADING": "TBB"},
        **{"MKL_DEBUG_CPU_TYPE": "5", "OPENBLAS_VERBOSE": "2", "NPY_ENABLE_CPU_FEATURES": "ASIMD"},
        **{"GOTO_NUM_THREADS": "4", "OMP_DYNAMIC": "true", "KMP_AFFINITY": "none"},
    }
    found = environment(numerics, {**OTHERS, **NONSENSE, **more})
    native = ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "MKL_CBWR")
    expected = {
        name: text
        for name, text in PORTABLE.items()
        if numerics == "portable" or name not in native
    }
    assert found == {**OTHERS, **expected}


def test_an_environment_that_was_set_is_left_as_it_is():
    once = environment("portable", OTHERS)
    assert environment("portable", once) == once
    assert environment("portable", environment("native", once)) == once


def test_this_process_and_those_it_starts_are_set(monkeypatch):
    for name, text in NONSENSE.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setenv("ONEDNN_VERBOSE", "1")
    for name in ("OPENBLAS_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG"):
        monkeypatch.setenv(name, "0")
    monkeypatch.setenv("MINE", "kept")
    pin("portable")
    assert {name: os.environ.get(name) for name in PORTABLE} == PORTABLE
    assert os.environ["MINE"] == "kept"
    assert "ONEDNN_VERBOSE" not in os.environ
    script = "import os; print(os.environ['MKL_CBWR'], 'DNNL_MAX_CPU_ISA' in os.environ)"
    assert output_of(script, dict(os.environ)) == "COMPATIBLE False"


def output_of(script, environment):
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        cwd=TESTS,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


STAGE = """
import sys
import fathom.ground.stage
assert not {"numpy", "torch"} & set(sys.modules)
import torch
from numpy._core._multiarray_umath import __cpu_features__ as has
print(torch.backends.cpu.get_cpu_capability(), has["AVX2"], has["X86_V4"] or has["AVX512_ICL"])
"""


@needs_avx2
def test_a_stage_computes_with_avx2_whatever_the_environment_says():
    assert output_of(STAGE, os.environ | NONSENSE) == "AVX2 True False"


WORKER = """
import os
from pathlib import Path
import numpy as np
import torch  # too early for this process: what counts is what its workers compute with
from simulated_crops import cell_of, shown_of
from workers_tasks import tell
from fathom.ground.errors import FathomError
from fathom.training import pool
from fathom.training.store import Store

os.environ["PARENT"] = str(os.getpid())
pool._train, folder = tell, Path(os.environ["FOLDER"])
work = [(cell_of(60, dropout=dropout), shown_of(60)) for dropout in (0.1, 0.2)]
try:
    pool.train_cells(work, "portable", Store(folder), at_once=2)
except FathomError:  # nothing was trained
    print(*{path.read_text() for path in folder.iterdir()})
"""


@pytest.mark.long
@needs_avx2
def test_a_worker_computes_with_avx2_whatever_the_environment_says(tmp_path):
    told = output_of(WORKER, os.environ | NONSENSE | {"FOLDER": str(tmp_path)})
    assert told == "True ('AVX2', True, False, 1)"
    assert len(list(tmp_path.iterdir())) == 2


ALONE = """
import os
from pathlib import Path
import numpy as np  # too early: it takes what this processor has
from simulated_crops import cell_of, shown_of
from fathom.ground.errors import FathomError
from fathom.training.pool import train_cells
from fathom.training.store import Store

shown, cells = shown_of(104), [cell_of(104, line="fc64 - fc64 - o", dropout=d) for d in (0, 0.1)]
kept = []
for number in (1, 2):
    store = Store(Path(os.environ["FOLDER"]) / str(number))
    try:
        [trained, *_] = train_cells([(cell, shown) for cell in cells[:number]], "portable", store)
    except FathomError:  # a sentence is as well
        continue
    kept.append(repr(trained.history))
print(len(set(kept)))
"""


@pytest.mark.long
@needs_avx2
def test_a_cell_trained_alone_is_that_of_a_worker_though_numpy_was_imported_first(tmp_path):
    """Other bits under the key of portable ones would stay in the store for ever."""
    bare = {name: text for name, text in os.environ.items() if name not in PORTABLE}
    script = {"FOLDER": str(tmp_path), "LOKY_MAX_CPU_COUNT": "2"}
    assert output_of(ALONE, bare | script) == "1"


@pytest.mark.parametrize("found", ["DEFAULT", "AVX512"])
def test_portable_training_on_other_instructions_is_refused(monkeypatch, found):
    """As without AVX2, or where torch was imported before the environment was set."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: found)
    refused = pytest.raises(FathomError, match=f"needs AVX2 instructions, and torch uses {found}")
    with refused, reproducible("portable"):
        pass
    with reproducible("native"):
        pass


@pytest.mark.parametrize("numerics", ["portable", "native"])
def test_the_numerics_are_read(tmp_path, numerics):
    (tmp_path / "params.yaml").write_text(f"numerics: {numerics}\n")
    assert read_numerics(tmp_path / "params.yaml") == numerics


@pytest.mark.parametrize("text", ["fast", "true", "[portable]", "Portable", "null"])
def test_other_numerics_are_refused_in_a_sentence(tmp_path, text):
    (tmp_path / "params.yaml").write_text(f"numerics: {text}\n")
    message = r"params\.yaml: 'numerics' = .+ must be 'portable' \(.+\) or 'native' \(.+\)"
    with pytest.raises(FathomError, match=message):
        read_numerics(tmp_path / "params.yaml")


def test_numerics_that_are_missing_are_named(tmp_path):
    (tmp_path / "params.yaml").write_text("crop: {}\n")
    with pytest.raises(FathomError, match="numerics"):
        read_numerics(tmp_path / "params.yaml")
