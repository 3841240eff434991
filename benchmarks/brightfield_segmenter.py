"""A small U-Net for nuclei in haematoxylin and eosin, next to the thresholds, on held-out images.

    python benchmarks/brightfield_segmenter.py ../shared/data/dsb2018 segmenter.onnx

trains it on every other one of the colour bright-field images of the Data Science Bowl 2018
(docs/own-segmenter.md), writes it as ONNX, prints the section of params.yaml for it, and scores
both ways on the other half, which had no say in anything. `threshold`, `seed_depth_px` and the
number of steps were set beforehand and not varied. One thread; the seeds are below.
"""

import fathom.ground.stage  # noqa: F401  first: it chooses the instruction sets  # isort: skip

import csv
import hashlib
import sys
from pathlib import Path

import numpy as np
import torch
import yaml
from own_segmenter import SECTION as SIMULATED
from own_segmenter import UNet, export
from scipy import ndimage
from segmentation import otsu_watershed
from skimage.segmentation import find_boundaries

from fathom.ground.images import Labels, Micrograph, read_labels, read_micrograph
from fathom.ground.progress import track
from fathom.ground.section import read_section
from fathom.imaging.find_nuclei import finder
from fathom.imaging.params import NetworkSegmentation, Segmentation
from fathom.imaging.segmentation_score import score

WIDTHS = (16, 32, 64, 128)
STEPS, BATCH, PATCH_PX, RATE, SEED = 1500, 8, 128, 2e-3, 0
ZOOM = (0.6, 2.0)  # a slide's resolution is not the training images'
STAIN = 0.25  # by so much the optical density of each colour is varied: stains and scanners differ
SECTION = SIMULATED | {
    "stain": "haematoxylin",
    "planes": "image",
    "normalisation": "bit_depth",
    "window_px": 256,
    "halo_px": 48,
}

Example = tuple[Micrograph, Labels]


def halves(folder: Path) -> tuple[list[Example], list[Example]]:
    """Return the colour bright-field images and their labels: to train on, to score on."""
    with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
        names = sorted(
            row["image"] for row in csv.DictReader(file) if row["modality"] == "brightfield_colour"
        )
    examples = [
        (read_micrograph(folder / "images" / name), read_labels(folder / "masks" / name))
        for name in names
    ]
    return examples[::2], examples[1::2]


def patch(example: Example, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a patch at another scale, turned, in another stain: (3, y, x), and (2, y, x) truth."""
    micrograph, labels = example
    zoom = np.exp(rng.uniform(*np.log(ZOOM)))
    side = min(*labels.shape, round(PATCH_PX / zoom))
    top, left = (rng.integers(0, length - side + 1) for length in labels.shape)
    box = np.s_[top : top + side, left : left + side]
    factor = PATCH_PX / side
    colours = ndimage.zoom(micrograph[box].astype(np.float32) / 255, (factor, factor, 1), order=1)
    near = ndimage.zoom(labels[box], factor, order=0)
    boundary = find_boundaries(near, mode="thick") & (near > 0)
    density = -np.log(np.maximum(colours, 1 / 255)) * rng.uniform(1 - STAIN, 1 + STAIN, (1, 1, 3))
    planes = np.exp(-density).astype(np.float32)
    turns, flip = rng.integers(4), rng.choice([-1, 1])
    truth = np.stack([near > 0, boundary]).astype(np.float32)
    both = (np.moveaxis(planes, -1, 0), truth)
    one, other = (np.rot90(part, turns, (1, 2))[:, :, ::flip].copy() for part in both)
    return one, other


def train(examples: list[Example]) -> UNet:
    """Train with Adam, the learning rate falling to 0 along a cosine."""
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    network = UNet(channels=3, widths=WIDTHS)
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    weights = torch.tensor([1.0, 3.0]).reshape(1, 2, 1, 1)
    for _ in track(range(STEPS), "training", STEPS):
        patches = [patch(examples[rng.integers(len(examples))], rng) for _ in range(BATCH)]
        planes, truth = (torch.from_numpy(np.stack(part)) for part in zip(*patches, strict=True))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            network(planes), truth, pos_weight=weights
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return network.eval()


def main(folder: Path, path: Path) -> None:
    """Train, export, compare."""
    torch.set_num_threads(1)
    to_train_on, to_score_on = halves(folder)
    export(train(to_train_on), path, channels=3)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    section = {**SECTION, "network": str(path), "network_sha256": sha256}
    print(yaml.safe_dump({"segmentation": section}, sort_keys=False))
    stained = read_section(Segmentation).model_copy(update={"stain": "haematoxylin"})
    methods = {
        "Otsu and watershed, untuned": lambda micrograph: otsu_watershed(micrograph, stained),
        "threshold": finder(stained),
        "onnx": finder(NetworkSegmentation.model_validate(section)),
    }
    print("| method | images | nuclei | F1, IoU 0.5 | mean F1, IoU 0.5-0.95 | found |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, find in methods.items():
        scores = [score(find(micrograph), labels) for micrograph, labels in to_score_on]
        f1, mean = np.mean([(one.f1_iou50, one.mean_f1_iou50_95) for one in scores], axis=0)
        true, found = np.sum([(one.true, one.found) for one in scores], axis=0)
        print(f"| {name} | {len(scores)} | {true:,} | {f1:.3f} | {mean:.3f} | {found:,} |")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
