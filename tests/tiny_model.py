"""A small untrained network as a model file, for tests that need a real one."""

import numpy as np
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


def write_model(path, **changes):
    """Write a model file; `changes` are fields of its card."""
    card = make_card(**changes)
    export(make_graph(card.channels), card, make_crops(70, card.channels), path)
    return path
