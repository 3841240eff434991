"""Networks made by hand, not trained, that map nuclei: for tests that need a real one."""

from hashlib import sha256

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fathom.imaging.params import NetworkSegmentation

RADIUS = 4  # of the Gaussian's kernel, px
STEP = 4  # of the pooling: what a pixel gives depends on where the window began
STEEPNESS, LEVEL, SLOPE = 100.0, 0.16, 0.15  # of the logits, over the brightness and its change

DEFAULTS = {
    "method": "onnx",
    "stain": "fluorescence",
    "network": "segmenter.onnx",
    "network_sha256": "0" * 64,
    "planes": "image",
    "normalisation": "scale_range",
    "low_percentile": 1.0,
    "high_percentile": 99.8,
    "window_px": 128,
    "halo_px": 8,
    "activation": "sigmoid",
    "interior_channel": 0,
    "boundary_channel": None,
    "threshold": 0.5,
    "seed_depth_px": 1.5,
    "smallest_area_px": 30,
}


def network_params(path=None, **changes):
    """Return the section for the network of `path`."""
    named = {}
    if path is not None:
        named = {"network": str(path), "network_sha256": sha256(path.read_bytes()).hexdigest()}
    return NetworkSegmentation.model_validate({**DEFAULTS, **named, **changes})


def write_network(path, *, channels=1, maps=2, size=None, dtype=TensorProto.FLOAT, sigmoid=False):
    """Write a network: map 0 is high where it is bright, map 1 where the brightness changes.

    Both are logits, or probabilities with `sigmoid`. `size` is the one height and width it takes.
    """
    offsets = np.arange(-RADIUS, RADIUS + 1)
    bell = np.exp(-(offsets**2) / (2 * 1.5**2))
    blur = np.outer(bell, bell) / bell.sum() ** 2 / channels
    kernels = {
        "blur": np.tile(blur, (1, channels, 1, 1)),
        "across": np.array([[[[-0.5, 0.0, 0.5]]]]),
        "along": np.array([[[[-0.5], [0.0], [0.5]]]]),
        "spread": np.ones((1, 1, STEP, STEP)),
        "half": np.array(0.5),
        "steepness": np.array(STEEPNESS),
        "level": np.array(LEVEL),
        "slope": np.array(SLOPE),
    }
    nodes = [
        helper.make_node("Conv", ["image", "blur"], ["smooth"], pads=[RADIUS] * 4),
        helper.make_node(
            "AveragePool", ["smooth"], ["coarse"], kernel_shape=[STEP] * 2, strides=[STEP] * 2
        ),
        helper.make_node("ConvTranspose", ["coarse", "spread"], ["blocks"], strides=[STEP] * 2),
        helper.make_node("Add", ["smooth", "blocks"], ["both"]),
        helper.make_node("Mul", ["both", "half"], ["bright"]),
        helper.make_node("Sub", ["bright", "level"], ["above"]),
        helper.make_node("Mul", ["above", "steepness"], ["interior"]),
        helper.make_node("Conv", ["smooth", "across"], ["dx"], pads=[0, 1, 0, 1]),
        helper.make_node("Conv", ["smooth", "along"], ["dy"], pads=[1, 0, 1, 0]),
        helper.make_node("Mul", ["dx", "dx"], ["dx2"]),
        helper.make_node("Mul", ["dy", "dy"], ["dy2"]),
        helper.make_node("Add", ["dx2", "dy2"], ["slope2"]),
        helper.make_node("Sqrt", ["slope2"], ["steep"]),
        helper.make_node("Sub", ["steep", "slope"], ["steeper"]),
        helper.make_node("Mul", ["steeper", "steepness"], ["boundary"]),
        helper.make_node("Concat", ["interior", "boundary"][:maps], ["logits"], axis=1),
        helper.make_node("Sigmoid" if sigmoid else "Identity", ["logits"], ["maps"]),
    ]
    number = np.float16 if dtype == TensorProto.FLOAT16 else np.float32
    graph = helper.make_graph(
        nodes,
        "segmenter",
        [helper.make_tensor_value_info("image", dtype, [1, channels, size or "y", size or "x"])],
        [helper.make_tensor_value_info("maps", dtype, [1, maps, size or "y", size or "x"])],
        [numpy_helper.from_array(v.astype(number), name) for name, v in kernels.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path
