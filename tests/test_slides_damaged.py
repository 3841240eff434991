"""Damaged files: one sentence that names the file, whatever is wrong with it."""

import json
import struct
from contextlib import suppress
from pathlib import Path

import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from slide_files import (
    halves,
    picture,
    write_ome_zarr,
    write_plain,
    write_png,
    write_pyramid_ome,
    write_striped,
    write_svs,
    write_tiled,
)

from fathom.ground.errors import FathomError
from fathom.slides.opening import open_slide

CZI = Path(__file__).parents[2] / "shared" / "data" / "czi" / "nuc_small.czi"

PIXELS = picture(300, 420)
WRITERS = {
    "a.svs": lambda path: write_svs(path, halves(PIXELS, 2)),
    "tiled.tif": lambda path: write_tiled(path, PIXELS),
    "strips.tif": lambda path: write_striped(path, PIXELS),
    "plain.tif": lambda path: write_plain(path, PIXELS),
    "big.ome.tif": lambda path: write_pyramid_ome(path, halves(PIXELS, 2)),
    "a.png": lambda path: write_png(path, PIXELS),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of each whole file, and a folder to damage them in."""
    folder = tmp_path_factory.mktemp("damaged")
    found = {}
    for name, write in WRITERS.items():
        write(folder / name)
        found[name] = (folder / name).read_bytes()
    return folder, found


def read_all(path, channels=3):
    with open_slide(path, channels=channels) as slide:
        return slide.read(0, 0, slide.height, slide.width)


@pytest.mark.parametrize("share", [0.001, 0.3, 0.7, 0.95, 0.999])
@pytest.mark.parametrize("name", WRITERS)
def test_a_truncated_file_is_one_sentence(whole, name, share):
    folder, found = whole
    content = found[name]
    path = folder / name
    path.write_bytes(content[: max(1, int(len(content) * share))])
    with pytest.raises(FathomError, match=f"{name}: .*(truncated|damaged)") as raised:
        read_all(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["a.svs", "tiled.tif", "strips.tif"])
def test_a_file_that_lacks_its_last_pixels_is_refused_before_the_work_begins(tmp_path, name):
    """The directory of a TIFF may stand first: what is cut off then is pixels alone."""
    path = tmp_path / name
    if name == "strips.tif":
        write_striped(path, PIXELS)
    elif name == "tiled.tif":
        write_tiled(path, PIXELS)
    else:
        write_svs(path, [PIXELS], compression="none")
    content = path.read_bytes()
    path.write_bytes(content[:-200])
    with pytest.raises(FathomError, match=r"is truncated: its pixels end at byte [\d,]+, the file"):
        open_slide(path, channels=3)


def set_tag(path, name, value):
    """Overwrite the value of a tag in place: one or more numbers of the tag's own type."""
    with tifffile.TiffFile(path) as tiff:
        tag = tiff.pages.first.tags[name]
        order, kind = tiff.byteorder, {3: "H", 4: "I", 16: "Q"}[int(tag.dtype)]
        offset = tag.valueoffset
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(struct.pack(order + kind, value))


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("Compression", 5),  # LZW, the file has zlib
        ("Compression", 60000),
        ("Compression", 34712),
        ("TileWidth", 0),
        ("TileWidth", 16),
        ("TileLength", 4096),
        ("ImageWidth", 0),
        ("ImageWidth", 40_000),
        ("ImageLength", 10_000),
        ("BitsPerSample", 12),
        ("BitsPerSample", 32),
        ("SamplesPerPixel", 7),
        ("TileOffsets", 2**31),
    ],
)
def test_a_wrong_tag_is_one_sentence(tmp_path, tag, value):
    path = tmp_path / "a.tif"
    write_tiled(path, picture(300, 420, 1))
    set_tag(path, tag, value)
    with pytest.raises(FathomError, match=r"a\.tif: ") as raised:
        read_all(path, channels=1)
    assert "\n" not in str(raised.value)


@settings(max_examples=150)
@given(
    name=st.sampled_from([name for name in WRITERS if name.endswith(".tif")]),
    flips=st.lists(st.tuples(st.integers(0, 265), st.integers(0, 255)), min_size=1, max_size=3),
)
def test_flipped_bytes_of_a_header_are_pixels_or_one_sentence(whole, name, flips):
    """The first 16 places are of the file's header, the others of the first page's directory."""
    folder, found = whole
    path = folder / f"flipped_{name}"
    path.write_bytes(found[name])
    with tifffile.TiffFile(path) as tiff:
        start = tiff.pages.first.offset
    content = bytearray(found[name])
    for place, value in flips:
        content[place if place < 16 else start + place - 16] = value
    path.write_bytes(content)
    with suppress(FathomError), open_slide(path, channels=3) as slide:
        height, width = min(slide.height, 200), min(slide.width, 200)
        assert slide.read(0, 0, height, width).shape == (height, width, 3)


def test_a_damaged_tile_is_refused_where_it_is_read(tmp_path):
    path = tmp_path / "a.tif"
    write_tiled(path, picture(300, 420, 1))
    with tifffile.TiffFile(path) as tiff:
        place = tiff.pages.first.dataoffsets[5]
    with path.open("r+b") as file:
        file.seek(place)
        file.write(bytes(40))
    with open_slide(path) as slide:
        assert slide.read(0, 0, 100, 100).shape == (100, 100)
        with pytest.raises(FathomError, match="block at row 128, column 288 cannot be read"):
            slide.read(0, 0, 300, 420)


def test_a_text_file_is_no_slide_whatever_its_name(tmp_path):
    for suffix in (".svs", ".ndpi", ".mrxs", ".scn", ".dcm", ".tif", ".czi", ".png", ".jpg"):
        path = tmp_path / f"a{suffix}"
        path.write_text("not a slide\n" * 50)
        with pytest.raises(FathomError, match=rf"a\{suffix}: ") as raised:
            open_slide(path, channels=3)
        assert "\n" not in str(raised.value).strip()


def damaged_metadata(path, change):
    write_ome_zarr(path, [picture(60, 70, 1)])
    attributes = json.loads((path / ".zattrs").read_text())
    change(attributes["multiscales"][0])
    (path / ".zattrs").write_text(json.dumps(attributes))


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.pop("datasets"),
        lambda image: image.update(datasets=[]),
        lambda image: image["datasets"][0].update(path="absent"),
        lambda image: image.update(axes=[{"name": "c"}]),
        lambda image: image.update(axes=["a", "b", "c"]),
    ],
)
def test_damaged_zarr_metadata_are_one_sentence(tmp_path, change):
    path = tmp_path / "a.zarr"
    damaged_metadata(path, change)
    with pytest.raises(FathomError, match=r"a\.zarr: "):
        open_slide(path)


def test_a_damaged_zarr_chunk_is_one_sentence(tmp_path):
    path = tmp_path / "a.zarr"
    write_ome_zarr(path, [picture(300, 400, 1)])
    (path / "0" / "0.2.3").write_bytes(b"damaged")
    with pytest.raises(FathomError, match=r"a\.zarr: the block at row 0, column 0 cannot be read"):
        read_all(path, channels=1)


@pytest.mark.skipif(not CZI.is_file(), reason=f"{CZI} is not here")
@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_a_truncated_czi_is_one_sentence(tmp_path, share):
    content = CZI.read_bytes()
    path = tmp_path / "a.czi"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(FathomError, match=r"a\.czi: "):
        read_all(path, channels=1)
