"""What a small model file says of itself; no torch."""

from pathlib import Path

import yaml

from fathom.imaging.params import Crop, Segmentation
from fathom.models.abstention import Abstention
from fathom.models.onnx_model import FORMAT, ModelCard
from fathom.networks.recipe import Recipe

ROOT = Path(__file__).parents[1]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))

LINE = "4conv3x3 - mp2x2 - 4conv3x3 - mp2x2 - fc8 - o"
RECIPE = Recipe.model_validate({**PARAMS["recipe"], "initialisation": "he", "norm": "batch"})


def abstention_of(group):
    return Abstention(confidence=0.9, group=group, groups=12, band=0.2)


def make_card(**changes):
    channels = changes.get("channels", 1)
    values = {
        "format": FORMAT,
        "fathom_version": "0.1.0",
        "run": "tiny",
        "negative": "well",
        "positive": "ill",
        "threshold": 0.5,
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
