import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage.morphology import h_maxima

from fathom.imaging.separation import _labelled

_BITS = 16  # of a level, in which a place is kept: heights are multiples


def terrain(seed, side=40):
    """Return a smooth relief with a border of zeros, in steps of `_BITS` levels."""
    rng = np.random.default_rng(seed)
    height = ndimage.gaussian_filter(rng.normal(size=(side, side)), 2)
    height = np.clip((height - height.min()) / np.ptp(height) * 2000 - 700, 0, None)
    relief = (height.astype(np.uint16) + (height > 0)) * np.uint16(_BITS)
    return np.pad(relief[1:-1, 1:-1], 1).astype(np.uint16)


@given(seed=st.integers(0, 10_000), depth=st.sampled_from([0.001, 0.05, 0.3]))
def test_a_relief_has_as_many_labels_as_h_maxima(seed, depth):
    relief = terrain(seed)
    inside = (relief > 0).astype(np.uint8) * 255
    labels, count = _labelled(inside, relief, depth)
    assert np.unique(labels).tolist() == list(range(count + 1))
    np.testing.assert_array_equal(labels > 0, inside > 0)
    pieces, _ = ndimage.label(inside, np.ones((3, 3)))
    # The tops of h-maxima, of which a piece that is lower than the depth has none.
    rises = max(1, int(np.ceil(depth * 16384)))
    tops, _ = ndimage.label(h_maxima(relief.astype(np.int64), rises), np.ones((3, 3)))
    for piece in np.unique(pieces)[1:]:
        here = pieces == piece
        expected = len(np.unique(tops[here & (tops > 0)]))
        assert relief.max() > 16384 or len(np.unique(labels[here])) == max(1, expected)


def test_every_way_leads_up():
    relief = terrain(3)
    labels, count = _labelled((relief > 0).astype(np.uint8) * 255, relief, 1e-9)
    for number in range(1, count + 1):
        inside = labels == number
        _, parts = ndimage.label(inside, np.ones((3, 3)))
        assert parts == 1


def test_a_plateau_is_one_nucleus():
    relief = np.zeros((30, 30), dtype=np.uint16)
    relief[5:25, 5:25] = 1600
    relief[10:14, 10:14] = 0
    labels, count = _labelled((relief > 0).astype(np.uint8) * 255, relief, 0.01)
    assert count == 1
    np.testing.assert_array_equal(labels > 0, relief > 0)
