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
from PIL import Image
from slide_files import array_slide, halves, write_ome_zarr
from test_pixels import DEEP, DOCS, GREY, LABELS, ONE, RGB, as_slide, found, require
from tiny_model import PARAMS, write_model

import fathom
from fathom.datasets.masks import mask_of_array
from fathom.ground.errors import FathomError, SlideError
from fathom.imaging.params import Segmentation
from fathom.scoring.output_folder import result_base
from fathom.slides.opening import open_slide

HEADING = "Arrays, OME-Zarr, DVC"
ROOT = Path(__file__).parents[2]
CASES = {}


def case(function):
    """Make a function a case: it gets a folder, and says what comes out as the docs have it."""
    CASES[function.__name__.replace("_", "-")] = function
    return function


# Name: what is given to `fathom.predict`, what comes out as a slide, and as masks.
ARRAYS = {
    "big-endian": (DEEP.astype(">u2"), DEEP, DEEP.astype(np.int32)),
    "int32, big-endian": (LABELS.astype(">i4"), "int32 numbers", LABELS.astype(np.int32)),
    "int64": (LABELS.astype(np.int64), "int64 numbers", LABELS.astype(np.int32)),
    "negative numbers": (-LABELS.astype(np.int32), "int32 numbers", "must lie in 0..2147483647"),
    "beyond 32 bits": (
        LABELS.astype(np.int64) << 40,
        "int64 numbers",
        "must lie in 0..2147483647",
    ),
    "floating point": (LABELS.astype(np.float32), "float32 numbers", "whole-numbered"),
    "bool": (ONE > 0, "bool numbers", (ONE > 0).astype(np.int32)),
    "bool, several nuclei": (LABELS > 0, "bool numbers", "one number, 1, in 2 separate pieces"),
    "(H, W, 3)": (RGB, RGB, "a label image is grey"),
    "one row": (np.zeros(7, np.uint8), "has the shape (7,)", "a label image is grey"),
    "pages": (np.zeros((2, 5, 5), np.uint8), "has the shape (2, 5, 5)", "a label image is grey"),
    "no pixels": (np.zeros((0, 5), np.uint8), "has the shape (0, 5)", "has the shape (0, 5)"),
    "masked": (np.ma.masked_equal(LABELS, 1), "is a masked array", "is a masked array"),
    "a list": (LABELS.tolist(), "is a list; a NumPy array", "is a list; a NumPy array"),
}


def write_bioformats2raw(path, images):
    root = zarr.open_group(path, mode="w", zarr_format=2)
    root.attrs["bioformats2raw.layout"] = 3
    root.create_group("OME").attrs["series"] = [str(number) for number in range(images)]
    for number in range(images):
        write_ome_zarr(path / str(number), halves(GREY, 2), 0.5)


def write_zarr(path, pixels, dtype):
    group = zarr.open_group(path, mode="w", zarr_format=2)
    array = group.create_array("0", shape=pixels.shape, chunks=(16, 16), dtype=dtype)
    array[:] = pixels
    axes = [{"name": name, "type": "space"} for name in "yx"]
    group.attrs["multiscales"] = [{"axes": axes, "datasets": [{"path": "0"}]}]


@case
def zarr_without_pixels(folder):
    write_zarr(folder / "a.zarr", DEEP[:0], "u2")
    with pytest.raises(SlideError, match="holds no pixels"):
        open_slide(folder / "a.zarr")


@case
def zarr_big_endian(folder):
    write_zarr(folder / "a.zarr", DEEP, ">u2")
    assert (folder / "a.zarr" / "0" / ".zarray").read_text().count(">u2") == 1
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


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_is_read_by_the_rules_of_files_or_refused(name):
    def whole(pixels):
        with array_slide(pixels) as slide:
            return slide.read(0, 0, slide.height, slide.width)

    given, as_picture, as_mask = ARRAYS[name]
    require(found(whole, given), as_picture)
    require(found(lambda array: mask_of_array(array, Path("masks")), given), as_mask)


def test_an_array_is_scored_in_either_byte_order(tmp_path):
    model = write_model(tmp_path / "tiny.onnx", um_per_px=None)
    field, _ = draw_field(3, 12)
    one, other = fathom.predict(field, model), fathom.predict(field.astype(">u2"), model)
    assert len(one) == 12
    assert one.equals(other)
    for wrong in ("0,5", True, float("nan"), -1):
        with pytest.raises(FathomError, match="the width of a pixel in um was expected"):
            fathom.predict(field, model, um_per_px=wrong)


def test_masks_are_checked_where_slides_are_scored(tmp_path):
    section = Segmentation.model_validate({**PARAMS["segmentation"], "method": "masks"})
    model = write_model(tmp_path / "masks.onnx", um_per_px=None, segmentation=section)
    field, points = draw_field(3, 12)
    rows, columns = np.indices(field.shape)
    labels = np.zeros(field.shape, np.int32)
    for number, (x, y) in enumerate(points[["x", "y"]].to_numpy(), start=1):
        labels[(rows + 0.5 - y) ** 2 + (columns + 0.5 - x) ** 2 < 64] = number
    expected = fathom.predict(field, model, masks=labels)
    assert len(expected) == 12
    for dtype in (">i4", ">u2", "<u8"):
        assert fathom.predict(field, model, masks=labels.astype(dtype)).equals(expected)
    black_and_white = np.where(labels, np.uint8(255), np.uint8(0))
    Image.fromarray(black_and_white).save(tmp_path / "a.png")
    for masks in (black_and_white, tmp_path / "a.png", labels > 0):
        with pytest.raises(FathomError, match="in 12 separate pieces: that is a black and white"):
            fathom.predict(field, model, masks=masks)


@pytest.mark.parametrize("name", CASES)
def test_what_comes_out_is_what_the_docs_say(name, tmp_path):
    CASES[name](tmp_path / "set")


def test_the_docs_have_a_row_for_each_case_and_no_other():
    text = DOCS.read_text(encoding="utf-8").partition(f"## {HEADING}")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE)) == sorted(CASES)
    arrays = re.findall(r"^\| array: (.+?) \| (\w+) \| (\w+) \|", text, re.MULTILINE)
    assert arrays == [
        (name, *("refused" if isinstance(one, str) else "read" for one in expected))
        for name, (_, *expected) in ARRAYS.items()
    ]
    assert len(re.findall(r"^\| (?!---)", text, re.MULTILINE)) == len(CASES) + len(ARRAYS) + 2


def test_every_row_of_the_page_is_under_a_heading_whose_rows_are_tried():
    headings = re.findall(r"^## (.+)$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == ["Pixels", "Tables and names", HEADING]
