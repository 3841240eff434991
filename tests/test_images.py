import numpy as np
import pytest
import tifffile
from PIL import Image

from fathom.ground.errors import FathomError
from fathom.ground.images import (
    read_labels,
    read_micrograph,
    stretched,
    write_labels,
    write_picture,
)

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("dtype", "suffix", "shape"),
    [
        (dtype, suffix, shape)
        for dtype in (np.uint8, np.uint16)
        for suffix in (".tif", ".png")
        for shape in ((5, 7), (1, 1), (6, 4, 3))
        if (dtype, suffix, shape) != (np.uint16, ".png", (6, 4, 3))  # Pillow cannot write it
    ],
)
def test_what_was_written_is_read(tmp_path, dtype, suffix, shape):
    pixels = RNG.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)
    path = tmp_path / f"a{suffix}"
    if suffix == ".tif":
        tifffile.imwrite(path, pixels, photometric="rgb" if len(shape) == 3 else "minisblack")
    else:
        Image.fromarray(pixels).save(path)
    read = read_micrograph(path)
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, pixels)


def test_a_jpeg_is_read(tmp_path):
    Image.new("RGB", (8, 6), (200, 10, 10)).save(tmp_path / "a.jpg")
    assert read_micrograph(tmp_path / "a.jpg").shape == (6, 8, 3)


def test_an_opaque_alpha_channel_is_dropped_and_another_refused(tmp_path):
    Image.new("RGBA", (8, 6), (200, 10, 10, 255)).save(tmp_path / "a.png")
    assert read_micrograph(tmp_path / "a.png").shape == (6, 8, 3)
    Image.new("RGBA", (8, 6), (200, 10, 10, 7)).save(tmp_path / "b.png")
    with pytest.raises(FathomError, match=r"b\.png: has a transparent alpha channel"):
        read_micrograph(tmp_path / "b.png")


def write_zero_bytes(path):
    path.write_bytes(b"")


def write_half(path):
    tifffile.imwrite(path, RNG.integers(0, 255, (64, 64)).astype(np.uint8))
    path.write_bytes(path.read_bytes()[:2000])


def write_text(path):
    path.write_text("not an image")


def write_floats(path):
    tifffile.imwrite(path, np.zeros((4, 4), np.float32))


def write_stack(path):
    tifffile.imwrite(path, np.zeros((5, 8, 8), np.uint8), photometric="minisblack")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (write_zero_bytes, r"the file is empty \(0 bytes\)"),
        (write_half, "is truncated: its pixels end at byte"),
        (write_text, "cannot be read, damaged or truncated"),
        (write_floats, "holds float32 numbers; 8- or 16-bit"),
        (write_stack, r"holds 5 pages; one was expected"),
        (lambda path: None, "there is no such file"),
    ],
)
def test_a_bad_tiff_is_a_sentence_with_its_name(tmp_path, write, message):
    write(tmp_path / "a.tif")
    with pytest.raises(FathomError, match=rf"a\.tif: {message}"):
        read_micrograph(tmp_path / "a.tif")


def test_a_truncated_png_is_a_sentence(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(RNG.integers(0, 255, (64, 64)).astype(np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(FathomError, match=r"a\.png: cannot be read, damaged or truncated"):
        read_micrograph(path)


def test_another_kind_of_file_is_refused_by_its_suffix(tmp_path):
    (tmp_path / "a.bmp").write_bytes(b"BM")
    with pytest.raises(FathomError, match=r"'\.bmp' is not one of \.tif"):
        read_micrograph(tmp_path / "a.bmp")


@pytest.mark.parametrize("top", [0, 255, 65535, 65536])
def test_labels_are_written_and_read_whole(tmp_path, top):
    labels = np.zeros((9, 9), np.int32)
    labels[2:4, 3:5] = top
    write_labels(tmp_path / "new" / "a.tif", labels)
    read = read_labels(tmp_path / "new" / "a.tif")
    assert read.dtype == np.int32
    np.testing.assert_array_equal(read, labels)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.tif"]


def test_labels_have_the_same_bytes_twice(tmp_path):
    labels = np.arange(100, dtype=np.int32).reshape(10, 10)
    for name in ("a.tif", "b.tif"):
        write_labels(tmp_path / name, labels)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


def test_a_colour_picture_is_no_label_image(tmp_path):
    write_picture(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(FathomError, match="a label image is grey and whole-numbered"):
        read_labels(tmp_path / "a.png")


def test_a_picture_to_look_at_spans_black_to_white_whatever_a_few_pixels_hold():
    grey = np.linspace(1000, 2000, 10_000).reshape(100, 100).astype(np.uint16)
    grey[0, 0] = 65535
    shown = stretched(grey)
    assert (shown.min(), shown.max(), shown.dtype) == (0, 255, np.uint8)
    assert shown[50, 0] == pytest.approx(128, abs=2)
    assert (stretched(np.full((4, 4), 7)) == 0).all()
