import numpy as np
import pytest
import tifffile
from conftest import write_simulated_dataset
from model_cards import PARAMS

from fathom.datasets.dataset import labels_path, read_dataset
from fathom.datasets.masks import largest_pieces
from fathom.ground.images import read_labels
from fathom.imaging.params import Segmentation
from fathom.imaging.segment_dataset import segment_dataset


def test_the_largest_piece_wins_and_the_rest_is_counted():
    labels = np.array([[5, 5, 0, 2], [5, 2, 0, 0], [0, 0, 2, 2], [5, 0, 0, 2]], np.int32)
    whole, lost = largest_pieces(labels)
    expected = [[5, 5, 0, 0], [5, 2, 0, 0], [0, 0, 2, 2], [0, 0, 0, 2]]
    np.testing.assert_array_equal(whole, expected)
    assert (whole.dtype, lost) == (np.int32, 2)


@pytest.mark.parametrize("labels", [np.zeros((3, 4), np.int32), np.ones((3, 4), np.int32)])
def test_what_is_whole_stays(labels):
    whole, lost = largest_pieces(labels)
    np.testing.assert_array_equal(whole, labels)
    assert lost == 0


def test_a_stray_pixel_leaves_no_nucleus_out(tmp_path):
    """One of each nucleus across the image made every box larger than the crop: 32 were lost."""
    write_simulated_dataset(tmp_path / "set", slides=2)
    masks = {}
    (tmp_path / "set/masks").mkdir()
    for name in ("field00", "field01"):
        labels = np.zeros((160, 160), np.uint16)
        for number in range(16):
            top, left = 5 + 40 * (number // 4), 5 + 40 * (number % 4)
            labels[top : top + 20, left : left + 20] = number + 1
        masks[name] = labels.copy()
        labels[159, 140:156] = np.arange(16, 0, -1)
        tifffile.imwrite(tmp_path / f"set/masks/{name}.tif", labels)
    params = Segmentation.model_validate({**PARAMS["segmentation"], "method": "masks"})
    segment_dataset(read_dataset(tmp_path / "set"), params, tmp_path / "labels")
    for name, labels in masks.items():
        found = read_labels(labels_path(tmp_path / "labels", f"images/{name}.tif"))
        np.testing.assert_array_equal(found, labels)
