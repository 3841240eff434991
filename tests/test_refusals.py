"""What the system refuses ends in a sentence, the exit code 2, and whole results."""

import errno
import os
import resource
import signal
import subprocess
import sys
from shutil import which

import pytest
import tifffile
from conftest import draw_field, write_simulated_dataset
from tiny_model import ROOT, write_model

from fathom.ground.refusals import refusal

MB = 1 << 20
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a/b.npy"), "a/b.npy: the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "a"), "a: permission denied"),
        (OSError(errno.EROFS, "Read-only file system"), "the disk is read-only"),
        (OSError("4096 requested and 1024 written"), "the disk is full"),  # numpy.save
        (OSError("Can't write data (..., errno = 28, error message = ...)"), "the disk is full"),
        (OSError("[Errno 27] Error writing bytes to file"), "larger than is allowed"),  # pyarrow
        (OSError(errno.ENAMETOOLONG, "File name too long", "9.tif"), "9.tif: no file can have so"),
        (MemoryError(), "memory ran out"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "memory ran out"),
        (RuntimeError("std::bad_alloc"), "memory ran out"),
        (ImportError("libx.so: failed to map segment from shared object"), "memory ran out"),
    ],
)
def test_a_refusal_is_told(error, told):
    assert told in refusal(error)


@pytest.mark.parametrize(
    "error", [ValueError("a"), OSError("a"), FileNotFoundError(errno.ENOENT, "No such file", "a")]
)
def test_a_fault_of_fathoms_is_none(error):
    assert refusal(error) is None


def stage(folder, name, *words, limit=None, prefix=()):
    """Run a stage script; `limit` is called in the process before."""
    command = [*prefix, sys.executable, ROOT / "stages" / f"{name}.py", *words]
    return subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, preexec_fn=limit, check=False,
        capture_output=True, text=True,
    )  # fmt: skip


def assert_told(done, *words):
    assert done.returncode == 2, done
    assert "Traceback" not in done.stderr, done.stderr
    for word in words:
        assert word in done.stderr


def content(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def no_file_beyond(size):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def no_memory_beyond(size):
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return a folder with a data set and the project's params."""
    folder = tmp_path_factory.mktemp("study")
    write_simulated_dataset(folder / "set", slides=4)
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text(encoding="utf-8"))
    return folder


@pytest.fixture(scope="module")
def scoring(study):
    """Return the same folder with a model and two slides."""
    write_model(study / "model.onnx", um_per_px=None)
    for seed in range(2):
        tifffile.imwrite(study / f"slide{seed}.tif", draw_field(seed)[0])
    return study


def test_a_stage_on_a_full_disk_says_so_and_leaves_no_half_of_a_file(study, tmp_path):
    command = ("segment", "set", tmp_path / "store", tmp_path / "labels")
    assert_told(stage(study, *command, limit=no_file_beyond(300)), "segment: ")
    assert not list(tmp_path.rglob("*.part"))
    assert not list((tmp_path / "labels").rglob("*.tif"))


def test_a_data_set_that_changes_while_a_stage_reads_it_is_told(study, tmp_path):
    write_simulated_dataset(tmp_path / "set", slides=2)
    changes = """
import sys; sys.path.insert(0, sys.argv.pop(1))
import fathom.ground.stage
def read(dataset: str) -> None:
    with open(f"{dataset}/images/field01.tif", "ab") as file:
        file.write(b"more")
fathom.ground.stage.run(read)
"""
    done = subprocess.run(
        [sys.executable, "-c", changes, ROOT / "src", tmp_path / "set"],
        env=ENVIRONMENT, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert_told(done, "field01.tif: changed while this stage read the data set")


def test_a_stage_that_is_ended_leaves_no_temporary_file(tmp_path):
    """SIGTERM, as a job scheduler sends it."""
    waits = """
import sys, tempfile, time; sys.path.insert(0, sys.argv.pop(1))
import fathom.ground.stage
def wait() -> None:
    with tempfile.TemporaryDirectory():
        print("ready", flush=True)
        time.sleep(60)
fathom.ground.stage.run(wait)
"""
    with subprocess.Popen(
        [sys.executable, "-c", waits, ROOT / "src"],
        env=ENVIRONMENT | {"TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) != 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wait", ["time.sleep(60)", "queue.SimpleQueue().get()"])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_is_ended_in_a_finaliser_ends(how, wait):
    """Python drops what a finaliser raises: the interrupt would be lost."""
    loses = f"""
import os, queue, sys, time; sys.path.insert(0, sys.argv.pop(1))
import signal; signal.signal(signal.SIGINT, signal.default_int_handler)
from fathom.ground.refusals import heed_termination
class Open:
    def __del__(self):
        os.kill(os.getpid(), {int(how)})
        time.sleep(60)
heed_termination()
one = Open()
try:
    del one
    {wait}
except KeyboardInterrupt:
    sys.exit(130)
"""
    done = subprocess.run(
        [sys.executable, "-c", loses, ROOT / "src"],
        env=ENVIRONMENT, check=False, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, "")


def test_a_second_signal_takes_the_place_of_the_one_that_is_sent_again():
    """What is cleaned up after it is not interrupted once more."""
    cleans = """
import os, signal, sys, time; sys.path.insert(0, sys.argv.pop(1))
from fathom.ground.refusals import heed_termination
class Open:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
heed_termination()
one = Open()
try:
    del one
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(0.3)
    print("cleaned")
"""
    done = subprocess.run(
        [sys.executable, "-c", cleans, ROOT / "src"],
        env=ENVIRONMENT, check=True, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("cleaned\n", "")


def test_another_error_of_a_finaliser_is_printed():
    breaks = """
import sys; sys.path.insert(0, sys.argv.pop(1))
from fathom.ground.refusals import heed_termination
class Broken:
    def __del__(self):
        raise ValueError("a fault")
heed_termination()
one = Broken()
del one
"""
    done = subprocess.run(
        [sys.executable, "-c", breaks, ROOT / "src"],
        env=ENVIRONMENT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "ValueError: a fault" in done.stderr


def predict(folder, out, *words, limit=None, prefix=()):
    command = [sys.executable, "-c", "from fathom.cli import main; main()", "predict"]
    return subprocess.run(
        [*prefix, *command, "model.onnx", "slide0.tif", "slide1.tif", "--out", out, *words],
        cwd=folder, env=ENVIRONMENT, preexec_fn=limit, check=False, capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.long
def test_scoring_on_a_full_disk_says_so_and_keeps_earlier_results(scoring, tmp_path):
    assert predict(scoring, tmp_path).returncode == 0
    before = content(tmp_path)
    largest = max(map(len, before.values()))
    for size in (100, largest // 4, largest - 1):
        done = predict(scoring, tmp_path, "--overwrite", limit=no_file_beyond(size))
        assert_told(done, "cannot be written")
        # Of two slides one may have been done: the summary then says so of the other.
        found = content(tmp_path) | {"summary.csv": before["summary.csv"]}
        assert found == before, size
    assert predict(scoring, tmp_path, "--overwrite").returncode == 0
    assert content(tmp_path) == before


@pytest.mark.long
def test_scoring_with_little_memory_is_done_or_says_so(scoring, tmp_path):
    """Every limit ends in the same files or in none; in between lies where memory ran out."""
    assert predict(scoring, tmp_path / "whole").returncode == 0
    before, ended = content(tmp_path / "whole"), set()
    for megabytes in (150, 400, 700, 1000, 1400, 4000):
        out = tmp_path / str(megabytes)
        done = predict(scoring, out, limit=no_memory_beyond(megabytes * MB))
        ended.add(done.returncode)
        if done.returncode == 0:
            assert content(out) == before
        else:
            assert not out.exists() or content(out) == {}, megabytes
            assert done.stderr, megabytes
    assert 0 in ended
    assert len(ended) > 1


# Root ignores the bits; without this capability it obeys them.
ORDINARY = ("setpriv", "--bounding-set", "-dac_override") if os.geteuid() == 0 else ()


@pytest.mark.long
@pytest.mark.skipif(bool(ORDINARY) and which("setpriv") is None, reason="root without setpriv")
def test_read_only_results_are_left_as_they_are(scoring, tmp_path):
    assert predict(scoring, tmp_path / "out").returncode == 0
    before = content(tmp_path)
    (tmp_path / "out").chmod(0o555)
    done = predict(scoring, tmp_path / "out", "--overwrite", prefix=ORDINARY)
    assert_told(done, "cannot be written to (Permission denied)")
    words = ("set", tmp_path / "out" / "store", tmp_path / "out" / "labels")
    done = stage(scoring, "segment", *words, prefix=ORDINARY)
    assert_told(done, "ermission denied")
    assert content(tmp_path) == before
    (tmp_path / "out").chmod(0o755)
