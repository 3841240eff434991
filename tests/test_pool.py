"""Many cells at once: stages that are killed or share a store, and what is never trained twice."""

import io
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import nuclei_of
from simulated_crops import PARAMS, assert_same, cell_of, crops_of, half_positive, shown_of

from fathom.ground.errors import FathomError
from fathom.splitting.folds import write_splits
from fathom.study.nuclei import NUCLEUS_COLUMNS, read_nuclei, write_nuclei
from fathom.study.splits import Split
from fathom.training import pool
from fathom.training.cell import Epoch
from fathom.training.pool import FIELDS, _Reporter, train_cells
from fathom.training.store import Store
from fathom.training.trained_rows import HISTORY, PREDICTIONS, PROBES, WEIGHTS

STAGE = Path(__file__).parents[1] / "stages" / "train.py"
SHOWN = shown_of(60)
PATIENCE_S = 600  # for what ends in seconds unless the machine is busy or it never does
# What would choose other kernels, or other ways to add up.
NONSENSE = {
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "DNNL_MAX_CPU_ISA": "SSE41",
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "SSE4_2",
    "MKL_NUM_THREADS": "7",
    "OPENBLAS_CORETYPE": "Prescott",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3",
    "OMP_NUM_THREADS": "2",
}


def set_params(folder: Path, numerics: str = "portable", **recipe) -> None:
    params = {
        "numerics": numerics,
        "recipe": {**PARAMS["recipe"], "epochs": 60, "batch_size": 16, "norm": "batch", **recipe},
        "probes": {"crops": 16, "epochs": [1, 10]},
        "architectures": {"tiny": "8conv3x3 - mp2x2 - fc32 - o"},
        "runs": {"tiny": {"architecture": "tiny", "interventions": {}}},
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return a folder with params.yaml, nuclei, splits, and three small cells, trained alone."""
    folder = tmp_path_factory.mktemp("study")
    positive = half_positive(96)
    slides = [f"s{number // 16}" for number in range(96)]
    table = nuclei_of(slides, positive.tolist()).table.assign(shard="all.npy", row=np.arange(96))
    table = table.assign(**{name: 0 for name in NUCLEUS_COLUMNS if name not in table})
    write_nuclei(folder / "nuclei", table, {"all.npy": crops_of(positive)})
    split = Split(group="slide", folds=2, validation_share=0.3, seed=0)
    write_splits(read_nuclei(folder / "nuclei"), split, folder / "splits")
    set_params(folder)
    finish(start_stage(folder, ".alone", "alone", cores=1))
    return folder


def start_stage(folder: Path, cells: str, out: str, cores: int, **environment: str):
    """Start stages/train.py in `folder`, with as many cells at once as `cores`."""
    return subprocess.Popen(
        [sys.executable, STAGE, "tiny", "nuclei", "splits", cells, out],
        cwd=folder,
        env={**os.environ, "LOKY_MAX_CPU_COUNT": str(cores), **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> str:
    """Return what the stage wrote on standard error."""
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    return errors


def content(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in (PREDICTIONS, HISTORY, PROBES, WEIGHTS)]


def cells_in(store: Path) -> dict[str, bytes]:
    """Return what a store holds: finished cells alone."""
    assert {path.suffix for path in store.iterdir()} == {".cell"}
    return {path.name: path.read_bytes() for path in store.iterdir()}


def children(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for thread in threads for child in thread.read_text().split()]


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until(holds, seconds: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.long
def test_a_killed_stage_leaves_no_process_and_continues_to_the_same_bytes(study):
    """Kill the stage alone, as a machine short of memory does: its workers must notice."""
    killed = start_stage(study, ".cells", "out", cores=2)
    cells = study / ".cells"
    wait_until(lambda: killed.poll() is not None or len(list(cells.glob("*.unfinished"))) >= 2)
    workers = children(killed.pid)
    assert len(workers) >= 2
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    wait_until(lambda: not any(map(is_running, workers)))
    killed.communicate()  # the workers held the other end of its pipe
    assert not (study / "out").exists()
    left = list(cells.glob("*.unfinished"))
    assert left

    errors = finish(start_stage(study, ".cells", "out", cores=2))
    assert errors.count("seed 0: continues after epoch") == len(left)
    assert cells_in(cells) == cells_in(study / ".alone")
    assert content(study / "out") == content(study / "alone")


@pytest.mark.long
def test_a_worker_that_dies_costs_no_byte(study):
    """SIGKILL, as the system sends it to the largest process when memory runs out."""
    stage, cells = start_stage(study, ".dies", "dies", cores=2), study / ".dies"
    wait_until(lambda: stage.poll() is not None or len(list(cells.glob("*.unfinished"))) >= 2)
    os.kill(children(stage.pid)[0], signal.SIGKILL)
    assert "continues after epoch" in finish(stage)
    assert cells_in(cells) == cells_in(study / ".alone")
    assert content(study / "dies") == content(study / "alone")


@pytest.mark.long
def test_two_stages_that_share_a_store_at_once_come_to_the_same_bytes(study):
    started = [start_stage(study, ".shared", out, cores=1) for out in ("one", "other")]
    for process in started:
        finish(process)
    assert content(study / "one") == content(study / "other") == content(study / "alone")
    assert cells_in(study / ".shared") == cells_in(study / ".alone")


@pytest.mark.long
def test_a_stage_that_runs_again_takes_its_networks_from_the_store(study):
    assert finish(start_stage(study, ".alone", "again", cores=1)) == ""
    assert content(study / "again") == content(study / "alone")


@pytest.mark.long
def test_a_stage_trains_the_same_bytes_whatever_the_environment_says(study):
    finish(start_stage(study, ".nonsense", "nonsense", cores=2, **NONSENSE))
    assert content(study / "nonsense") == content(study / "alone")
    assert cells_in(study / ".nonsense") == cells_in(study / ".alone")


@pytest.mark.long
def test_under_native_numerics_the_number_of_cells_at_once_changes_nothing(study, tmp_path):
    for name in ("nuclei", "splits"):
        (tmp_path / name).symlink_to(study / name)
    set_params(tmp_path, "native", epochs=3)
    for cores in (1, 2):
        finish(start_stage(tmp_path, f".cells{cores}", str(cores), cores=cores))
    assert content(tmp_path / "1") == content(tmp_path / "2")


def work_of(*cells):
    return [(cell, SHOWN) for cell in cells]


def cells_of(*seeds, run="tiny", **changes):
    return [replace(cell_of(60, epochs=2, **changes), run=run, seed=seed) for seed in seeds]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a store of the cells of seeds 0 to 3, what they left, and the lines about them.

    Each call of `train_cells` starts a process that imports torch: one is enough for most tests.
    """
    store = Store(tmp_path_factory.mktemp("trained") / "cells")
    lines = io.StringIO()
    with redirect_stderr(lines):
        left = train_cells(work_of(*cells_of(0, 1, 2, 3)), "portable", store, at_once=1)
    return store, left, lines.getvalue().splitlines()


@pytest.fixture
def store(trained, tmp_path):
    """Return a copy of that store."""
    return Store(shutil.copytree(trained[0].folder, tmp_path / "cells"))


@pytest.fixture
def no_training(monkeypatch):
    """Return a function from whose call on handing out a cell is an error."""

    def fail(*_):
        raise AssertionError("a network was trained")

    return lambda: monkeypatch.setattr(pool, "run", fail)


def test_what_a_worker_reports_is_on_the_board_of_the_stage(tmp_path):
    """A reporter reaches its worker as a copy: what it writes must still be seen here."""
    board = np.memmap(tmp_path / "board", np.float64, "w+", shape=(3, FIELDS))
    reporter = pickle.loads(pickle.dumps(_Reporter(tmp_path / "board", 1)))
    reporter(Epoch(4, 0.5, 0.75, 0.25, 0.875))
    assert board.tolist() == [[0, 0, 0], [4, 0.5, 0.25], [0, 0, 0]]


def test_in_a_log_a_cell_is_one_line(trained):
    _, left, lines = trained
    assert [len(one.history) for one in left] == [2] * 4
    assert len(lines) == 4
    for seed, (line, one) in enumerate(zip(lines, left, strict=True)):
        assert line.startswith(f"tiny, fold 0, seed {seed}: 2 epochs, accuracy ")
        assert f"{one.history[-1].validation_accuracy:.3f} in validation" in line


def test_what_is_finished_is_not_trained_again(trained, store, capsys, no_training):
    files = {path.name: path.stat().st_ino for path in store.folder.iterdir()}
    no_training()
    again = train_cells(work_of(*cells_of(0, 1)), "portable", store, at_once=1)
    told = capsys.readouterr()
    assert told.out == f"2 of 2 networks were trained before: taken from {store.folder}\n"
    assert told.err == ""
    assert {path.name: path.stat().st_ino for path in store.folder.iterdir()} == files
    for one, other in zip(trained[1], again, strict=False):
        assert_same(one, other)


def test_only_what_is_missing_is_trained_the_largest_first_and_told_in_their_order(
    trained, store, capsys
):
    """Missing are: a larger network, a smaller one, and under two names one of another dropout."""
    small, large = cells_of(0, line="2conv3x3 - mp2x2 - fc4 - o") + cells_of(0, dropout=0.1)
    same, other_name = cells_of(0, run="same"), replace(large, run="other")
    results = train_cells(work_of(small, large, *same, other_name), "portable", store, at_once=1)
    widths = [len(one.weights["layers.0.convolution.weight"]) for one in results]
    assert widths == [2, 8, 8, 8]
    told = capsys.readouterr()
    assert "1 of 4 networks were trained before" in told.out
    assert told.err.count("2 epochs, accuracy") == 2
    assert_same(results[2], trained[1][0])
    assert_same(results[1], results[3])
    assert results[1].history != results[2].history


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]


@pytest.mark.long
def test_damaged_cells_are_named_and_trained_again_to_the_same_bytes(trained, store, capsys):
    whole = {path: path.read_bytes() for path in sorted(store.folder.iterdir())}
    one, two, three, four = whole
    one.write_bytes(flipped(whole[one]))
    two.write_bytes(whole[two][:-3])
    three.write_bytes(b"")
    four.write_bytes(whole[one])  # of another training
    again = train_cells(work_of(*cells_of(0, 1, 2, 3)), "portable", store, at_once=1)
    errors = capsys.readouterr().err
    for path in whole:
        assert f"{path} is damaged or belongs to another training" in errors
    assert errors.count("2 epochs, accuracy") == 4
    for first, second in zip(trained[1], again, strict=True):
        assert_same(first, second)
    assert {path: path.read_bytes() for path in store.folder.iterdir()} == whole


def test_bfloat16_is_refused_where_numbers_are_to_be_portable(tmp_path, no_training):
    no_training()
    store = Store(tmp_path / "cells")
    work = work_of(*cells_of(0), *cells_of(0, run="half", precision="bfloat16"))
    with pytest.raises(FathomError, match=r"run half: precision 'bfloat16' has other kernels"):
        train_cells(work, "portable", store)
    assert not store.folder.exists()


def test_no_cells_are_no_work(tmp_path):
    store = Store(tmp_path / "cells")
    assert train_cells([], "portable", store) == []


def test_handing_out_cells_needs_no_torch():
    script = """
import sys
import fathom.training.pool, fathom.training.trained_rows, fathom.training.store
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
