"""Where the slide is: what lies on glass is found, what is all tissue is left whole."""

import numpy as np
import pytest
from slide_files import array_slide, halves, write_ome_zarr

from fathom.slides.opening import open_slide
from fathom.slides.tissue import Tissue, tissue

HEIGHT, WIDTH = 2000, 2600
SECTION = np.s_[700:1300, 800:1900]  # where there are nuclei


def nuclei_on_glass(rng, dtype=np.uint16, offset=100.0, noise=4.0, brightness=400.0):
    """Return a dark slide with nuclei of 30 px in a rectangle."""
    plane = rng.normal(offset, noise, (HEIGHT, WIDTH))
    rows, columns = np.ogrid[-15:15, -15:15]
    nucleus = brightness * np.exp(-(rows**2 + columns**2) / 128)
    for top in range(SECTION[0].start, SECTION[0].stop - 30, 57):
        for left in range(SECTION[1].start, SECTION[1].stop - 30, 61):
            plane[top : top + 30, left : left + 30] += nucleus * rng.uniform(0.3, 1)
    return np.clip(np.rint(plane), 0, np.iinfo(dtype).max).astype(dtype)


def stained_section_on_glass(rng):
    """Return white glass with a pink, purple-spotted rectangle, RGB."""
    glass = np.clip(rng.normal(240, 2, (HEIGHT, WIDTH, 3)), 0, 255)
    purple = nuclei_on_glass(rng, offset=0, noise=0)[SECTION][..., np.newaxis] / 400
    pink, blue = np.array([220.0, 150.0, 190.0]), np.array([80.0, 50.0, 130.0])
    glass[SECTION] = pink * (1 - purple) + blue * purple + rng.normal(0, 4, purple.shape)
    return np.clip(np.rint(glass), 0, 255).astype(np.uint8)


def make(stain):
    rng = np.random.default_rng(3)
    return nuclei_on_glass(rng) if stain == "fluorescence" else stained_section_on_glass(rng)


@pytest.mark.parametrize("stain", ["fluorescence", "haematoxylin"])
def test_glass_is_told_from_tissue(stain):
    found = tissue(array_slide(make(stain)), stain)
    rows, columns = SECTION
    for top in range(rows.start, rows.stop - 64, 64):
        for left in range(columns.start, columns.stop - 64, 64):
            assert found.touches(top, left, 64, 64)
    assert not found.touches(0, 0, 550, WIDTH)
    assert not found.touches(1450, 0, 550, WIDTH)
    assert not found.touches(0, 0, HEIGHT, 650)
    assert found.touches(0, 0, 800, WIDTH)
    assert found.mask.mean() == pytest.approx(600 * 1100 / (HEIGHT * WIDTH), rel=0.4)


@pytest.mark.parametrize("stain", ["fluorescence", "haematoxylin"])
def test_a_slide_that_is_all_tissue_stays_whole(stain):
    inside = make(stain)[720:1280, 820:1860]
    pixels = np.tile(inside, (3, 2, 1) if inside.ndim == 3 else (3, 2))
    assert tissue(array_slide(pixels), stain).mask.mean() > 0.97


@pytest.mark.parametrize("value", [0, 113])
def test_a_slide_of_one_colour_is_not_skipped(value):
    assert tissue(array_slide(np.full((900, 900), value, np.uint8)), "fluorescence").mask.all()


def test_what_was_never_scanned_is_skipped():
    plane = make("fluorescence")
    plane[:, :500] = 0
    plane[1400:] = 0
    found = tissue(array_slide(plane), "fluorescence")
    assert not found.touches(0, 0, HEIGHT, 400)
    assert found.touches(700, 800, 50, 50)


def test_a_pyramid_gives_the_tissue_of_its_finest_level(tmp_path):
    plane = make("fluorescence")
    write_ome_zarr(tmp_path / "a.zarr", halves(plane, 4))
    with open_slide(tmp_path / "a.zarr") as slide:
        of_pyramid = tissue(slide, "fluorescence")
    of_one = tissue(array_slide(plane), "fluorescence")
    assert of_pyramid.mask.shape == of_one.mask.shape
    assert (of_pyramid.mask != of_one.mask).mean() < 0.02


def test_a_region_touches_every_pixel_of_the_mask_it_meets():
    mask = np.zeros((10, 10), np.bool_)
    mask[4, 7] = mask[9, 9] = True
    found = Tissue(mask, 16.0)
    assert found.touches(64, 112, 1, 1)
    assert found.touches(79, 127, 1, 1)
    assert not found.touches(80, 112, 30, 30)
    assert not found.touches(48, 112, 16, 16)
    assert found.touches(48, 112, 17, 16)
    assert found.touches(158, 158, 40, 40)  # beyond the mask's whole pixels: its last one
    assert found.touches(165, 165, 5, 5)
