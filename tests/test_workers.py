import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import workers_tasks as tasks

from fathom.ground.errors import FathomError
from fathom.ground.workers import Done, Ended, Failed, Task, outcomes, run


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    """Work on this machine, in a folder of its own."""
    monkeypatch.delenv("FATHOM_SCHEDULER", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_tasks_run_in_this_folder_and_return_what_they_return(here):
    todo = [Task(f"{n}", tasks.write, (Path(f"{n}.txt"), f"text {n}")) for n in range(5)]
    found = dict(run(todo, at_once=2))
    assert sorted(found) == list(range(5))
    assert [(here / f"{n}.txt").read_text() for n in range(5)] == [f"text {n}" for n in range(5)]
    assert os.getpid() not in found.values()
    assert len(set(found.values())) == 2  # a process takes one task after the other


def test_a_process_computes_with_the_instruction_sets_of_its_tasks(monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    names = "ONEDNN_MAX_CPU_ISA", "OMP_NUM_THREADS"
    kinds = ("portable", "native", None, "portable")
    found = dict(run([Task("", tasks.variables, names, kind) for kind in kinds], at_once=1))
    own = os.environ.get("OMP_NUM_THREADS")
    assert found[0] == found[3] == ["AVX2", "1"]
    assert [found[1], found[2]] == [[None, "1"], ["SSE41", own]]


def test_what_a_task_refuses_ends_all_of_it(here):
    todo = [Task("bad", tasks.refuse, ()), Task("slow", tasks.say_and_sleep, (here / "a", 60.0))]
    start = time.monotonic()
    with pytest.raises(FathomError, match=r"crops\.csv: row 3 is no crop"):
        list(run(todo, at_once=2))
    assert time.monotonic() - start < 50


def test_a_fault_comes_with_its_traceback():
    with pytest.raises(RuntimeError, match=r"(?s)in fail.*ZeroDivisionError: a fault"):
        list(run([Task("bad", tasks.fail, ())], at_once=1))


def test_a_task_that_ends_its_process_is_named_when_all_others_are_done(here):
    todo = [Task("the bad one", tasks.end_process, ())]
    todo += [Task(f"{n}", tasks.write, (here / f"{n}", "")) for n in range(4)]
    told = r"of 5 tasks, 1 ended their process 2 times.*: the bad one \(ended by signal 9\)\. All"
    with pytest.raises(FathomError, match=told):
        list(run(todo, at_once=2))
    assert len(list(here.iterdir())) == 4


def test_a_task_whose_process_ended_once_is_done_the_second_time(here):
    todo = [Task("unlucky", tasks.end_once, (here / "marker",))]
    assert dict(run(todo, at_once=1)) == {0: "done"}


def test_outcomes_tell_them_apart():
    todo = [
        Task("", tasks.variables, ()),
        Task("", tasks.refuse, ()),
        Task("", tasks.end_process, ()),
    ]
    found = dict(outcomes(todo, at_once=1))
    assert found[0] == Done([])
    assert isinstance(found[1], Failed)
    assert isinstance(found[1].error, FathomError)
    assert found[2] == Ended("by signal 9")


def test_no_tasks_are_no_work():
    assert list(run([], at_once=4)) == []


def test_without_dask_an_address_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.setenv("FATHOM_SCHEDULER", "tcp://127.0.0.1:1")
    with pytest.raises(FathomError, match=r"Dask is not installed here.*unset FATHOM_SCHEDULER"):
        list(run([Task("", tasks.variables, ())], at_once=1))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_process_ends_with_the_one_that_made_it(here):
    script = (
        "import workers_tasks as tasks\n"
        "from pathlib import Path\n"
        "from fathom.ground.workers import Task, run\n"
        "list(run([Task('', tasks.say_and_sleep, (Path('begun'), 600.0))], 1))"
    )
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    parent = subprocess.Popen(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": paths}
    )
    begun, deadline = here / "begun", time.monotonic() + 120
    while not (begun.exists() and begun.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    parent.kill()
    parent.wait()
    while is_running(int(begun.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_without_a_scheduler_nobody_imports_dask(here):
    script = (
        "import sys, workers_tasks as tasks\n"
        "from fathom.ground.workers import Task, run\n"
        "import fathom.training.pool, fathom.scoring.scorer, fathom.imaging.segment_dataset\n"
        "list(run([Task('', tasks.variables, ())], 1))\n"
        "assert not {'distributed', 'dask'} & set(sys.modules)\n"
    )
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": paths}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=120)
