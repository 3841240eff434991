"""A small untrained network as a model file, for tests that need a real one."""

from pathlib import Path

import numpy as np
import yaml

from fathom.networks.architecture import parse
from fathom.networks.network import build
from fathom.params.data import Crop, Segmentation
from fathom.params.recipe import Recipe
from fathom.scoring.export import Graph, export
from fathom.scoring.onnx_model import ModelCard

ROOT = Path(__file__).parents[1]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))

LINE = "4conv3x3 - mp2x2 - 4conv3x3 - mp2x2 - fc8 - o"
RECIPE = Recipe.model_validate({**PARAMS["recipe"], "initialisation": "he", "norm": "batch"})


def make_card(**changes):
    channels = changes.get("channels", 1)
    values = {
        "format": 1,
        "fathom_version": "0.1.0",
        "run": "tiny",
        "negative": "well",
        "positive": "ill",
        "threshold": 0.5,
        "crop_px": 32,
        "channels": channels,
        "um_per_px": 0.325,
        "segmentation": Segmentation.model_validate(PARAMS["segmentation"]),
        "crop": Crop.model_validate({**PARAMS["crop"], "crop_px": 32}),
        "architecture": LINE,
        "recipe": RECIPE.model_dump(mode="json"),
        "data_sha256": "0" * 64,
        "metrics": {"balanced_accuracy": 0.61, "balanced_accuracy_low": 0.55},
    }
    return ModelCard(**{**values, **changes})


def make_crops(n, channels=1, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 32, 32, channels), dtype=np.uint8)


def make_graph(channels=1, seed=0):
    return Graph(build(parse(LINE), RECIPE, channels, 32, seed), RECIPE).eval()


def write_model(path, **changes):
    """Write a model file; `changes` are fields of its card."""
    card = make_card(**changes)
    export(make_graph(card.channels), card, make_crops(70, card.channels), path)
    return path
