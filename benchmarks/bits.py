"""Hashes of what fathom computes, operation by operation, in order: the bits of this processor.

    python benchmarks/bits.py training|golden|images|scoring|continued [--model ...] [--store ...]

prints one JSON line an operation: its name and hash. `golden` is a training of about a minute whose
hashes are committed (benchmarks/results/golden.json); the others are small enough for an emulated
processor (benchmarks/portable_bits.py). The first name whose hash differs between two
processors is the first operation that does.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import fathom.ground.stage  # first: it chooses the instruction sets, before NumPy is loaded  # isort: skip

if os.environ.get("FATHOM_EMULATED"):  # QEMU 7.2 crashes in NumPy's sort with AVX2
    os.environ["NPY_DISABLE_CPU_FEATURES"] += " X86_V3"

import numpy as np
import typer
import yaml

from fathom.study.stored_crops import Crops
from fathom.networks.recipe import Probes, Recipe
from fathom.training.cell import Cell, Epoch, Shown

ROOT = Path(__file__).parents[1]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
SHALLOW, VGG_13 = (PARAMS["architectures"][name] for name in ("shallow", "vgg-13"))
STRIDED = (
    "8conv3x3 - res(8conv3x3 - 8conv3x3) - res(16conv3x3/2 - 16conv3x3) - "
    "res(32conv3x3/2 - 32conv3x3) - gap - o"
)
Hashes = Iterator[tuple[str, str]]  # name of the operation, hash

SMALL = 12, 32  # crops and their side, px, for an emulator: VGG pools five times
# Each kind of network, optimiser and initialisation once, with dropout and without.
KINDS: dict[str, tuple[str, dict[str, object]]] = {
    "shallow": (SHALLOW, {}),
    "shallow, balanced loss, warm-up": (SHALLOW, {"loss_weights": "balanced", "warmup_epochs": 1}),
    "VGG-13, He": (VGG_13, {"initialisation": "he"}),
    "VGG-13, BatchNorm, Adam": (
        VGG_13,
        {"norm": "batch", "optimiser": "adam", "momentum": 0.9, "initialisation": "torch"},
    ),
    "VGG-13, GroupNorm, SGD": (
        VGG_13,
        {"norm": "group", "optimiser": "sgd", "momentum": 0.9, "learning_rate": 0.01},
    ),
    "VGG-13, LSUV": (VGG_13, {"initialisation": "lsuv", "dropout": 0.2}),
    "residual, stride": (STRIDED, {"momentum": 0.9, "weight_decay": 5e-4}),
    "residual, stride, BatchNorm, looks-linear": (
        STRIDED,
        {"norm": "batch", "initialisation": "looks-linear"},
    ),
}
# Keys of the recipe that came later: by two steps alone, so that the golden minute stays one.
LATER_KINDS: dict[str, tuple[str, dict[str, object]]] = {
    "shallow, tanh, clipped, cosine, bias": (
        SHALLOW,
        {"activation": "tanh", "clip_norm": 0.05, "schedule": "cosine", "initial_bias": 0.1},
    ),
    "residual, sigmoid": (STRIDED, {"activation": "sigmoid"}),
    "shallow, leaky, step": (SHALLOW, {"activation": "leaky", "schedule": "step"}),
}


def digest(*arrays: np.ndarray) -> str:
    """Return a short hash of arrays: type, shape and bytes."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()[:16]


def simulated(n: int, side: int = 48) -> Shown:
    """Return discs of noise on black, brighter in the middle where positive: integers alone."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:side, :side] * 2 - side + 1
    distance = rows**2 + columns**2
    targets = np.arange(n) % 2 == 0
    crops: Crops = rng.integers(20, 200, (n, side, side, 1), dtype=np.uint8)
    crops[targets] += (distance < side**2 // 16).astype(np.uint8)[..., None] * 40
    crops[:, distance > (side * 0.8) ** 2] = 0
    return Shown(crops, targets)


def trained(kind: str, shown: Shown, epochs: int, batch: int, probed: int) -> Hashes:
    """Train a network and yield the hashes: of each layer in the first step, then of each epoch."""
    from fathom.training.determinism import reproducible
    from fathom.training.training import _device, _Training

    line, changes = (KINDS | LATER_KINDS)[kind]
    recipe = Recipe.model_validate(
        {**PARAMS["recipe"], **changes, "epochs": epochs, "batch_size": batch}
    )
    order = np.arange(len(shown.targets))
    cut = len(order) * 3 // 4
    rows = {"train": order[:cut], "validation": order[cut:], "test": order[cut:]}
    probes = Probes(crops=probed, epochs=(1,))
    cell = Cell(kind, 0, 0, line, recipe, rows, probes)
    with reproducible("portable"):
        training = _Training(shown, cell, _device("portable"))
        yield "weights drawn", digest(*training.kept.values())
        yield from first_step(training)
        while len(training.history) < epochs:
            training.run_epoch()
            name = f"epoch {len(training.history)}"
            yield f"{name}, weights", digest(*training._weights().values())
            yield f"{name}, losses", digest(np.array(training.history[-1]))
        left = training.result()
    for name in ("train", "validation"):
        yield f"probabilities, {name}", digest(left.probabilities[name])
    yield (
        "probes and linear probes",
        digest(
            np.array(
                [[value for value in row if not isinstance(value, str)] for row in left.probes]
            )
        ),
    )


def first_step(training: object) -> Hashes:
    """Yield the hash of what each module gives for a batch, forward, and of each gradient."""
    import torch

    seen: list[tuple[str, str]] = []

    def hook(name: str, kind: str):
        def note(_module, _inputs, output):
            seen.append((f"forward, {name} ({kind})", digest(output.detach().numpy())))

        return note

    network = training.network
    handles = [
        module.register_forward_hook(hook(name, type(module).__name__))
        for name, module in network.named_modules()
        if not list(module.children()) and not isinstance(module, torch.nn.Identity)
    ]
    states = [one.bit_generator.state for one in training._streams()]
    network.train()
    _, _, loss = training._loss(training.rows["train"][: training.recipe.batch_size])
    for handle in handles:
        handle.remove()
    yield from seen
    yield "forward, loss", digest(loss.detach().numpy())
    training.optimiser.zero_grad()
    loss.backward()
    for name, weight in reversed(list(network.named_parameters())):
        yield f"gradient, {name}", digest(weight.grad.numpy())
    training.optimiser.zero_grad()
    for one, state in zip(training._streams(), states, strict=True):
        one.bit_generator.state = state


def training() -> Hashes:
    """Two steps of each kind of network."""
    shown = simulated(*SMALL)
    for kind in (*KINDS, *LATER_KINDS):
        for name, value in trained(kind, shown, epochs=1, batch=4, probed=4):
            yield f"{kind}: {name}", value


def golden() -> Hashes:
    """Train for a minute, at the real batch size."""
    shown = simulated(600)
    for kind in KINDS:
        for name, value in trained(kind, shown, epochs=4, batch=64, probed=64):
            yield f"{kind}: {name}", value


def continued(store: Path, stop: int) -> Hashes:
    """Train three epochs, from where the store says; end the process after epoch `stop`."""
    from fathom.training.store import Store
    from fathom.training.training import train_cell

    line, changes = KINDS["VGG-13, BatchNorm, Adam"]
    recipe = {**PARAMS["recipe"], **changes, "epochs": 3, "batch_size": 4}
    order = np.arange(SMALL[0])
    rows = {"train": order[:8], "validation": order[8:]}
    cell = Cell("continued", 0, 0, line, Recipe.model_validate(recipe), rows)

    def report(epoch: Epoch) -> None:
        if epoch.epoch == stop:
            sys.exit(0)

    left = train_cell(simulated(*SMALL), cell, Store(store).at("bits", cell), report)
    yield "weights", digest(*left.weights.values())
    yield "history", digest(np.array(left.history))
    yield "probabilities", digest(*left.probabilities.values())


def images() -> Hashes:
    """Segmentation and features of a simulated field, and the classifiers on the features."""
    from fathom.baselines.baseline import build_classifier, probability
    from fathom.baselines.features import features_of
    from fathom.imaging.segmentation import segment
    from fathom.baselines.params import Features
    from fathom.imaging.params import Segmentation

    labels = segment(field(), Segmentation.model_validate(PARAMS["segmentation"]))
    features = Features.model_validate(PARAMS["features"])
    shown = simulated(60)
    measured = [features_of(crop, features) for crop in shown.crops]
    table = np.array([list(row.values()) for row in measured])
    chosen = {
        "logistic": {"C": 0.1},
        "svm": {"C": 1.0, "gamma": 0.01},
        "forest": {"n_estimators": 50, "max_features": 0.3, "min_samples_leaf": 5},
    }
    yield "segmentation", digest(labels)
    for place, name in enumerate(measured[0]):
        yield f"feature {name}", digest(table[:, place])
    for classifier, hyperparameters in chosen.items():
        model = build_classifier(classifier, hyperparameters, 0)
        model.fit(table[:40], shown.targets[:40])
        yield f"classifier {classifier}", digest(probability(model, table[40:]))


def field(side: int = 300) -> np.ndarray:
    """Return a simulated fluorescence field, (side, side) uint16."""
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[:side, :side]
    light = rng.integers(260, 340, (side, side))
    for row, column in rng.integers(20, side - 20, (24, 2)):
        inside = (rows - row) ** 2 + (columns - column) ** 2 < rng.integers(80, 160)
        light[inside] += rng.integers(1000, 2000, inside.sum())
    return light.astype(np.uint16)


def scoring(model: Path) -> Hashes:
    """Score crops with a model file, by ONNX Runtime."""
    from fathom.models.onnx_model import OnnxModel

    logit, probability = OnnxModel(model).score(simulated(40).crops)
    yield "logit", digest(logit)
    yield "probability", digest(probability)


def main(
    what: Annotated[str, typer.Argument(help="training, golden, images, scoring or continued.")],
    model: Annotated[Path, typer.Option(help="For scoring: a model file.")] = Path("model.onnx"),
    store: Annotated[Path, typer.Option(help="For continued: a folder.")] = Path("cells"),
    stop: Annotated[int, typer.Option(help="For continued: the last epoch to train.")] = 0,
) -> None:
    """Print the hashes of this processor, each as soon as it is known."""
    recorders: dict[str, Callable[[], Hashes]] = {
        "training": training,
        "golden": golden,
        "images": images,
        "scoring": lambda: scoring(model),
        "continued": lambda: continued(store, stop),
    }
    for name, value in recorders[what]():
        print(json.dumps([name, value]), flush=True)


if __name__ == "__main__":
    fathom.ground.stage.run(main)
