"""The ordinary way to train a classifier of nuclei in torch, for `training.py` to compare with.

A PNG file a crop; a `Dataset` that reads, turns and mirrors them one at a time; a `DataLoader` with
two workers, which stay; layers of `torch.nn` with torch's own initial weights on NCHW float32;
`torch.optim.RMSprop`; all threads on the one network. Nothing that is slower than it need be: crops
are turned as uint8 views, files stay in the system's cache, no memory is pinned without a GPU.
"""

import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from fathom_training import Measured, cell_of, timed, told, torch_peak
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from fathom.networks.architecture import expand, parse, shapes
from fathom.networks.layers import Convolution, Dense, MaxPool, Output, Shape
from fathom.study.stored_crops import Crops
from fathom.training.batches import Targets
from fathom.training.cell import Cell, Shown

WORKERS = 2


class Folder(Dataset):
    """Crops of a folder, (channels, crop_px, crop_px) float32 in 0..1, and their targets."""

    def __init__(self, paths: Sequence[Path], targets: Targets, *, augmented: bool) -> None:
        self.paths, self.targets, self.augmented = paths, targets, augmented

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        with Image.open(self.paths[number]) as image:
            crop = np.atleast_3d(np.array(image)).transpose(2, 0, 1)
        if self.augmented:
            crop = np.rot90(crop, random.randrange(4), (1, 2))
            crop = crop[:, :, ::-1] if random.random() < 0.5 else crop
        scaled = torch.from_numpy(np.ascontiguousarray(crop)).float() / 255
        return scaled, torch.tensor(float(self.targets[number]))


def write_crops(folder: Path, crops: Crops) -> list[Path]:
    """Write a PNG a crop; return their paths in order."""
    paths = [folder / f"{number:05d}.png" for number in range(len(crops))]
    for path, crop in zip(paths, crops, strict=True):
        Image.fromarray(crop.squeeze()).save(path)
    return paths


def network_of(cell: Cell, channels: int, crop_px: int) -> nn.Sequential:
    """Return the layers of a line without `gap` and `res(...)` as one writes them in torch."""
    layers, recipe, modules = parse(cell.line), cell.recipe, nn.Sequential()
    for layer, before in zip(
        expand(layers),
        (Shape(channels, crop_px), *shapes(layers, channels, crop_px)),
        strict=False,
    ):
        inputs = before.channels * before.side**2
        match layer:
            case Convolution(filters, kernel, stride):
                bias = recipe.norm == "none"
                modules.append(
                    nn.Conv2d(before.channels, filters, kernel, stride, kernel // 2, bias=bias)
                )
                if recipe.norm == "batch":
                    modules.append(nn.BatchNorm2d(filters))
                modules.append(nn.ReLU())
            case MaxPool(size):
                modules.append(nn.MaxPool2d(size))
            case Dense(units):
                modules.extend(
                    [nn.Flatten(), nn.Linear(inputs, units), nn.ReLU(), nn.Dropout(recipe.dropout)]
                )
            case Output():
                modules.extend([nn.Flatten(), nn.Linear(inputs, 1), nn.Flatten(0)])
            case _:
                raise ValueError(f"{layer}: is not written out here")
    return modules


def epoch_of(cell: Cell, shown: Shown, folder: Path) -> Callable[[], None]:
    """Return what trains for one epoch and validates, as often as it is called."""
    torch.manual_seed(cell.seed)
    recipe, paths = cell.recipe, write_crops(folder, shown.crops)

    def loader(part: str, *, training: bool) -> DataLoader:
        rows = cell.rows[part]
        augmented = training and recipe.augmentation
        dataset = Folder([paths[row] for row in rows], shown.targets[rows], augmented=augmented)
        return DataLoader(
            dataset,
            recipe.batch_size,
            shuffle=training,
            num_workers=WORKERS,
            persistent_workers=True,
        )

    train, validation = loader("train", training=True), loader("validation", training=False)
    _, crop_px, _, channels = shown.crops.shape
    network = network_of(cell, channels, crop_px)
    optimiser = torch.optim.RMSprop(
        network.parameters(), lr=recipe.learning_rate, alpha=recipe.alpha, eps=recipe.eps
    )
    criterion = nn.BCEWithLogitsLoss()

    def epoch() -> None:
        network.train()
        for crops, targets in train:
            loss = criterion(network(crops), targets)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        network.eval()
        with torch.inference_mode():
            for crops, targets in validation:
                criterion(network(crops), targets)

    return epoch


def measure(network: str, folder: Path, seconds: float, threads: int) -> Measured:
    """Return the speed of the ordinary way with so many threads, and the peak of one."""
    cell, shown = cell_of(network, folder)
    torch.set_num_threads(1)
    peaks = {"peak_gflops": torch_peak("float32")}
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as crops:
        epoch = epoch_of(cell, shown, Path(crops))
        epoch()
        epochs, taken = timed(epoch, seconds)
    return told(cell, shown, epochs_per_s=epochs / taken, peaks=peaks)
