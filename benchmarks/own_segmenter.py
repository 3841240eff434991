"""A small U-Net as the segmenter, next to the thresholds, on simulated slides it never saw.

    python benchmarks/own_segmenter.py segmenter.onnx

trains one (interior and boundary, as bioimage.io's nuclei networks have them) on eight simulated
slides, writes it as ONNX, and prints the section of params.yaml for it and a Markdown table: F1 at
an IoU of 0.5 and its mean over 0.5 to 0.95, on slides of six other patients. `seed_depth_px` was
chosen on the training slides. One thread; the seeds are below.
"""

import fathom.ground.stage  # noqa: F401  first: it chooses the instruction sets  # isort: skip

import hashlib
import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import yaml
from skimage.segmentation import find_boundaries
from torch import nn

from fathom.ground.images import Labels, Micrograph
from fathom.ground.section import read_section
from fathom.imaging.find_nuclei import finder
from fathom.imaging.params import NetworkSegmentation, Segmentation
from fathom.imaging.probability_map import InputScale, input_planes
from fathom.imaging.segmentation_score import score
from fathom.simulation.simulated_slides import DEFAULT_FIELD, SimulatedSlide, simulate_slides
from fathom.simulation.simulation import DEFAULT

TRAINING = replace(DEFAULT, patients=8, nuclei_per_patient=60)
NEW = replace(DEFAULT, patients=6, nuclei_per_patient=60)
FIELD = replace(DEFAULT_FIELD, touching_share=0.4)
STEPS, BATCH, PATCH_PX = 250, 8, 128
SECTION = {
    "method": "onnx",
    "stain": "fluorescence",
    "planes": "stain",
    "normalisation": "scale_range",
    "low_percentile": 1.0,
    "high_percentile": 99.8,
    "window_px": 256,
    "halo_px": 32,
    "activation": "sigmoid",
    "interior_channel": 0,
    "boundary_channel": 1,
    "threshold": 0.5,
    "seed_depth_px": 1.5,
    "smallest_area_px": 40,
}


class UNet(nn.Module):
    """Levels of two 3x3 convolutions, coarser by two each (Ronneberger et al. 2015, Fig. 1)."""

    def __init__(self, channels: int = 1, widths: Sequence[int] = (8, 16, 32)) -> None:
        super().__init__()
        self.down = nn.ModuleList(map(_pair, [channels, *widths[:-1]], widths))
        self.up = nn.ModuleList(map(_pair, map(sum, pairwise(widths)), widths[:-1]))
        self.maps = nn.Conv2d(widths[0], 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of interior and boundary, (n, 2, y, x), of (n, channels, y, x)."""
        skips = []
        for pair in self.down[:-1]:
            skips.append(pair(x))
            x = nn.functional.max_pool2d(skips[-1], 2)
        x = self.down[-1](x)
        for pair, skip in zip(reversed(self.up), reversed(skips), strict=True):
            x = pair(torch.cat([nn.functional.interpolate(x, scale_factor=2.0), skip], 1))
        return self.maps(x)


def _pair(inputs: int, outputs: int) -> nn.Sequential:
    layers = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


def examples(slide: SimulatedSlide, params: NetworkSegmentation) -> tuple[np.ndarray, np.ndarray]:
    """Return (1, y, x) of input and (2, y, x) of targets."""
    scale = InputScale.of(slide.micrograph, params)
    boundary = find_boundaries(slide.labels, mode="thick") & (slide.labels > 0)
    targets = np.stack([slide.labels > 0, boundary]).astype(np.float32)
    return scale.apply(input_planes(slide.micrograph, params)), targets


def train(params: NetworkSegmentation) -> UNet:
    """Train on random patches, quarter turns and flips."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    slides = [examples(slide, params) for slide in simulate_slides(TRAINING, FIELD, seed=0)]
    network = UNet()
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    weights = torch.tensor([1.0, 3.0]).reshape(1, 2, 1, 1)
    for _ in range(STEPS):
        patches = [_patch(*slides[rng.integers(len(slides))], rng) for _ in range(BATCH)]
        planes, targets = (torch.from_numpy(np.stack(part)) for part in zip(*patches, strict=True))
        loss = nn.functional.binary_cross_entropy_with_logits(
            network(planes), targets, pos_weight=weights
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.eval()


def _patch(
    planes: np.ndarray, targets: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    y, x = rng.integers(0, planes.shape[1] - PATCH_PX, 2)
    turns, flip = rng.integers(4), rng.choice([-1, 1])
    cut = (part[:, y : y + PATCH_PX, x : x + PATCH_PX] for part in (planes, targets))
    one, other = (np.rot90(part, turns, (1, 2))[:, :, ::flip].copy() for part in cut)
    return one, other


def export(network: UNet, path: Path, channels: int = 1) -> None:
    """Write the network as ONNX, any height and width that eight divides."""
    sizes = {2: 8 * torch.export.Dim("rows", min=4), 3: 8 * torch.export.Dim("columns", min=4)}
    planes = torch.zeros(1, channels, 64, 96)
    # A registry without torchvision's operators, which no network here has, logs a warning each.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    torch.onnx.export(
        network,
        (planes,),
        path,
        dynamo=True,
        external_data=False,
        dynamic_shapes={"x": sizes},
        verbose=False,
    )


def main() -> None:
    """Train, export, and compare."""
    torch.set_num_threads(1)
    path = Path(sys.argv[1])
    section = SECTION | {"network": str(path), "network_sha256": "0" * 64}
    started = time.perf_counter()
    export(train(NetworkSegmentation.model_validate(section)), path)
    print(f"trained and exported in {time.perf_counter() - started:.0f} s\n")
    section["network_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    print(yaml.safe_dump({"segmentation": section}, sort_keys=False))
    methods: dict[str, Callable[[Micrograph], Labels]] = {
        "threshold": finder(read_section(Segmentation)),
        "onnx": finder(NetworkSegmentation.model_validate(section)),
    }
    slides = list(simulate_slides(NEW, FIELD, seed=1))
    nuclei, touching = (
        sum(len(slide.nuclei) for slide in slides),
        sum(int(slide.nuclei["touching"].sum()) for slide in slides),
    )
    print(f"{len(slides)} slides, {nuclei} nuclei, {touching} of them touching\n")
    print("| method | F1, IoU 0.5 | mean F1, IoU 0.5-0.95 | found | s a slide |")
    print("| --- | --- | --- | --- | --- |")
    for name, find in methods.items():
        started = time.perf_counter()
        found = [find(slide.micrograph) for slide in slides]
        seconds = (time.perf_counter() - started) / len(slides)
        scores = [score(one, slide.labels) for one, slide in zip(found, slides, strict=True)]
        f1 = np.mean([one.f1_iou50 for one in scores])
        mean = np.mean([one.mean_f1_iou50_95 for one in scores])
        count = sum(one.found for one in scores)
        print(f"| {name} | {f1:.3f} | {mean:.3f} | {count} | {seconds:.1f} |")


if __name__ == "__main__":
    main()
