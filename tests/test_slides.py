"""The view: its geometry, and that a pixel does not depend on the region it is read in."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slide_files import (
    array_slide,
    halves,
    picture,
    write_ome_zarr,
    write_pyramid_ome,
    write_svs,
    write_tiled,
)

from fathom.slides.opening import open_slide
from fathom.slides.reader import levels_of
from fathom.slides.slide import Slide, overview

LEVELS = halves(picture(421, 307), 3)


@st.composite
def regions(draw, slide):
    top = draw(st.integers(0, slide.height - 1))
    left = draw(st.integers(0, slide.width - 1))
    height = draw(st.integers(1, slide.height - top))
    return top, left, height, draw(st.integers(1, slide.width - left))


@given(
    data=st.data(),
    channels=st.sampled_from([1, 3]),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    downsample=st.one_of(st.just(1.0), st.floats(0.3, 9.0)),
)
def test_a_region_is_cut_from_the_whole_to_the_bit(data, channels, dtype, downsample):
    pixels = picture(95, 61, channels, dtype, seed=data.draw(st.integers(0, 9)))
    slide = array_slide(pixels, downsample=downsample)
    whole = slide.read(0, 0, slide.height, slide.width)
    top, left, height, width = data.draw(regions(slide))
    region = slide.read(top, left, height, width)
    assert region.dtype == dtype
    np.testing.assert_array_equal(region, whole[top : top + height, left : left + width])


WRITERS = {
    "a.svs": write_svs,
    "a.ome.tif": write_pyramid_ome,
    "a.ome.zarr": write_ome_zarr,
    "a.tif": lambda path, levels: write_tiled(path, levels[0]),
}


@pytest.fixture(scope="module", params=WRITERS)
def written(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("slides") / request.param
    WRITERS[request.param](path, LEVELS)
    return path


@pytest.mark.parametrize("um_per_px", [0.5, 0.83, 1.0, 1.37, 2.0, 0.31])
def test_tiles_of_a_file_agree_in_their_overlap(written, um_per_px):
    own = 0.5 if written.suffix == ".tif" and ".ome" not in written.name else None
    with open_slide(written, um_per_px=um_per_px, own_um_per_px=own, channels=3) as slide:
        whole = slide.read(0, 0, slide.height, slide.width)
    with open_slide(written, um_per_px=um_per_px, own_um_per_px=own, channels=3) as slide:
        for top in range(0, slide.height - 40, 37):
            for left in range(0, slide.width - 40, 29):
                tile = slide.read(top, left, 40, 40)
                np.testing.assert_array_equal(tile, whole[top : top + 40, left : left + 40])


def test_threads_read_the_same_as_one(written):
    with open_slide(written, channels=3) as slide:
        places = [(top, left) for top in range(0, 360, 30) for left in range(0, 250, 25)]
        with ThreadPoolExecutor(4) as pool:
            tiles = list(pool.map(lambda place: slide.read(*place, 50, 50), places))
        for (top, left), tile in zip(places, tiles, strict=True):
            np.testing.assert_array_equal(tile, slide.read(top, left, 50, 50))


def test_a_constant_picture_stays_constant_at_every_resolution():
    pixels = np.full((90, 70), 12345, np.uint16)
    for downsample in (0.4, 1.5, 3.7, 16.0):
        slide = array_slide(pixels, downsample=downsample)
        assert (slide.read(0, 0, slide.height, slide.width) == 12345).all()


def test_a_pattern_finer_than_a_pixel_becomes_grey_not_a_false_pattern():
    rows, columns = np.indices((400, 400))
    checkers = ((rows + columns) % 2 * 255).astype(np.uint8)
    slide = array_slide(checkers, downsample=3.3)
    inner = slide.read(2, 2, slide.height - 4, slide.width - 4)
    assert np.abs(inner.astype(int) - 127.5).max() <= 3
    every_third = checkers[::3, ::3]
    assert every_third.std() > 100  # what taking every third pixel would have shown


@pytest.mark.parametrize("downsample", [0.5, 1.0, 1.7, 4.0, 6.3])
def test_coordinates_lead_back_to_the_full_resolution(downsample):
    """A blob stays where it is: y_full = (y + 0.5) * downsample - 0.5."""
    rows, columns = np.ogrid[:200, :240]
    blob = 255 * np.exp(-((rows - 83.0) ** 2 + (columns - 141.0) ** 2) / (2 * 14**2))
    slide = array_slide(np.rint(blob).astype(np.uint8), downsample=downsample)
    weights = slide.read(0, 0, slide.height, slide.width).astype(float)
    y, x = (np.average(axis, weights=weights) for axis in np.indices(weights.shape))
    assert (y + 0.5) * slide.downsample - 0.5 == pytest.approx(83, abs=0.05)
    assert (x + 0.5) * slide.downsample - 0.5 == pytest.approx(141, abs=0.05)


@pytest.mark.parametrize(
    ("um_per_px", "downsample", "own"),
    [
        (None, 1.0, 0.5),
        (0.5, 1.0, 0.5),
        (0.5049, 1.0, 0.5),  # within 1 %: as it is
        (0.4951, 1.0, 0.5),
        (0.51, 1.02, 0.51),
        (1.0, 2.0, 1.0),
        (3.0, 6.0, 3.0),
        (0.25, 0.5, 0.25),
    ],
)
def test_the_view_says_what_it_shows(written, um_per_px, downsample, own):
    given = None if ".ome" in written.name or written.suffix == ".svs" else 0.5
    with open_slide(written, um_per_px=um_per_px, own_um_per_px=given, channels=3) as slide:
        assert slide.downsample == pytest.approx(downsample)
        assert slide.um_per_px == pytest.approx(own)
        assert slide.height == int(421 / downsample + 1e-9)
        assert slide.read(0, 0, slide.height, slide.width).shape == (slide.height, slide.width, 3)


def test_a_level_that_fits_is_read_as_it_is_and_not_made_anew(tmp_path):
    marked = [*LEVELS[:1], np.full_like(LEVELS[1], 7), LEVELS[2]]
    write_ome_zarr(tmp_path / "a.zarr", marked)
    for um_per_px in (1.0, 1.004, 0.991):
        with open_slide(tmp_path / "a.zarr", um_per_px=um_per_px, channels=3) as slide:
            assert (slide.downsample, slide.um_per_px) == (2.0, 1.0)
            assert (slide.read(0, 0, slide.height, slide.width) == 7).all()
    with open_slide(tmp_path / "a.zarr", um_per_px=1.3, channels=3) as slide:  # the finer one
        assert (slide.read(0, 0, slide.height, slide.width) == 7).all()
    with open_slide(tmp_path / "a.zarr", um_per_px=0.9, channels=3) as slide:
        assert (slide.read(0, 0, slide.height, slide.width) != 7).mean() > 0.9


def test_a_side_rounded_by_the_writer_is_still_a_whole_downsample():
    sizes = [(2220, 2967), (1110, 1483), (555, 742), (278, 370)]
    assert [level.downsample for level in levels_of(sizes)] == [1.0, 2.0, 4.0, 8.0]
    assert levels_of([(1000, 1000), (300, 300)])[1].downsample == pytest.approx(10 / 3)


def test_a_region_outside_is_the_callers_mistake():
    slide: Slide = array_slide(np.zeros((10, 12), np.uint8))
    for region in [(0, 0, 11, 5), (-1, 0, 3, 3), (0, 5, 5, 8), (0, 0, 0, 5)]:
        with pytest.raises(ValueError, match="is not inside the 10 x 12 px"):
            slide.read(*region)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_overview_is_the_mean_of_what_it_stands_for(channels):
    pixels = picture(1000, 640, channels)
    small, factor = overview(array_slide(pixels), 125)
    assert factor == 8.0
    assert small.shape[:2] == (125, 80)
    assert small.mean() == pytest.approx(pixels.mean(), abs=0.5)
    np.testing.assert_array_equal(overview(array_slide(pixels), 125)[0], small)
    assert overview(array_slide(pixels), 5000)[1] == 1.0


def test_an_overview_does_not_hang_on_the_pyramid(tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 255, (512, 640, 3), dtype=np.uint8)
    levels = [pixels, np.full((256, 320, 3), 7, np.uint8), np.full((128, 160, 3), 7, np.uint8)]
    write_pyramid_ome(tmp_path / "a.ome.tif", levels, 0.5)
    with open_slide(tmp_path / "a.ome.tif", channels=3) as slide:
        small, _ = overview(slide, 160)
        np.testing.assert_array_equal(small, overview(array_slide(pixels), 160)[0])
        assert (overview(slide, 160, by_pyramid=True)[0] == 7).all()
        monkeypatch.setattr("fathom.slides.slide._READ_WHOLE_PX", 1000)
        assert (overview(slide, 160)[0] == 7).all()
