import os
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from nuclei_batches import ended, grid_batches, make_batch

from fathom.ground.errors import FathomError
from fathom.results.coordinates import PixelGrid
from fathom.results.label_image import TILE_PX, LabelImageWriter, TileScratch


def written(path, grid, *batches, image="a.tif"):
    with ended(LabelImageWriter(path, grid, image)) as writer:
        for batch in batches:
            writer.add(batch)
    return path


def ome_uuid(path):
    with tifffile.TiffFile(path) as tiff:
        return ET.fromstring(tiff.ome_metadata).get("UUID")


def test_the_image_is_the_label_image_and_its_levels_are_every_other_pixel(tmp_path):
    batches, labels = grid_batches(2100)
    path = written(tmp_path / "a.ome.tif", PixelGrid(2100, 2100, um_per_px=0.25), *batches)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_ome
        assert tiff.is_bigtiff
        (series,) = tiff.series
        assert (series.axes, series.dtype) == ("YX", np.uint32)
        assert [level.shape for level in series.levels] == [(2100, 2100), (1050, 1050), (525, 525)]
        for number, level in enumerate(series.levels):
            np.testing.assert_array_equal(level.asarray(), labels[:: 2**number, :: 2**number])
            assert level.pages[0].tile == (TILE_PX, TILE_PX)
            assert level.pages[0].resolution == (40_000 / 2**number,) * 2
        pixels = ET.fromstring(tiff.ome_metadata).find(".//{*}Pixels")
    assert pixels.get("PhysicalSizeX") == pixels.get("PhysicalSizeY") == "0.25"
    assert pixels.get("PhysicalSizeXUnit") == "µm"
    assert pixels.get("Type") == "uint32"
    assert list(tmp_path.iterdir()) == [path]


@given(
    st.lists(st.tuples(st.integers(0, 420), st.integers(0, 980)), min_size=1, max_size=6),
    st.integers(1, 600),
)
@settings(max_examples=15)
def test_a_nucleus_on_any_border_of_tiles_is_whole(tmp_path_factory, corners, side):
    mask = np.tri(side, 30, dtype=bool)
    expected = np.zeros((1020, 1020), np.uint32)
    for number, (top, left) in enumerate(corners, start=70_000):
        expected[top : top + side, left : left + 30][mask] = number
    batches = [make_batch([mask], [corner], first=70_000 + k) for k, corner in enumerate(corners)]
    path = tmp_path_factory.mktemp("labels") / "a.ome.tif"
    found = tifffile.imread(written(path, PixelGrid(1020, 1020), *batches))
    np.testing.assert_array_equal(found, expected)


def test_without_resolution_there_is_none_in_the_file(tmp_path):
    path = written(tmp_path / "a.ome.tif", PixelGrid(10, 700))
    with tifffile.TiffFile(path) as tiff:
        assert "PhysicalSize" not in tiff.ome_metadata
        assert not tiff.asarray().any()


def test_the_same_nuclei_give_the_same_bytes(tmp_path):
    batches, _ = grid_batches(700)
    files = [written(tmp_path / name, PixelGrid(700, 700), *batches) for name in ("a.tif", "b.tif")]
    assert files[0].read_bytes() == files[1].read_bytes()
    other = written(tmp_path / "c.tif", PixelGrid(700, 700), *batches, image="b.tif")
    assert ome_uuid(other) != ome_uuid(files[0])


def test_numbers_that_do_not_fit(tmp_path):
    one = np.ones((1, 1), bool)
    with ended(LabelImageWriter(tmp_path / "a.tif", PixelGrid(10, 10), "a.tif")) as writer:
        writer.add(make_batch([one], [(3, 3)], first=2**32 - 1))
        with pytest.raises(FathomError, match="holds 4,294,967,295 nuclei"):
            writer.add(make_batch([one], [(4, 4)], first=2**32))
        with pytest.raises(ValueError, match="starts at 1"):
            writer.add(make_batch([one], [(4, 4)], first=0))
    assert tifffile.imread(tmp_path / "a.tif")[3, 3] == 2**32 - 1


def test_empty_tiles_take_no_space(tmp_path):
    scratch = TileScratch(tmp_path, 64)
    scratch.put(0, 5000, 5000, np.zeros((64, 64), np.uint32))
    assert os.fstat(scratch._file.fileno()).st_size == 0
    tile = np.arange(64 * 64, dtype=np.uint32).reshape(64, 64)
    scratch.put(1, 2, 3, tile)
    assert os.fstat(scratch._file.fileno()).st_size == tile.nbytes
    np.testing.assert_array_equal(scratch.get(1, 2, 3), tile)
    scratch.put(1, 2, 3, np.zeros_like(tile))
    assert not scratch.get(1, 2, 3).any()
    assert list(tmp_path.iterdir()) == []  # the file has no name
    scratch.close()
