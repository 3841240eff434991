import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from segmenter_networks import RADIUS, STEP, network_params, write_network
from skimage.draw import disk

from fathom.ground.errors import FathomError
from fathom.imaging.probability_map import InputScale, ProbabilityMap, input_planes, nuclei_of_maps
from fathom.imaging.segmentation_score import score
from fathom.imaging.segmenter_network import SegmenterNetwork

HEIGHT, WIDTH = 150, 210
SLIDE = np.random.default_rng(0).integers(0, 4000, (HEIGHT, WIDTH), dtype=np.uint16)

SHAPE = (120, 120)


def read(top, left, height, width):
    """Read like `fathom.slides.slide.Slide.read`: nothing outside the slide."""
    assert min(top, left) >= 0
    assert top + height <= HEIGHT
    assert left + width <= WIDTH
    return SLIDE[top : top + height, left : left + width]


def map_of(network, picture=SLIDE):
    scale = InputScale.of(picture, network.params)
    return ProbabilityMap(network, read, *picture.shape[:2], scale)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = write_network(tmp_path_factory.mktemp("network") / "net.onnx")
    return SegmenterNetwork(path, network_params(path, window_px=64))


@pytest.fixture(scope="module")
def whole(network):
    return map_of(network).region(0, 0, HEIGHT, WIDTH)


@settings(max_examples=40)
@given(st.data())
def test_a_region_has_the_numbers_of_the_whole(network, whole, data):
    top, left = data.draw(st.integers(0, HEIGHT - 1)), data.draw(st.integers(0, WIDTH - 1))
    height = data.draw(st.integers(1, HEIGHT - top))
    width = data.draw(st.integers(1, WIDTH - left))
    region = map_of(network).region(top, left, height, width)
    expected = whole[:, top : top + height, left : left + width]
    np.testing.assert_array_equal(region, expected)


def test_the_windows_are_not_seen_where_the_halo_is_wide_enough(network, whole):
    """One window over all of it, begun at a multiple of the network's step, gives the same map."""
    assert network.params.halo_px >= RADIUS + STEP
    (params,) = [network_params(network.path, window_px=64 + 48 * 8)]
    wide = map_of(SegmenterNetwork(network.path, params)).region(0, 0, HEIGHT, WIDTH)
    np.testing.assert_allclose(wide, whole, atol=1e-5)


def test_a_slide_smaller_than_the_halo_is_mirrored(network):
    tiny = SLIDE[:3, :5]
    scale = InputScale.of(tiny, network.params)
    maps = ProbabilityMap(network, lambda *box: tiny, 3, 5, scale).region(0, 0, 3, 5)
    assert maps.shape == (2, 3, 5)


def test_a_slide_of_other_channels_is_named(network):
    colour = np.repeat(SLIDE[..., np.newaxis], 3, axis=-1)
    scale = InputScale.of(colour, network.params)
    with pytest.raises(FathomError, match="takes 1 channels, and the image has 3"):
        ProbabilityMap(network, lambda *box: colour, HEIGHT, WIDTH, scale).region(0, 0, 9, 9)


@pytest.mark.parametrize("planes", ["image", "stain"])
@pytest.mark.parametrize(
    ("normalisation", "expected"),
    [
        ("bit_depth", lambda scaled: scaled.max() == pytest.approx(SLIDE.max() / 65535)),
        (
            "scale_range",
            lambda scaled: np.percentile(scaled, [5, 95]) == pytest.approx([0, 1], abs=1e-3),
        ),
        (
            "zero_mean_unit_variance",
            lambda scaled: [scaled.mean(), scaled.std()] == pytest.approx([0, 1], abs=1e-3),
        ),
    ],
)
def test_normalisations(planes, normalisation, expected):
    params = network_params(
        normalisation=normalisation, planes=planes, low_percentile=5.0, high_percentile=95.0
    )
    scaled = InputScale.of(SLIDE, params).apply(input_planes(SLIDE, params))
    assert (scaled.shape, scaled.dtype) == ((1, HEIGHT, WIDTH), np.float32)
    assert expected(scaled)


def test_no_normalisation_leaves_the_numbers_of_the_file():
    params = network_params(normalisation="none")
    scaled = InputScale.of(SLIDE, params).apply(input_planes(SLIDE, params))
    np.testing.assert_array_equal(scaled[0], SLIDE)


def test_channels_come_first_and_keep_their_colour():
    colour = np.stack([SLIDE, SLIDE // 2, SLIDE // 4], axis=-1)
    planes = input_planes(colour, network_params())
    np.testing.assert_array_equal(planes, np.moveaxis(colour, -1, 0))
    scale = InputScale.of(colour, network_params())
    assert scale.apply(planes)[0].mean() > 2 * scale.apply(planes)[2].mean()


@pytest.mark.parametrize("normalisation", ["scale_range", "zero_mean_unit_variance"])
def test_an_even_picture_is_zero(normalisation):
    even = np.full((20, 20), 700, dtype=np.uint16)
    params = network_params(normalisation=normalisation)
    scaled = InputScale.of(even, params).apply(input_planes(even, params))
    np.testing.assert_allclose(scaled, 0, atol=1e-3)


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
