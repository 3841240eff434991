"""How fast networks train on all cores, in nuclei a second: the ordinary way in torch, and fathom.

    python benchmarks/training.py                      # ordinary, portable, native
    python benchmarks/training.py --sides ordinary-one-thread,native-bfloat16 \
        --out benchmarks/results/training_other.json   # the other sides

Sides: `ordinary` (`ordinary_training.py`: a thread a core, all on one network), the same on one
thread (`ordinary-one-thread`, which leaves the other cores to the workers that read the crops), and
fathom as it trains, a cell on each core at once, in `portable` float32, `native` float32 and
`native-bfloat16`. All sides in turn in each round, each measurement a process of its own, because
what computes is chosen before torch is loaded; a ratio is the median over rounds of a side's speed
over the ordinary one's in the same round. The recipe and lines are those of params.yaml, the nuclei
1,024 of the study's: 832 to train on and 192 to validate on after each epoch, which the time
includes and the count of nuclei does not. fathom's cells are neither probed nor saved here;
`probes.py` has what probes cost.

GFLOP/s of all cores: a multiply-add counts 2, a training nucleus three passes, a validation nucleus
one. The peak is that of one thread in a 1024 x 1024 float32 matrix product, and the share is of as
many peaks as there are cores. torch's product is MKL's, which under `portable` is held to an old
kernel (`MKL_CBWR=COMPATIBLE`), so the portable peak is NumPy's: OpenBLAS with AVX2
(`OPENBLAS_CORETYPE=Haswell`). fathom's peaks are the mean of one on each core at once; bfloat16 has
its own beside that of float32, which its share is of.

`taken_elsewhere` is the share of the cores that other processes and the host took. Threads of one
network wait for each other in every layer: beside one other busy process two came to 40 nuclei/s of
VGG-13 where one came to 330. Only figures of an idle machine say anything.

    python benchmarks/training.py --side native --network vgg-13    # one of them, as JSON
"""

import json
import os
import resource
import shlex
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer
from rounds import ratio

from fathom.ground.numerics import Numerics, pin

Network = Literal["shallow", "vgg-13", "vgg-13-batchnorm"]
Side = Literal["ordinary", "ordinary-one-thread", "portable", "native", "native-bfloat16"]
USUAL = "portable,native"
INSTRUCTIONS = ("avx2", "fma", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16")
# What would change torch's own choice of kernels and threads on the ordinary side.
CHOSEN = ("ONEDNN_", "DNNL_", "ATEN_", "MKL_", "OPENBLAS_", "NPY_", "KMP_", "OMP_", "GOTO_")


def measured(side: str, network: str, folder: Path, seconds: float) -> dict[str, float]:
    """Measure one side in this process, which must not have loaded torch yet."""
    if side.startswith("ordinary"):
        for name in [name for name in os.environ if name.startswith(CHOSEN)]:
            del os.environ[name]
        import ordinary_training  # noqa: PLC0415

        threads = 1 if side.endswith("one-thread") else len(os.sched_getaffinity(0))
        return ordinary_training.measure(network, folder, seconds, threads)
    numerics: Numerics = "portable" if side == "portable" else "native"
    precision = side.partition("-")[2] or "float32"
    pin(numerics)
    import fathom_training  # noqa: PLC0415

    return fathom_training.measure(network, folder, seconds, precision, numerics)


def in_process(side: str, network: str, nuclei: Path, seconds: float) -> dict[str, float]:
    """Return one measurement of a process of its own, and what others took of the cores."""
    options = ["--nuclei", str(nuclei), "--seconds", str(seconds)]
    command = [sys.executable, __file__, "--side", side, "--network", network, *options]
    busy, own, began = _busy_s(), _own_s(), time.monotonic()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    there = (time.monotonic() - began) * (os.cpu_count() or 1)
    elsewhere = max(0.0, (_busy_s() - busy) - (_own_s() - own)) / there
    print(f"{network}, {side}: {done.stdout.decode().strip()}", file=sys.stderr, flush=True)
    return {**json.loads(done.stdout), "taken_elsewhere": elsewhere}


def _busy_s() -> float:
    """Return the seconds that the cores were busy since the start, as Linux tells them."""
    user, nice, system, _idle, _wait, *others = map(
        int, Path("/proc/stat").read_text("utf-8").splitlines()[0].split()[1:9]
    )
    return (user + nice + system + sum(others)) / os.sysconf("SC_CLK_TCK")


def _own_s() -> float:
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def summary(rounds: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, object]]:
    """Return the medians over rounds of each side, and of its ratios to the ordinary way."""
    found = {}
    ordinary = [one["ordinary"]["nuclei_per_s"] for one in rounds]
    for side, first in rounds[0].items():
        figures = {key: statistics.median(one[side][key] for one in rounds) for key in first}
        digits = {key: 1 if key.endswith(("_per_s", "gflops")) else 3 for key in figures}
        found[side] = {
            **{key: round(value, digits[key]) for key, value in figures.items()},
            "ratio": ratio([one[side]["nuclei_per_s"] for one in rounds], ordinary),
            "n": len(rounds),
        }
    return found


def machine() -> dict[str, object]:
    """Return what the figures hang on."""
    from fathom.ground.processor import processor  # noqa: PLC0415

    *parts, flags = processor().split("; ")
    present = {name: name in flags.split() for name in INSTRUCTIONS}
    cores = len(os.sched_getaffinity(0))
    return {"processor": "; ".join(parts), "cores": cores, "instructions": present}


def main(
    side: Annotated[Side | None, typer.Option(help="Measure it alone, in this process.")] = None,
    network: Annotated[Network | None, typer.Option(show_default="all")] = None,
    nuclei: Path = Path("data/nuclei"),
    seconds: Annotated[float, typer.Option(help="Of one measurement, about.")] = 8.0,
    rounds: int = 5,
    sides: Annotated[str, typer.Option(help="Beside `ordinary`, with commas.")] = USUAL,
    out: Path = Path("benchmarks/results/training.json"),
) -> None:
    """Measure one side of one network, or all in turn."""
    networks = (network,) if network else get_args(Network)
    if side:
        print(json.dumps(measured(side, networks[0], nuclei, seconds)))
        return
    found = {name: [] for name in networks}
    for _ in range(rounds):
        for name, one in found.items():
            turn = dict.fromkeys(["ordinary", *sides.split(",")])
            one.append({way: in_process(way, name, nuclei, seconds) for way in turn})
    from fathom.ground.output import write_json  # noqa: PLC0415

    figures = {name: summary(one) for name, one in found.items()}
    command = shlex.join(["python", "benchmarks/training.py", *sys.argv[1:]])
    about = {"machine": machine(), "torch": version("torch"), "command": command}
    write_json(out, {**about, "networks": figures})
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    typer.run(main)
