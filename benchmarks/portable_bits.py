"""Do other processors compute the same bits? This one against three that QEMU emulates.

    apt-get install qemu-user
    python benchmarks/portable_bits.py [MODEL.onnx] [--jobs 2] [--kept FOLDER]

hashes two training steps of each kind of network, segmentation, features and classifiers, and
scoring in ONNX Runtime, natively and on an emulated Haswell, Skylake without AVX-512 and EPYC, and
compares them operation by operation; then lets a training begin on one processor and end on
another. Writes benchmarks/results/portable_bits.json. It takes about two hours of one core: an
emulator is slow. What an emulated processor has computed stays in the folder of `--kept`, by the
hash of the sources, and is not computed again.

NumPy's functions for AVX2 crash QEMU 7.2, so that emulated processors do without them; so does the
native side of the comparison. Where they change this processor's own bits is said beside.

QEMU computes estimates of reciprocals exactly and has no AVX-512: the strong evidence is that a
real processor with AVX-512 agrees with an emulated one, not that two emulated ones agree.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from fathom.ground.fingerprint import code_of, fingerprint
from fathom.ground.processor import processor_name

BITS = Path(__file__).with_name("bits.py")
RESULTS = Path(__file__).parent / "results" / "portable_bits.json"
PROCESSORS = {
    "Intel Haswell": "Haswell-noTSX",
    "Intel Skylake without AVX-512": "Skylake-Client-noTSX-IBRS",
    "AMD EPYC (Rome)": "EPYC-Rome",
}

KEPT = Path(tempfile.gettempdir()) / "fathom-portable-bits"
MODULES = (
    "fathom.training.training",
    "fathom.imaging.segmentation",
    "fathom.baselines.baseline",
    "fathom.models.onnx_model",
)

Hashes = dict[str, str]


def main(
    model: Annotated[Path, typer.Argument(help="A model file to score with.")] = Path(
        "models/shallow.onnx"
    ),
    jobs: Annotated[int, typer.Option(help="Emulated processes at once.")] = 2,
    kept: Annotated[Path, typer.Option(help="Where hashes stay, to go on from.")] = KEPT,
) -> None:
    """Compare, print a line a processor and part, and write the results."""
    kept.mkdir(exist_ok=True)
    words: dict[str, tuple[str, ...]] = {"training": (), "images": ()}
    if model.is_file():
        words["scoring"] = ("--model", str(model))
    native = {part: hashes(None, part, *more, numpy=False) for part, more in words.items()}
    own = {part: hashes(None, part, *more) for part, more in words.items()}
    numpys = {part: compared(own[part], native[part]) for part in words}
    print("natively with and without NumPy's AVX2", numpys, flush=True)
    tasks = [(name, part) for part in words for name in PROCESSORS]
    with ThreadPoolExecutor(jobs) as pool:
        found = pool.map(
            lambda task: hashes_kept(kept, PROCESSORS[task[0]], task[1], *words[task[1]]), tasks
        )
        emulated: dict[str, dict[str, object]] = {name: {} for name in PROCESSORS}
        for (name, part), other in zip(tasks, found, strict=True):
            emulated[name][part] = compared(native[part], other)
            print(name, part, emulated[name][part], flush=True)
    handed: dict[str, bool] = {}
    for name, same in handed_over():
        handed[name] = same
        print(name, same, flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    told = {
        "command": " ".join(["python", "benchmarks/portable_bits.py", *sys.argv[1:]]),
        "native": processor_name(),
        "emulator": version_of_qemu(),
        "packages": {name: version(name) for name in ("torch", "numpy", "scikit-learn")},
        "native with and without NumPy's AVX2": numpys,
        "emulated": emulated,
        "begun on one processor, ended on another": handed,
    }
    RESULTS.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def hashes_kept(kept: Path, emulated: str, *words: str) -> Hashes:
    """Return what `hashes` does: from the folder `kept`, where the same sources have left it."""
    path = kept / f"{emulated} {words[0]} {sources()[:16]}.json"
    if path.is_file():
        return dict(json.loads(path.read_text("utf-8")))
    found = hashes(emulated, *words)
    path.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return found


def sources() -> str:
    """Return a hash of the code whose bits are compared."""
    return fingerprint(BITS.read_text("utf-8"), *map(code_of, MODULES))


def hashes(emulated: str | None, *words: str, numpy: bool = True) -> Hashes:
    """Return what `bits.py WORDS` prints on a processor; None is this one.

    `numpy` is whether NumPy may use AVX2, where the processor is not emulated.
    """
    command = [sys.executable, str(BITS), *words]
    environment = dict(os.environ)
    if emulated:
        command = ["qemu-x86_64", "-cpu", emulated, *command]
    if emulated or not numpy:
        environment["FATHOM_EMULATED"] = "1"
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return dict(json.loads(line) for line in done.stdout.splitlines())


def compared(native: Hashes, other: Hashes) -> dict[str, object]:
    """Return how many operations have the same bits, and the first that has not."""
    differing = [name for name in native if native[name] != other.get(name)]
    return {
        "operations": len(native),
        "differing": len(differing),
        "first": differing[0] if differing else None,
    }


def handed_over() -> Iterator[tuple[str, bool]]:
    """Yield whether a training that changes processors after its first epoch ends the same."""
    with tempfile.TemporaryDirectory() as folder:
        whole = hashes(None, "continued", "--store", f"{folder}/whole")
        for name, emulated in PROCESSORS.items():
            store = f"{folder}/{emulated}"
            hashes(emulated, "continued", "--store", store, "--stop", "1")
            yield f"{name}, then native", hashes(None, "continued", "--store", store) == whole
        store = f"{folder}/native"
        hashes(None, "continued", "--store", store, "--stop", "1")
        last = PROCESSORS["AMD EPYC (Rome)"]
        yield "native, then AMD EPYC (Rome)", hashes(last, "continued", "--store", store) == whole


def version_of_qemu() -> str:
    """Return the emulator's own words."""
    done = subprocess.run(["qemu-x86_64", "--version"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]


if __name__ == "__main__":
    typer.run(main)
