import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from fathom.imaging.levels import (
    WHITE,
    blurred,
    disc,
    enlarged,
    filled,
    grid_step,
    histogram,
    opened,
    repeated,
    scaled,
    shrunk,
    to_power,
)

LEVELS = np.random.default_rng(0).integers(0, WHITE + 1, (37, 50), dtype=np.uint16)


@pytest.mark.parametrize(("length", "step"), [(1, 1), (31, 1), (32, 2), (70, 4), (1e6, 8)])
def test_a_grid_has_its_points_in_a_length(length, step):
    assert grid_step(length, 16) == step


@pytest.mark.parametrize("sigma", [0.7, 1, 2.5, 6])
def test_a_blur_is_the_gaussian_to_a_level(sigma):
    exact = ndimage.gaussian_filter(
        LEVELS.astype(float), sigma, mode="nearest", radius=round(4 * sigma)
    )
    assert np.abs(blurred(LEVELS, sigma) - exact).max() < 2


@pytest.mark.parametrize("step", [2, 4, 8])
def test_a_grid_holds_means_and_what_lies_between_them(step):
    wide = np.pad(LEVELS, [(0, -37 % step), (0, -50 % step)], mode="edge").astype(float)
    means = wide.reshape(-(-37 // step), step, -(-50 // step), step).mean(axis=(1, 3))
    coarse = shrunk(LEVELS, step)
    assert np.abs(coarse - means).max() <= 0.5
    zoomed = ndimage.zoom(coarse.astype(float), step, order=1, mode="nearest", grid_mode=True)
    fine = enlarged(coarse, step, LEVELS.shape)
    assert np.abs(fine - zoomed[:37, :50]).max() <= 0.5
    np.testing.assert_array_equal(repeated(coarse, step, LEVELS.shape)[::step, ::step], coarse)


@given(step=st.sampled_from([2, 4, 8]), top=st.integers(0, 3), left=st.integers(0, 5))
def test_a_part_that_starts_on_the_grid_has_the_grid_of_the_whole(step, top, left):
    part = LEVELS[top * step :, left * step :]
    np.testing.assert_array_equal(shrunk(part, step), shrunk(LEVELS, step)[top:, left:])


def test_powers_and_multiples_are_rounded_and_end_at_white():
    levels = np.array([[0, 1, 16384, WHITE]], dtype=np.uint16)
    assert to_power(levels, 0.5).tolist() == [[0, 256, 32768, WHITE]]
    assert scaled(levels, 3).tolist() == [[0, 3, 49152, WHITE]]


def test_a_histogram_counts_every_pixel():
    counts = histogram(LEVELS)
    np.testing.assert_array_equal(counts, np.bincount(LEVELS.ravel() >> 8, minlength=256))


@given(arrays.arrays(np.bool_, (8, 9)), st.integers(0, 40))
def test_a_hole_is_filled_by_its_pixels(hole, largest):
    hole = np.pad(hole, 2)
    hole |= ndimage.binary_fill_holes(hole)  # nothing lies in it
    expected = ~hole
    for piece in range(1, ndimage.label(hole)[1] + 1):
        inside = ndimage.label(hole)[0] == piece
        if inside.sum() <= largest:
            expected |= inside
    found = filled((~hole).astype(np.uint8) * 255, largest) > 0
    np.testing.assert_array_equal(found, expected)


def test_what_lies_in_a_hole_counts_to_it_and_the_outside_is_no_hole():
    mask = np.zeros((20, 20), dtype=np.uint8)
    mask[3:17, 3:17] = 255
    mask[6:14, 6:14] = 0
    mask[9:11, 9:11] = 255
    assert (filled(mask, 63) == mask).all()
    assert filled(mask, 64).sum() == 255 * 14**2
    assert not filled(np.zeros((5, 5), dtype=np.uint8), 99).any()


@pytest.mark.parametrize("radius", [0, 1, 2, 3])
def test_an_opening_is_that_of_a_disc(radius):
    mask = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(60, 60)), 2) > 0
    shape = disc(radius).astype(bool)
    expected = ndimage.binary_opening(np.pad(mask, 9, mode="edge"), shape)[9:-9, 9:-9]
    found = opened(mask.astype(np.uint8) * 255, radius) > 0
    np.testing.assert_array_equal(found[9:-9, 9:-9], expected[9:-9, 9:-9])
