"""What other tools say of three small networks whose state is known, and what they cost.

    OMP_NUM_THREADS=1 python benchmarks/other_tools_cost.py

with the Python that `other_tools.py` says how to furnish. The crops are simulated: noise, with a
square in each positive one that is brighter by a random amount. The cost is the time of a training
with a tool over the time without, each tool in turn in each of 5 rounds.
"""

import statistics
import time
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import torch
from other_tools import TOOLS, causes, installed, judge, verdicts
from torch import nn
from watched_training import Batch, Training

ROUNDS = 5


class Seconds(NamedTuple):
    """Time taken: on a machine that does other work besides, look at that of the CPU."""

    wall: float
    cpu: float


def crops(count: int, side: int, seed: int) -> Batch:
    """Return (count, 1, side, side) noise in 0..1 and (count,) targets, half of them 1."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.rand(count, 1, side, side, generator=generator) / 2
    targets = torch.arange(count, dtype=torch.float32) % 2
    middle = slice(side // 3, 2 * side // 3)
    brighter = 0.3 * targets * torch.rand(count, generator=generator)
    inputs[:, :, middle, middle] += brighter[:, None, None, None]
    return inputs, targets


def convolutions(widths: Sequence[tuple[int, ...]], side: int, seed: int) -> nn.Sequential:
    """Return 3 x 3 convolutions with ReLU, pooled after each group, and one logit a crop (n,)."""
    network, channels = nn.Sequential(), 1
    for group in widths:
        for width in group:
            network.extend([nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()])
            channels = width
        network.append(nn.MaxPool2d(2))
        side //= 2
    network.extend([nn.Flatten(), nn.Linear(channels * side**2, 32), nn.ReLU()])
    network.extend([nn.Linear(32, 1), nn.Flatten(0)])
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        if parameter.dim() > 1:  # He et al. 2015, "Delving deep into rectifiers", equation 10
            nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=generator)
        else:
            nn.init.zeros_(parameter)
    return network


def training(network: nn.Module, side: int, count: int, rate: float, epochs: int) -> Training:
    """Return a training by RMSProp (alpha .9, eps 1e-7) on `count` crops in batches of 32."""
    inputs, targets = crops(count, side, seed=0)
    batches = list(zip(inputs.split(32), targets.split(32), strict=True))
    optimiser = torch.optim.RMSprop(network.parameters(), lr=rate, alpha=0.9, eps=1e-7)
    loss = nn.BCEWithLogitsLoss()
    return Training(network, batches, optimiser, loss, epochs, crops(128, side, seed=1))


def examples() -> dict[str, tuple[Training, str | None]]:
    """Return trainings of a small network by name, each with its planted cause."""
    side, widths = 24, [(8,), (16,), (16,)]
    vanishing = convolutions(widths, side, seed=0)
    for parameter in vanishing.parameters():
        parameter.data.mul_(1e-3)
    return {
        "healthy": (training(convolutions(widths, side, 0), side, 1024, 1e-3, 10), None),
        "learning rate 10": (
            training(convolutions(widths, side, 0), side, 1024, 10, 10),
            "rate-too-high",
        ),
        "weights x 1e-3": (training(vanishing, side, 1024, 1e-3, 10), "no-signal"),
    }


def costs(one: Training, rounds: int) -> dict[str, list[Seconds]]:
    """Return for each tool (with it) / (without), wall-clock and CPU, of each round."""
    ratios: dict[str, list[Seconds]] = {tool: [] for tool in installed()}
    for _ in range(rounds):
        plain = _seconds(one)
        for tool, found in ratios.items():
            taken = _seconds(one, tool)
            found.append(Seconds(taken.wall / plain.wall, taken.cpu / plain.cpu))
    return ratios


def _seconds(one: Training, tool: str | None = None) -> Seconds:
    copied = one.copied()
    wall, cpu = time.perf_counter(), time.process_time()
    with warnings.catch_warnings(action="ignore"):
        TOOLS[tool](copied) if tool else copied.run()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def main() -> None:
    """Print what is said, and the table of costs."""
    torch.set_num_threads(1)
    for name, (one, planted) in examples().items():
        alone = one.copied()
        alone.run()
        inputs, targets = crops(128, 24, seed=1)
        right = float(((alone.network(inputs) > 0) == (targets > 0)).double().mean())
        print(f"\n{name}: validation accuracy {right:.2f}, planted: {planted}")
        for tool, texts in verdicts(one).items():
            covered = ", ".join(sorted(causes(tool, texts))) or "none"
            print(
                f"- {tool}: {judge(tool, texts, {planted} - {None})} (causes it covers: {covered})"
            )
            print("".join(f"  - {text}\n" for text in texts), end="")
    # VGG-13 of Simonyan & Zisserman 2014, table 1 (B), filters divided by 8
    widths = [(8, 8), (16, 16), (32, 32), (64, 64)]
    vgg = training(convolutions(widths, 48, 0), 48, 512, 1e-3, epochs=8)
    plain = statistics.median(_seconds(vgg).cpu for _ in range(3))
    print(f"\nVGG-13/8 without its last group, 48 px, 128 steps of 32 crops: {plain:.1f} CPU s")
    print("| tool | CPU time / without | range of rounds | wall time / without |")
    print("| --- | --: | --: | --: |")
    for tool, rounds in costs(vgg, ROUNDS).items():
        wall, cpu = zip(*rounds, strict=True)
        print(
            f"| {tool} | {statistics.median(cpu):.2f} | {min(cpu):.2f}-{max(cpu):.2f} "
            f"| {statistics.median(wall):.2f} |"
        )


if __name__ == "__main__":
    main()
