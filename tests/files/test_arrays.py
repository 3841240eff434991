"""Arrays, OME-Zarr and folders for DVC: a row each under that heading of docs/files.md."""

import re
import shutil
import subprocess
import sys
from os import environ, pathsep
from pathlib import Path

import numpy as np
import pytest
import zarr
from conftest import draw_field
from slide_files import array_slide, halves, write_ome_zarr
from test_pixels import DEEP, DOCS, GREY, as_slide
from tiny_model import write_model

import fathom
from fathom.ground.errors import FathomError, SlideError
from fathom.scoring.output_folder import result_base
from fathom.slides.opening import open_slide

HEADING = "Arrays, OME-Zarr, DVC"
ROOT = Path(__file__).parents[2]
CASES = {}


def case(function):
    """Make a function a case: it gets a folder, and says what comes out as the docs have it."""
    CASES[function.__name__.replace("_", "-")] = function
    return function


def write_bioformats2raw(path, images):
    root = zarr.open_group(path, mode="w", zarr_format=2)
    root.attrs["bioformats2raw.layout"] = 3
    root.create_group("OME").attrs["series"] = [str(number) for number in range(images)]
    for number in range(images):
        write_ome_zarr(path / str(number), halves(GREY, 2), 0.5)


@case
def zarr_big_endian(folder):
    group = zarr.open_group(folder / "a.zarr", mode="w", zarr_format=2)
    array = group.create_array("0", shape=DEEP.shape, chunks=(16, 16), dtype=">u2")
    array[:] = DEEP
    assert (folder / "a.zarr" / "0" / ".zarray").read_text().count(">u2") == 1
    axes = [{"name": name, "type": "space"} for name in "yx"]
    group.attrs["multiscales"] = [{"axes": axes, "datasets": [{"path": "0"}]}]
    read = as_slide(folder / "a.zarr", {})
    assert read.dtype == np.dtype("=u2")
    np.testing.assert_array_equal(read, DEEP)


@case
def zarr_of_two_pyramids(folder):
    write_ome_zarr(folder / "a.zarr", [GREY])
    group = zarr.open_group(folder / "a.zarr", mode="a")
    group.attrs["multiscales"] = group.attrs["multiscales"] * 2
    with pytest.raises(FathomError, match="holds 2 pyramids"):
        open_slide(folder / "a.zarr")


@case
def bioformats_raw_of_one_image(folder):
    write_bioformats2raw(folder / "a.zarr", 1)
    for path in (folder / "a.zarr", folder / "a.zarr" / "0"):
        np.testing.assert_array_equal(as_slide(path, {}), GREY)


@case
def bioformats_raw_of_two_images(folder):
    write_bioformats2raw(folder / "a.zarr", 2)
    with pytest.raises(FathomError, match=r"holds the images 0, 1, not one; .*a\.zarr/0"):
        open_slide(folder / "a.zarr")
    np.testing.assert_array_equal(as_slide(folder / "a.zarr" / "1", {}), GREY)


@case
def images_called_nought(folder):
    for name in ("a.ome.zarr", "raw"):
        write_bioformats2raw(folder / name, 1)
    out = Path("out")
    assert result_base(folder / "a.ome.zarr" / "0", out) == out / "a_0"
    assert result_base(folder / "raw" / "0", out) == out / "raw_0"
    assert result_base(folder / "a.ome.zarr", out) == out / "a"
    assert result_base(Path("x/y.ome.tif"), out) == out / "y"


def test_an_image_of_the_folder_that_one_stands_in_is_called_after_that(tmp_path, monkeypatch):
    write_bioformats2raw(tmp_path / "raw", 1)
    monkeypatch.chdir(tmp_path / "raw")
    assert result_base(Path("0"), Path("out")) == Path("out/raw_0")


@case
def array_big_endian(folder):
    with array_slide(DEEP.astype(">u2")) as slide:
        np.testing.assert_array_equal(slide.read(0, 0, slide.height, slide.width), DEEP)
    folder.mkdir(parents=True)
    model = write_model(folder / "tiny.onnx", um_per_px=None)
    field, _ = draw_field(3, 12)
    one, other = fathom.predict(field, model), fathom.predict(field.astype(">u2"), model)
    assert len(one) == 12
    assert one.equals(other)


@case
def array_without_pixels(folder):
    folder.mkdir(parents=True)
    model = write_model(folder / "tiny.onnx", um_per_px=None)
    with pytest.raises(FathomError, match=r"has the shape \(0, 9\)"):
        fathom.predict(np.zeros((0, 9), np.uint16), model)


@case
def array_of_another_kind(folder):
    del folder
    for pixels, said in (
        (np.zeros(7, np.uint8), "has the shape (7,)"),
        (np.zeros((2, 5, 5), np.uint8), "has the shape (2, 5, 5)"),
        (np.zeros((5, 5), np.float32), "float32 numbers"),
        (np.zeros((5, 5), bool), "bool numbers"),
    ):
        with pytest.raises(SlideError, match=re.escape(said)):
            array_slide(pixels)


@case
def dvc_add(folder):
    (folder / "data" / "mine" / "images").mkdir(parents=True)
    (folder / "data" / "mine" / "images" / "a.tif").write_bytes(b"pixels")
    shutil.copy(ROOT / "data" / ".gitignore", folder / "data")

    def run(*command):
        tools = {"PATH": f"{Path(sys.executable).parent}{pathsep}{environ['PATH']}"}
        quiet = {"cwd": folder, "env": environ | tools, "capture_output": True, "text": True}
        return subprocess.run(command, check=False, **quiet)

    for command in (("git", "init"), ("dvc", "init"), ("dvc", "add", "data/mine")):
        done = run(*command, "--quiet")
        assert done.returncode == 0, done.stderr
    listed = run("git", "status", "--porcelain", "--untracked-files=all").stdout
    assert "data/mine.dvc" in listed
    assert "a.tif" not in listed


@pytest.mark.parametrize("name", CASES)
def test_what_comes_out_is_what_the_docs_say(name, tmp_path):
    CASES[name](tmp_path / "set")


def test_the_docs_have_a_row_for_each_case_and_no_other():
    text = DOCS.read_text(encoding="utf-8").partition(f"## {HEADING}")[2]
    rows = re.findall(r"^\| `([a-z-]+)` \|", text.partition("\n## ")[0], re.MULTILINE)
    assert sorted(rows) == sorted(CASES)


def test_every_row_of_the_page_is_under_a_heading_whose_rows_are_tried():
    headings = re.findall(r"^## (.+)$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == ["Pixels", "Tables and names", HEADING]
