"""From a trained network to a model file: the graph, its metadata, and proof that both agree."""

import json
import logging
import warnings
from importlib.metadata import version
from math import inf
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from fathom.datasets.tables import one_scale
from fathom.ground.errors import FathomError
from fathom.ground.output import written_whole
from fathom.ground.streams import Streams
from fathom.imaging.params import Crop, NetworkSegmentation, Segmentation
from fathom.models.abstention import Group, calibrate
from fathom.models.onnx_model import FORMAT, INPUT, LOGIT, PROBABILITY, ModelCard, OnnxModel
from fathom.networks.architecture import parse
from fathom.networks.interventions import Plan
from fathom.networks.network import build, scale_input
from fathom.networks.recipe import Recipe
from fathom.statistics.metrics import choose_threshold
from fathom.statistics.scores import class_names
from fathom.study.nuclei import Nuclei, data_sha256
from fathom.study.splits import FINAL
from fathom.study.stored_crops import CropRows
from fathom.study.trained import PREDICTIONS, WEIGHTS

PARITY_BATCHES = (1, 2, 7, 64)
# In the logit, and relative to the batch's largest beyond 1: networks that explode are a subject of
# study here, and of a logit of 2e5 float32 keeps no more than 0.02.
PARITY_TOLERANCE = 1e-4
# From here on a sum of products may be infinite or NaN in float32. A network that exploded is
# exported as it is, with its status in its metrics: `fathom.models.best_run.failure`.
OVERFLOW = 1e30


def export_run(
    run: str,
    plan: Plan,
    segmentation: Segmentation | NetworkSegmentation,
    crop: Crop,
    *,
    group: Group,
    confidence: float,
    nuclei: Nuclei,
    images: pd.DataFrame,
    trained: Path,
    metrics: Path,
    out: Path,
) -> None:
    """Write the final model of a run as one ONNX file.

    Parameters
    ----------
    run, plan : name, architecture and resolved recipe of the run
    segmentation, crop : how the study's nuclei were found and cut
    group : what never stands on both sides of a split: the abstention is calibrated on it
    confidence : of the verdict on a new slide
    nuclei : of the study
    images : of the study, with um_per_px (`DataSet.images`)
    trained : folder of the stage `train`: predictions.parquet, final.safetensors
    metrics : JSON file of the run, of the stage `compare`
    out : the file to write

    Raises `FathomError`, and leaves no file, where the file would not compute what torch does.
    """
    crops = nuclei.crops()
    channels: Literal[1, 3] = 3 if crops.shape[-1] == 3 else 1
    negative, positive = class_names(nuclei)
    predictions = pd.read_parquet(trained / PREDICTIONS)
    card = ModelCard(
        format=FORMAT,
        fathom_version=version("fathom"),
        run=run,
        negative=negative,
        positive=positive,
        threshold=final_threshold(predictions, nuclei),
        channels=channels,
        um_per_px=common_um_per_px(images),
        segmentation=segmentation,
        crop=crop,
        architecture=plan.line,
        recipe=plan.recipe.model_dump(mode="json"),
        data_sha256=data_sha256(nuclei),
        metrics=json.loads(metrics.read_text(encoding="utf-8")),
        abstention=calibrate(predictions, nuclei, group, confidence),
    )
    graph = load_graph(trained / WEIGHTS, plan, channels, crop.crop_px)
    export(graph, card, crops, out)


class Graph(nn.Module):
    """What the file computes: uint8 NHWC crops to logit and probability, scaling included."""

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        self.network = network
        self.input_scale = recipe.input_scale

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logit = self.network(scale_input(crops, self.input_scale))
        return logit, torch.sigmoid(logit)


def load_graph(weights: Path, plan: Plan, channels: int, crop_px: int) -> Graph:
    """Return the trained network of `weights`, a safetensors file, ready to be exported."""
    # Whatever the streams draw is replaced.
    network = build(parse(plan.line), plan.recipe, channels, crop_px, Streams(0))
    try:
        network.load_state_dict(load_file(weights))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise FathomError(
            f"{weights}: does not hold the weights of {plan.line!r} ({error}). "
            "Run the stage 'train'"
        ) from None
    return Graph(network, plan.recipe).eval()


def export(graph: Graph, card: ModelCard, crops: CropRows, path: Path) -> None:
    """Write `graph` and `card` as one ONNX file; the same network gives the same bytes.

    Raises `FathomError`, and leaves no file, where torch and ONNX Runtime differ by more than
    `PARITY_TOLERANCE` in the logit of any batch of `crops`, nuclei of the study.
    """
    model = _onnx_graph(graph, crops)
    for name, text in card.properties().items():
        model.metadata_props.add(key=name, value=text)
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part:
        part.write_bytes(model.SerializeToString(deterministic=True))
        check_parity(graph, OnnxModel(part), crops)


def _onnx_graph(graph: Graph, crops: CropRows) -> onnx.ModelProto:
    # A registry that lacks torchvision's operators, which no network here has, logs a warning each.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of torch's exporter about torch itself
        program = torch.onnx.export(
            graph,
            (torch.from_numpy(crops[np.arange(2) % len(crops)]),),
            dynamo=True,
            input_names=[INPUT],
            output_names=[LOGIT, PROBABILITY],
            dynamic_shapes={INPUT: {0: torch.export.Dim("n")}},
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise TypeError("the exporter returned no program")
    model: onnx.ModelProto = program.model_proto
    # The exporter notes Python's stack beside every node, with the paths of this machine.
    for noted in (*model.graph.node, *model.graph.value_info, *model.graph.initializer):
        noted.doc_string = ""
        del noted.metadata_props[:]
    del model.graph.metadata_props[:]
    return model


@torch.inference_mode()
def check_parity(graph: Graph, model: OnnxModel, crops: CropRows) -> None:
    """Raise `FathomError` where torch and ONNX Runtime give different logits for `crops`."""
    for n in PARITY_BATCHES:
        # Evenly over the study; a small one's crops are repeated.
        batch = crops[np.linspace(0, len(crops) - 1, n).astype(int)]
        expected = graph(torch.from_numpy(batch))[0].numpy()
        found, _ = model.score(batch)
        # A logit that overflows does so in both; how, hangs on the order of a sum.
        whole, also = (np.abs(of) < OVERFLOW for of in (expected, found))
        difference = inf
        if np.array_equal(whole, also):
            difference = float(np.abs(found[whole] - expected[whole]).max(initial=0))
        allowed = PARITY_TOLERANCE * max(1.0, float(np.abs(expected[whole]).max(initial=0)))
        if difference > allowed:
            raise FathomError(
                f"torch and ONNX Runtime differ by {difference:.2g} in the logits of a batch of "
                f"{n}, more than the {allowed:.2g} allowed: no file was written"
            )


def final_threshold(predictions: pd.DataFrame, nuclei: Nuclei) -> float:
    """Choose the threshold on the validation part of the final model's split."""
    rows = predictions[(predictions["fold"] == FINAL) & (predictions["part"] == "validation")]
    positive = nuclei.kept.set_index("nucleus")["positive"].loc[rows["nucleus"]]
    return choose_threshold(
        rows["probability"].to_numpy(dtype=np.float64), positive.to_numpy(dtype=bool)
    )


def common_um_per_px(images: pd.DataFrame) -> float | None:
    """Return the scale of the study's images, None where that of any is unknown or differs.

    The audit stops at several; where that was waived, no one scale is what the network learned. It
    warns of images whose scale nobody says: they may be of another.
    """
    scales = images["um_per_px"]
    one = len(scales) > 0 and bool(scales.notna().all()) and one_scale(scales)
    return float(scales.median()) if one else None
