"""What users get wrong, and what machines do: a sentence, exit code 2, nothing half-written."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
import tifffile
from conftest import draw_field
from PIL import Image
from tiny_model import write_model

import fathom
from fathom import cli
from fathom.ground.errors import FathomError
from fathom.scoring.predict import predict_slides

pytestmark = pytest.mark.usefixtures("one_reader")
NUCLEI = 12
KINDS = ("geojson", "parquet", "png")


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "tiny.onnx", um_per_px=None)


@pytest.fixture
def good(tmp_path):
    """Return two images of which nothing is to be said."""
    names = [tmp_path / "good1.tif", tmp_path / "good2.tif"]
    for name in names:
        tifffile.imwrite(name, draw_field(3, NUCLEI)[0])
    return names


def names(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def results(*stems):
    return sorted([f"{stem}.{kind}" for stem in stems for kind in KINDS] + ["summary.csv"])


def call(monkeypatch, capsys, *arguments):
    """Run the command line in this process; return its exit code and what it printed."""
    monkeypatch.setattr(sys, "argv", ["fathom", "predict", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code, capsys.readouterr().err


def write_tiled(path, **options):
    options = {"tile": (64, 64), "compression": "zlib"} | options
    tifffile.imwrite(path, np.kron(draw_field(3, NUCLEI)[0], np.ones((2, 2), np.uint16)), **options)


def write_truncated(path):
    write_tiled(path, compression=None)
    path.write_bytes(path.read_bytes()[:60_000])


def write_damaged_tile(path):
    write_tiled(path)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        start, size = tiff.pages[0].dataoffsets[-1], tiff.pages[0].databytecounts[-1]
    content[start : start + size] = b"\x00" * size
    path.write_bytes(content)


def write_wrong_tag(path):
    write_tiled(path)
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tiff.pages[0].tags["BitsPerSample"].overwrite(7)


def write_svs(path):
    description = "Aperio Image Library v11.2.1\r\n640x640 (64x64) JPEG|AppMag = 20|MPP = 0.5"
    write_tiled(path, compression=None, description=description)
    path.write_bytes(path.read_bytes()[:60_000])


def write_two_channels(path):
    tifffile.imwrite(path, np.zeros((2, 60, 70), np.uint16), metadata={"axes": "CYX"}, ome=True)


BAD = {
    "empty.tif": (lambda path: path.write_bytes(b""), "the file is empty"),
    "truncated.tif": (write_truncated, "truncated"),
    "damaged.tif": (write_damaged_tile, "damaged"),
    "truncated.svs": (write_svs, "truncated"),
    "tag.tif": (write_wrong_tag, ""),
    "text.png": (lambda path: path.write_bytes(b"hello"), "is not a PNG image"),
    "notes.txt": (lambda path: path.write_bytes(b"hello"), "'.txt' is not one of"),
    "folder": (lambda path: path.mkdir(), "is a folder"),
    "missing.tif": (lambda path: None, "there is no such file"),
    "two-channels.ome.tif": (write_two_channels, "--channel"),
    "colour.png": (
        lambda path: Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(path),
        "colour",
    ),
    "one-pixel.png": (
        lambda path: Image.fromarray(np.zeros((1, 1), np.uint8)).save(path),
        "no nucleus was found",
    ),
    "dark.png": (
        lambda path: Image.fromarray(np.full((90, 90), 7, np.uint8)).save(path),
        "no nucleus was found",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_slide_is_a_sentence_and_the_others_are_done(
    name, model_file, good, tmp_path, monkeypatch, capsys
):
    make, message = BAD[name]
    bad, out = tmp_path / name, tmp_path / "out"
    make(bad)
    code, said = call(monkeypatch, capsys, model_file, good[0], bad, good[1], "--out", out)
    assert code == 2
    heading, *remarks = said.strip().splitlines()
    assert heading.startswith("fathom: 1 of 3 images could not be scored")
    assert len(remarks) == 1
    assert str(bad) in remarks[0]
    assert message in remarks[0]
    summary = pd.read_csv(out / "summary.csv", keep_default_na=False)
    assert summary["remark"].tolist()[::2] == ["", ""]
    assert summary["remark"][1] == remarks[0].strip()
    # A slide in which nothing was found was read and searched: its files say so.
    found_none = message == "no nucleus was found"
    assert summary["verdict"][1] == ("undecided" if found_none else "not scored")
    assert names(out) == results("good1", "good2", *([bad.stem] if found_none else []))


def raised_by_python(slide, model, **options):
    """Return the class of what `fathom.predict` raises, as its caller sees it."""
    with pytest.raises(fathom.FathomError) as caught:
        fathom.predict(slide, model, **options)
    return caught.type


@pytest.mark.parametrize("name", [name for name in BAD if BAD[name][1] != "no nucleus was found"])
def test_a_caller_tells_a_bad_slide_by_its_class(name, model_file, tmp_path):
    make, _ = BAD[name]
    make(tmp_path / name)
    assert raised_by_python(tmp_path / name, model_file) is fathom.SlideError


@pytest.mark.parametrize(
    "pixels", [np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40), np.float32), np.zeros(9)]
)
def test_an_array_that_cannot_be_scored_is_a_bad_slide(pixels, model_file):
    assert raised_by_python(pixels, model_file) is fathom.SlideError


def test_a_slide_of_unknown_resolution(tmp_path, good, monkeypatch, capsys):
    model_file = write_model(tmp_path / "model.onnx", um_per_px=0.325)
    code, said = call(monkeypatch, capsys, model_file, good[0], "--out", tmp_path / "out")
    assert code == 2
    assert "the model needs 0.325 um per px: give it as --um-per-px" in said
    assert names(tmp_path / "out") == []  # so that the same folder can be named again
    given = ["--um-per-px", 0.325]
    assert call(monkeypatch, capsys, model_file, good[0], "--out", tmp_path / "out", *given) == (
        0,
        "",
    )


def write_foreign(path, model_file):
    proto = onnx.load(model_file)
    del proto.metadata_props[:]
    onnx.save(proto, path)


def write_lacking(path, model_file):
    proto = onnx.load(model_file)
    kept = [held for held in proto.metadata_props if held.key != "segmentation"]
    del proto.metadata_props[:]
    proto.metadata_props.extend(kept)
    onnx.save(proto, path)


MODELS = {
    "foreign.onnx": (write_foreign, "is an ONNX file, but not one of fathom's"),
    "lacking.onnx": (write_lacking, "'segmentation': Field required"),
    "text.onnx": (lambda path, _: path.write_bytes(b"hello"), "is not an ONNX file"),
    "missing.onnx": (lambda path, _: None, "there is no such model file"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_bad_model_is_a_sentence_before_any_work(
    name, model_file, good, tmp_path, monkeypatch, capsys
):
    make, message = MODELS[name]
    make(tmp_path / name, model_file)
    code, said = call(monkeypatch, capsys, tmp_path / name, *good, "--out", tmp_path / "out")
    assert code == 2
    assert message in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", MODELS)
def test_a_caller_tells_a_bad_model_by_its_class(name, model_file, good, tmp_path):
    make, _ = MODELS[name]
    make(tmp_path / name, model_file)
    assert raised_by_python(good[0], tmp_path / name) is fathom.ModelError


@pytest.mark.parametrize(
    "option", [{"um_per_px": -1.0}, {"tile_px": 3}, {"segmenter": Path("net.onnx")}]
)
def test_another_argument_is_neither(option, model_file, good):
    assert raised_by_python(good[0], model_file, **option) is fathom.FathomError


def test_results_that_are_there_are_kept(model_file, good, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine", encoding="utf-8")  # a folder that is there is no fault
    assert call(monkeypatch, capsys, model_file, *good, "--out", out) == (0, "")
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    code, said = call(monkeypatch, capsys, model_file, *good, "--out", out)
    assert code == 2
    assert "good1.geojson: is there already; take another folder as --out, or give --overwr" in said
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--tile-px", "3", "--tile-px is 3; at least 64 px were expected"),
        ("--um-per-px", "-1", "--um-per-px is -1.0; the width of a pixel in um was expected"),
        ("--patients", "nowhere.csv", "there is no such table of patients"),
        ("--segmenter", "net.onnx", "takes no segmenter: leave out --segmenter"),
    ],
)
def test_a_bad_option_is_a_sentence(
    option, value, message, model_file, good, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"
    code, said = call(monkeypatch, capsys, model_file, *good, "--out", out, option, value)
    assert code == 2
    assert message in said
    assert names(out) == []


def test_a_folder_to_write_to_that_is_a_file(model_file, good, monkeypatch, capsys):
    code, said = call(monkeypatch, capsys, model_file, good[1], "--out", good[0])
    assert code == 2
    assert "cannot be written to (" in said


def run(*arguments, **options):
    # A shell's background job ignores Ctrl-C, and so would its children's children: not this one.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{heed}; from fathom.cli import main; main()"
    command = [sys.executable, "-c", code, "predict", *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)


def in_own_mounts(script, *arguments):
    """Run a shell script in which folders can be mounted and vanish with it; `$@` is fathom."""
    if (
        shutil.which("unshare") is None
        or subprocess.run(
            ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"],
            capture_output=True,
            check=False,
        ).returncode
    ):
        pytest.skip("folders cannot be mounted here: unshare -rm is refused")
    command = ["unshare", "-rm", "sh", "-c", script, "sh", sys.executable, "-c"]
    command += ["from fathom.cli import main; main()", "predict", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_full_disk(model_file, good, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    script = f'mount -t tmpfs -o size=24k none {out} && "$@"; code=$?; ls -A {out}; exit $code'
    done = in_own_mounts(script, model_file, *good, "--out", out)
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert not [name for name in done.stdout.split() if name.endswith(".part")]
    complete = {f"good1.{kind}" for kind in KINDS}
    assert set(done.stdout.split()) - {"summary.csv"} in (set(), complete)


def test_a_read_only_folder(model_file, good, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    script = f'mount -t tmpfs -o ro none {out} && "$@"'
    done = in_own_mounts(script, model_file, *good, "--out", out)
    assert done.returncode == 2
    assert done.stderr == (
        f"fathom: {out}: cannot be written to (Read-only file system); take another folder as "
        "--out\n"
    )


@pytest.fixture
def large(tmp_path):
    """Return a slide that takes seconds."""
    field = np.tile(draw_field(3, NUCLEI)[0], (12, 12))
    tifffile.imwrite(tmp_path / "large.tif", field, tile=(256, 256))
    return tmp_path / "large.tif"


@pytest.mark.parametrize(
    "how", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long), signal.SIGKILL]
)
def test_an_ended_call_leaves_whole_slides_and_nothing_half(how, model_file, good, large, tmp_path):
    out = tmp_path / "out"
    process = run(model_file, good[0], large, "--out", out, "--tile-px", 64)
    deadline = time.monotonic() + 60
    while not list(out.glob(".large.*.part")) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.poll() is None
    os.kill(process.pid, how)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if how == signal.SIGKILL else 130)
    whole = [f"good1.{kind}" for kind in KINDS]
    left = [name for name in names(out) if not name.endswith(".part")]
    assert left == sorted(whole)
    json.loads((out / "good1.geojson").read_text(encoding="utf-8"))
    if how != signal.SIGKILL:
        assert said.startswith("fathom: interrupted; ")
        assert "--resume goes on" in said
        assert len(said.splitlines()) == 1
        assert names(out) == sorted(whole)


def test_a_failure_that_is_no_users_mistake_leaves_nothing(model_file, good, tmp_path, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr("fathom.scoring.stream.score_labels", fail)
    with pytest.raises(MemoryError):
        predict_slides(model_file, good[:1], tmp_path / "out")
    assert names(tmp_path / "out") == []


def test_the_message_of_a_bad_slide_is_one_line(model_file, tmp_path):
    (tmp_path / "a.tif").write_bytes(b"II*\0garbage")
    with pytest.raises(FathomError) as caught:
        predict_slides(model_file, [tmp_path / "a.tif"], tmp_path / "out")
    assert len(str(caught.value).splitlines()) == 2
