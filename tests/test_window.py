import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom.imaging.levels import background, local_mean
from fathom.imaging.window import Rectangle, Window

SLIDE = Rectangle(0, 0, 300, 400)


def plane(seed):
    size = SLIDE.bottom, SLIDE.right
    return np.random.default_rng(seed).integers(0, 65536, size, dtype=np.uint16)


def test_a_rectangle_grows_as_far_as_it_may():
    assert Rectangle(10, 20, 30, 40).grown(5.5, SLIDE) == Rectangle(4, 14, 36, 46)
    assert Rectangle(2, 0, 300, 399).grown(5, SLIDE) == Rectangle(0, 0, 300, 400)


def test_a_window_is_cut_with_its_planes():
    window = Window(Rectangle(10, 10, 110, 110), Rectangle(40, 50, 60, 70))
    everything = plane(0)
    narrow, cut, colour = window.cut(
        10, everything[10:110, 10:110], np.stack([everything[10:110, 10:110]] * 3, axis=-1)
    )
    assert narrow == Window(Rectangle(30, 40, 70, 80), window.core)
    np.testing.assert_array_equal(cut, everything[30:70, 40:80])
    assert colour.shape == (40, 40, 3)


def test_the_whole_is_its_own_core():
    window = Window.whole((300, 400, 3))
    assert window.frame == window.core == SLIDE
    assert window.cut(0)[0] == window


@given(row=st.integers(-5, 305), column=st.integers(-5, 405))
def test_every_pixel_is_held_by_one_of_two_halves(row, column):
    halves = Rectangle(0, 0, 300, 200), Rectangle(0, 200, 300, 400)
    inside = 0 <= row < 300 and 0 <= column < 400
    assert sum(half.holds(row, column) for half in halves) == inside


def test_a_window_starts_where_its_grid_does():
    window = Window(Rectangle(10, 48, 110, 110), Rectangle(60, 60, 70, 70))
    aligned, plane_of_it = window.aligned(24, plane(0)[10:110, 48:110])
    assert aligned == Window(Rectangle(24, 48, 110, 110), window.core)
    np.testing.assert_array_equal(plane_of_it, plane(0)[24:110, 48:110])


# The filters look twice the background's window, and four sigma, beyond a core, and a step.
@pytest.mark.parametrize(
    ("slow", "reach"),
    [
        (lambda part: background(part, 34.0), 77),
        (lambda part: local_mean(part, 13.0), 65),
    ],
)
@given(top=st.integers(100, 200), left=st.integers(100, 300))
def test_a_window_has_the_levels_of_the_slide(slow, reach, top, left):
    everything = plane(1)
    core = Rectangle(top, left, top + 20, left + 20)
    window, part = Window(core.grown(reach, SLIDE), core), everything
    window, part = window.aligned(8, part[window.frame.slices(SLIDE)])
    expected = slow(everything)[core.slices(SLIDE)]
    np.testing.assert_array_equal(slow(part)[core.slices(window.frame)], expected)
