import numpy as np
import pytest
from scipy import ndimage
from segmenter_networks import network_params
from skimage.draw import disk

from fathom.imaging.map_instances import nuclei_of_maps
from fathom.imaging.segmentation_score import score

SHAPE = (120, 120)


def labels_of(*centres, radius=12):
    labels = np.zeros(SHAPE, dtype=np.int32)
    for number, centre in enumerate(centres, start=1):
        labels[disk(centre, radius, shape=SHAPE)] = number
    return labels


def soft(mask):
    """Return a probability that rises over a few px, 0.5 on the outline."""
    signed = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)
    return (1 / (1 + np.exp(-signed))).astype(np.float32)


APART = labels_of((30, 30), (30, 90), (90, 30), (90, 90))
TOUCHING = labels_of((60, 40), (60, 63))


def test_nuclei_apart_are_found_as_they_are():
    found = nuclei_of_maps(soft(APART > 0)[np.newaxis], network_params())
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, APART)


def test_touching_nuclei_are_parted_by_their_shape():
    found = nuclei_of_maps(soft(TOUCHING > 0)[np.newaxis], network_params())
    assert score(found, TOUCHING).matched[8] == 2  # IoU above 0.9


def test_a_dent_shallower_than_the_depth_parts_nothing():
    maps = soft(TOUCHING > 0)[np.newaxis]
    assert nuclei_of_maps(maps, network_params(seed_depth_px=12.0)).max() == 1


def test_a_boundary_map_parts_what_the_shape_does_not():
    block = np.zeros(SHAPE, dtype=bool)
    block[40:80, 30:90] = True
    boundary = np.zeros(SHAPE, dtype=np.float32)
    boundary[:, 58:62] = 0.9
    maps = np.stack([soft(block), boundary])
    assert nuclei_of_maps(maps, network_params()).max() == 1
    found = nuclei_of_maps(maps, network_params(boundary_channel=1))
    assert found.max() == 2
    np.testing.assert_array_equal(found > 0, block)  # the outline belongs to the nuclei
    assert found[60, 40] != found[60, 80]


def test_channels_are_the_ones_named():
    maps = np.stack([np.ones(SHAPE, np.float32), soft(APART > 0)])
    found = nuclei_of_maps(maps, network_params(interior_channel=1))
    np.testing.assert_array_equal(found, APART)


def test_small_pieces_go_and_small_holes_are_filled():
    mask = APART > 0
    mask[30, 30] = False
    mask[60:63, 60:63] = True
    found = nuclei_of_maps(soft(mask)[np.newaxis], network_params(threshold=0.6))
    assert found[61, 61] == 0
    assert found[30, 30] == 1
    assert found.max() == 4
    assert nuclei_of_maps(soft(mask)[np.newaxis], network_params(smallest_area_px=9)).max() == 5


def test_a_larger_region_changes_no_nucleus():
    maps = soft(TOUCHING > 0)[np.newaxis]
    part = nuclei_of_maps(maps[:, 30:90, 20:85], network_params())
    np.testing.assert_array_equal(part, nuclei_of_maps(maps, network_params())[30:90, 20:85])


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (40, 30)])
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_an_even_map(shape, level):
    maps = np.full((1, *shape), level, dtype=np.float32)
    found = nuclei_of_maps(maps, network_params(smallest_area_px=1))
    assert (found.shape, found.dtype) == (shape, np.int32)
    assert found.max() <= level
