"""A small untrained network as a model file, for tests that need a real one."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from model_cards import LINE, PARAMS, RECIPE, ROOT, make_card

from fathom.ground.streams import Streams
from fathom.models.export import Graph, export
from fathom.networks.architecture import parse
from fathom.networks.network import build

__all__ = ["LINE", "PARAMS", "RECIPE", "ROOT", "make_card"]


def make_crops(n, channels=1, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 32, 32, channels), dtype=np.uint8)


def make_graph(channels=1, seed=7):
    """Return an untrained network; that of seed 7 tells simulated nuclei of both classes."""
    return Graph(build(parse(LINE), RECIPE, channels, 32, Streams(seed)), RECIPE).eval()


def export_model(path, **changes):
    """Export it; `changes` are fields of its card."""
    card = make_card(**changes)
    export(make_graph(card.channels), card, make_crops(70, card.channels), path)
    return path


@cache
def _exported(channels):
    """Return the file's content; exporting takes seconds, writing another card takes none."""
    with TemporaryDirectory() as folder:
        return export_model(Path(folder) / "tiny.onnx", channels=channels).read_bytes()


def write_model(path, **changes):
    """Write the file that `export_model` writes, exported once a process."""
    card = make_card(**changes)
    model = onnx.load_model_from_string(_exported(card.channels))
    del model.metadata_props[:]
    for name, text in card.properties().items():
        model.metadata_props.add(key=name, value=text)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path
