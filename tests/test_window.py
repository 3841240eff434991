import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom.imaging.background import background, local_mean
from fathom.imaging.window import Rectangle, Window

SLIDE = Rectangle(0, 0, 300, 400)


def plane(seed):
    return np.random.default_rng(seed).random((SLIDE.bottom, SLIDE.right), dtype=np.float32)


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
    assert narrow.origin == (30, 40)
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


# The filters look twice the background's window, and four sigma, beyond a core.
@pytest.mark.parametrize(
    ("slow", "reach"),
    [
        (lambda part, origin: background(part, 34.0, origin), 76),
        (lambda part, origin: local_mean(part, 13.0, origin), 59),
    ],
)
@given(top=st.integers(80, 200), left=st.integers(80, 300))
def test_a_window_has_the_grid_of_the_slide(slow, reach, top, left):
    everything = plane(1)
    window = Window(Rectangle(top, left, top + 20, left + 20).grown(reach, SLIDE), SLIDE)
    frame, core = window.frame, Rectangle(top, left, top + 20, left + 20)
    expected = slow(everything, (0, 0))[core.slices(SLIDE)]
    found = slow(everything[frame.slices(SLIDE)], window.origin)[core.slices(frame)]
    np.testing.assert_allclose(found, expected, rtol=2e-7, atol=0)
