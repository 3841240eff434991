import numpy as np
import pytest
from onnx import TensorProto
from segmenter_networks import network_params, write_network

from fathom.ground.errors import FathomError
from fathom.imaging.segmenter_network import SegmenterNetwork


@pytest.fixture(scope="module")
def network_file(tmp_path_factory):
    return write_network(tmp_path_factory.mktemp("network") / "net.onnx")


def test_a_window_gives_as_many_maps_as_the_network_has(network_file):
    network = SegmenterNetwork(network_file, network_params(network_file))
    planes = np.zeros((1, 128, 128), dtype=np.float32)
    planes[0, 40:60, 40:60] = 1
    maps = network.run(planes)
    assert (maps.shape, maps.dtype) == ((2, 128, 128), np.float32)
    assert maps[0, 50, 50] > 0.99
    assert maps[0, 100, 100] < 0.01
    assert maps[1, 50, 40] > maps[1, 50, 50]  # the outline, the middle


def test_the_activation_is_the_one_named(network_file, tmp_path):
    inside = write_network(tmp_path / "inside.onnx", sigmoid=True)
    planes = np.random.default_rng(0).random((1, 128, 128), dtype=np.float32)
    sigmoid = SegmenterNetwork(network_file, network_params(network_file)).run(planes)
    none = SegmenterNetwork(inside, network_params(inside, activation="none")).run(planes)
    np.testing.assert_allclose(sigmoid, none, atol=1e-6)
    softmax = SegmenterNetwork(network_file, network_params(network_file, activation="softmax"))
    np.testing.assert_allclose(softmax.run(planes).sum(axis=0), 1, atol=1e-6)


def test_a_missing_file_says_what_is_wanted(tmp_path):
    with pytest.raises(FathomError, match=r"none\.onnx: there is no such .*--segmenter FILE"):
        SegmenterNetwork(tmp_path / "none.onnx", network_params())


def test_another_network_than_the_one_named(network_file):
    with pytest.raises(FathomError, match=r"is another network \(SHA-256 [0-9a-f]{64}\)"):
        SegmenterNetwork(network_file, network_params(network_file, network_sha256="1" * 64))


def test_a_file_that_is_not_onnx(tmp_path):
    path = tmp_path / "text.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(FathomError, match=r"text\.onnx: is not an ONNX file, or a damaged one"):
        SegmenterNetwork(path, network_params(path))


@pytest.mark.parametrize(
    ("network", "changes", "fault"),
    [
        ({}, {"window_px": 130}, r"cannot run .*|returns float32 of the shape \(1, 2, 1"),
        ({}, {"interior_channel": 2}, "returns 2 maps, numbered from 0; there is no channel 2"),
        ({"maps": 1}, {"boundary_channel": 1}, "there is no channel 1"),
        ({}, {"activation": "none"}, "are no probabilities: set segmentation.activation"),
        ({"channels": 3}, {"planes": "stain"}, "takes 3 channels, but .* is 'stain'"),
        ({"channels": 2}, {}, "a segmenter takes one float32 input"),
        ({"dtype": TensorProto.FLOAT16}, {}, r"takes 'image' tensor\(float16\)"),
        ({"size": 64}, {}, "cannot run a window of 128 x 128 px"),
    ],
)
def test_a_network_that_does_not_fit_its_params(tmp_path, network, changes, fault):
    path = write_network(tmp_path / "net.onnx", **network)
    with pytest.raises(FathomError, match=fault):
        SegmenterNetwork(path, network_params(path, **changes))
