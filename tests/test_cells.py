import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import nuclei_of
from simulated_crops import PARAMS, cell_of, crops_of, half_positive

from fathom.imaging.nuclei import COLUMNS, read_nuclei, write_nuclei
from fathom.params.data import Split
from fathom.splitting.folds import write_splits
from fathom.training.cells import checkpoints_of, train_cells
from fathom.training.runs import HISTORY, PREDICTIONS, WEIGHTS

STAGE = Path(__file__).parents[1] / "stages" / "train.py"


@pytest.fixture
def study(tmp_path):
    """Return a folder with params.yaml, nuclei and splits of three small cells."""
    positive = half_positive(96)
    slides = [f"s{number // 16}" for number in range(96)]
    table = nuclei_of(slides, positive.tolist()).table.assign(shard="all.npy", row=np.arange(96))
    table = table.assign(**{name: 0 for name in COLUMNS if name not in table})
    write_nuclei(tmp_path / "nuclei", table, {"all.npy": crops_of(positive)})
    split = Split(group="slide", folds=2, validation_share=0.3, seed=0)
    write_splits(read_nuclei(tmp_path / "nuclei"), split, tmp_path / "splits")
    params = {
        "recipe": {**PARAMS["recipe"], "epochs": 60, "batch_size": 16, "norm": "batch"},
        "probes": {"crops": 16, "epochs": [1, 10]},
        "architectures": {"tiny": "8conv3x3 - mp2x2 - fc32 - o"},
        "runs": {"tiny": {"architecture": "tiny", "interventions": {}}},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    return tmp_path


def start_stage(folder: Path, out: str, cores: int) -> subprocess.Popen:
    """Start stages/train.py in `folder`, with as many cells at once as `cores`."""
    command = [sys.executable, STAGE, "runs", "tiny", "nuclei", "splits"]
    return subprocess.Popen(
        [*command, ".checkpoints", out],
        cwd=folder,
        env={**os.environ, "LOKY_MAX_CPU_COUNT": str(cores), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> str:
    """Return what the stage wrote on standard error."""
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return errors


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until(holds, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_killed_stage_leaves_no_process_and_continues_to_the_same_bytes(study):
    """Kill the stage alone, as a machine short of memory does: its workers must notice."""
    finish(start_stage(study, "unkilled", cores=1))

    killed = start_stage(study, "out", cores=2)
    checkpoints = study / ".checkpoints"
    wait_until(lambda: killed.poll() is not None or len(list(checkpoints.glob("tiny*"))) >= 2)
    workers = children(killed.pid)
    assert len(workers) >= 2
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    wait_until(lambda: not any(map(is_running, workers)), seconds=20)
    killed.communicate()  # the workers held the other end of its pipe
    assert not (study / "out").exists()
    left = sorted(path.name for path in checkpoints.glob("tiny*"))

    errors = finish(start_stage(study, "out", cores=2))
    for name in left:
        fold = name.split(".")[1].removeprefix("fold")
        part = "final model" if fold == "-1" else f"fold {fold}"
        assert f"tiny, {part}, seed 0: continues after epoch" in errors
    assert list(checkpoints.iterdir()) == []
    for name in (PREDICTIONS, HISTORY, WEIGHTS):
        assert (study / "out" / name).read_bytes() == (study / "unkilled" / name).read_bytes(), name


def test_in_a_log_a_cell_is_one_line(tmp_path, capsys):
    targets = half_positive(60)
    cells = [replace(cell_of(60, epochs=2), seed=seed) for seed in (3, 4)]
    crops = crops_of(targets)
    trained = train_cells(
        cells, crops, targets, checkpoints_of(cells, crops, targets, tmp_path), at_once=1
    )
    assert [len(one.history) for one in trained] == [2, 2]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    for line, seed, one in zip(lines, (3, 4), trained, strict=True):
        assert line.startswith(f"tiny, fold 0, seed {seed}: 2 epochs, accuracy ")
        assert f"{one.history[-1].validation_accuracy:.3f} in validation" in line
