"""A graph of three operations with the inputs and outputs of a model file, made without torch."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 32


def graph_of(offset: onnx.TensorProto | None = None, repeats: int = 1) -> onnx.GraphProto:
    """Return a graph whose logit is the mean of a crop plus `offset`, a float.

    With `repeats` other than 1 it answers so many times for each crop.
    """
    offset = offset or numpy_helper.from_array(np.zeros(1, np.float32), "offset")
    tiled = numpy_helper.from_array(np.array([repeats], np.int64), "repeats")
    axes = numpy_helper.from_array(np.array([1, 2, 3], np.int64), "axes")
    nodes = [
        helper.make_node("Cast", ["crops"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["values", "axes"], ["mean"], keepdims=0),
        helper.make_node("Add", ["mean", "offset"], ["one"]),
        helper.make_node("Tile", ["one", "repeats"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["probability"]),
    ]
    crops = helper.make_tensor_value_info("crops", TensorProto.UINT8, ["n", SIDE, SIDE, 1])
    out = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None])
        for name in ("logit", "probability")
    ]
    return helper.make_graph(nodes, "tiny", [crops], out, [offset, tiled, axes])


def write_graph(path: Path, graph: onnx.GraphProto, properties: dict[str, str]) -> Path:
    """Write a model file; nothing of it is checked."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    for name, text in properties.items():
        model.metadata_props.add(key=name, value=text)
    path.write_bytes(model.SerializeToString())
    return path
