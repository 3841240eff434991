"""Tasks on a real Dask cluster, whose scheduler and workers are processes of this machine."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pandas as pd
import pytest
import tifffile
import workers_tasks as tasks
from conftest import draw_field
from test_pool import cells_in, content, finish, start_stage, study, wait_until  # noqa: F401
from tiny_model import PARAMS, write_model

pytest.importorskip("distributed")  # of the extra `cluster`

from fathom.datasets.dataset import read_dataset
from fathom.ground import cluster
from fathom.ground.errors import FathomError
from fathom.ground.image_store import ImageStore
from fathom.ground.output import write_json
from fathom.ground.workers import Task, outcomes, run
from fathom.imaging.crop_dataset import crop_dataset
from fathom.imaging.params import Classes, Crop, Segmentation
from fathom.imaging.segment_dataset import segment_dataset
from fathom.scoring.predict import predict_slides

# Dask warns that what is slow is slow, and leaves sockets to be collected.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:distributed"),
]
TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src"


@contextmanager
def started(what: str, *options: str, source: Path = SOURCE, log: Path = Path(os.devnull)):
    """Start a scheduler or a worker; the scheduler has never heard of fathom."""
    known = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    if what == "worker":
        known["PYTHONPATH"] = os.pathsep.join([str(source), str(TESTS)])
    with log.open("ab") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{what}", "--no-dashboard", *options],
            env=known,
            stderr=said,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def scheduler(port: int):
    """Start a scheduler, and wait until it listens."""
    options = "--host", "127.0.0.1", "--port", str(port), "--no-jupyter"
    with started("scheduler", *options) as process:
        wait_until(lambda: listens(port))
        yield process


def listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def worker(address: str, **more):
    return started("worker", address, "--nthreads", "1", "--no-nanny", **more)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="module")
def shared():
    """Return the address of a scheduler with one worker."""
    port = free_port()
    with scheduler(port), worker(f"tcp://127.0.0.1:{port}"):
        yield f"tcp://127.0.0.1:{port}"


@pytest.fixture
def here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def on_cluster(monkeypatch, shared, here):
    """Work on that cluster, in a folder of its own."""
    monkeypatch.setenv("FATHOM_SCHEDULER", shared)
    return here


def test_tasks_run_on_the_cluster_and_a_poisoned_one_is_named(on_cluster):
    """It takes its own process down, twice, and no worker."""
    todo = [Task("the bad one", tasks.end_process, ())]
    todo += [Task(f"{n}", tasks.write, (Path(f"{n}.txt"), f"text {n}")) for n in range(3)]
    found = {}
    with pytest.raises(FathomError, match=r"1 ended their process 2 times.*: the bad one \(ended"):
        found.update(run(todo, at_once=1))
    assert [(on_cluster / f"{n}.txt").read_text() for n in range(3)] == [
        "text 0",
        "text 1",
        "text 2",
    ]
    with pytest.raises(FathomError, match=r"crops\.csv: row 3 is no crop"):
        list(run([Task("bad", tasks.refuse, ())], at_once=1))
    names = "ONEDNN_MAX_CPU_ISA", "LOKY_MAX_CPU_COUNT"
    assert dict(run([Task("", tasks.variables, names)], 1)) == {0: ["AVX2", "1"]}


def test_a_scheduler_that_is_not_there_is_said(here, monkeypatch):
    monkeypatch.setenv("FATHOM_SCHEDULER", f"tcp://127.0.0.1:{free_port()}")
    monkeypatch.setattr(cluster, "ANSWERS_S", 0.5)
    with pytest.raises(FathomError, match=r"no scheduler answers there within 0 s .* or unset it"):
        list(run([Task("", tasks.variables, ())], at_once=1))


@pytest.mark.long
def test_a_worker_of_another_fathom_is_refused(here, monkeypatch):
    other = shutil.copytree(SOURCE, here / "src")
    with (other / "fathom" / "ground" / "output.py").open("a", encoding="utf-8") as file:
        file.write("\nCHANGED = True\n")
    address = f"tcp://127.0.0.1:{(port := free_port())}"
    monkeypatch.setenv("FATHOM_SCHEDULER", address)
    with scheduler(port), worker(address, source=other):
        with pytest.raises(FathomError, match=r"has fathom's code \w{12} \(here \w{12}\): results"):
            list(run([Task("", write_json, (here / "a.json", {}))], at_once=1))
        assert not (here / "a.json").exists()


@pytest.mark.long
def test_a_killed_worker_and_a_restarted_scheduler_lose_nothing(here, monkeypatch, capfd):
    address = f"tcp://127.0.0.1:{(port := free_port())}"
    monkeypatch.setenv("FATHOM_SCHEDULER", address)
    todo = [Task(f"{n}", tasks.say_and_sleep, (here / f"{n}", 4.0)) for n in range(3)]
    found = {}
    waiting = threading.Thread(target=lambda: found.update(outcomes(todo, at_once=1)))
    with ExitStack() as lasting:
        first = lasting.enter_context(scheduler(port))
        with worker(address) as killed:
            waiting.start()
            wait_until((here / "0").exists)
            killed.kill()
        with worker(address):
            wait_until(lambda: len((here / "0").read_text().split()) == 2)  # begun again
            wait_until((here / "1").exists)
            first.kill()
            first.wait()
        lasting.enter_context(scheduler(port))
        lasting.enter_context(worker(address))
        waiting.join(timeout=300)
    assert sorted(found) == [0, 1, 2]
    assert {outcome.value for outcome in found.values()} == {"done"}
    assert "went away; " in capfd.readouterr().err
    assert len((here / "0").read_text().split()) == 2  # done before the scheduler went: not again


INTERRUPTED = """
import sys; sys.path[:0] = sys.argv[1:3]
from pathlib import Path
import workers_tasks as tasks
from fathom.ground.refusals import heed_termination
from fathom.ground.workers import Task, run
heed_termination()
try:
    list(run([Task("", tasks.say_and_sleep, (Path("begun"), 60.0))], at_once=1))
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.long
def test_a_call_that_waits_for_its_scheduler_can_be_ended(here):
    """Dask's client, half connected, had waited a minute in its finaliser."""
    address = f"tcp://127.0.0.1:{(port := free_port())}"
    with scheduler(port) as lost, worker(address):
        call = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED, SOURCE, TESTS],
            env=os.environ | {"FATHOM_SCHEDULER": address}, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        wait_until((here / "begun").exists)
        lost.kill()
        lost.wait()
        for line in call.stderr:
            if "went away; " in line:
                break
        time.sleep(1.0)  # it tries to connect again
        call.send_signal(signal.SIGTERM)
        assert call.wait(30) == 130
        call.stderr.close()


@pytest.mark.long
def test_cells_come_to_the_same_bytes_though_a_worker_is_killed(study):  # noqa: F811
    address = f"tcp://127.0.0.1:{(port := free_port())}"
    with scheduler(port), worker(address), ExitStack() as killed:
        one = killed.enter_context(worker(address))
        stage = start_stage(study, ".cluster", "cluster", cores=1, FATHOM_SCHEDULER=address)
        store = study / ".cluster"
        wait_until(lambda: stage.poll() is not None or len(list(store.glob("*.unfinished"))) >= 2)
        os.kill(one.pid, signal.SIGKILL)
        errors = finish(stage)
    assert "continues after epoch" not in errors  # that is said where it runs
    assert cells_in(store) == cells_in(study / ".alone")
    assert content(study / "cluster") == content(study / "alone")


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.mark.long
def test_images_and_slides_come_to_the_same_bytes(on_cluster, monkeypatch):
    rows, points = ["image,slide,patient"], []
    (on_cluster / "set" / "images").mkdir(parents=True)
    for seed in range(3):
        field, annotations = draw_field(seed)
        tifffile.imwrite(on_cluster / "set" / "images" / f"{seed}.tif", field)
        rows.append(f"images/{seed}.tif,{seed},p")
        points.append(annotations.assign(image=f"images/{seed}.tif"))
    (on_cluster / "set" / "images.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    pd.concat(points)[["image", "x", "y", "label"]].to_csv("set/annotations.csv", index=False)
    write_model(on_cluster / "tiny.onnx")
    dataset = read_dataset(Path("set"))
    segmentation = Segmentation.model_validate(PARAMS["segmentation"])
    crop = Crop.model_validate(PARAMS["crop"])

    def work(out: str) -> dict[str, bytes]:
        store = ImageStore(Path(f".{out}"))
        segment_dataset(dataset, segmentation, Path(out, "labels"), store)
        classes = Classes(positive="ill")
        crop_dataset(dataset, Path(out, "labels"), classes, crop, Path(out, "nuclei"), store)
        slides = sorted(Path("set", "images").iterdir())
        predict_slides(Path("tiny.onnx"), slides, Path(out, "scored"), um_per_px=0.325)
        return files(Path(out))

    there = work("there")
    monkeypatch.delenv("FATHOM_SCHEDULER")
    assert there == work("alone")
    assert len(there) > 12
