"""How ONNX Runtime's batch, threads and graph options change the speed of scoring crops.

    python benchmarks/network_options.py models/shallow.onnx models/vgg-13-batchnorm.onnx

Each side scores the same random crops as `fathom predict` does: two threads of Python (as many as
there are cores) hand batches to one session. A side changes one option against what fathom has:
batches of 32, one thread a session, all graph optimisations. `two threads a session` has one
thread of Python, so that no side has more threads than cores. The sides run in turn, `--rounds`
times; a ratio is of nuclei a second within a round, and of logits the largest difference is told:
an option that changes them changes results.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import onnxruntime
from rounds import in_words, ratio

from fathom.ground.output import write_json
from fathom.ground.processor import cores, processor_name
from fathom.models.onnx_model import BATCH, INPUT, LOGIT, OnnxModel

RESULTS = Path(__file__).parent / "results" / "network_options.json"
OWN = "as fathom has it"
Level = onnxruntime.GraphOptimizationLevel


@dataclass(frozen=True)
class Side:
    """One way to run a session."""

    batch: int = BATCH
    threads: int = 1  # of the session
    callers: int = cores()
    level: Level = Level.ORT_ENABLE_ALL
    arena: bool = True

    def session(self, content: bytes) -> onnxruntime.InferenceSession:
        """Return a session with these options."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = self.level
        options.enable_cpu_mem_arena = self.arena
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


SIDES = {
    OWN: Side(),
    **{f"batches of {batch}": Side(batch=batch) for batch in (8, 16, 64, 128, 256)},
    "two threads a session": Side(threads=2, callers=1),
    "two threads a session, batches of 256": Side(threads=2, callers=1, batch=256),
    "basic graph optimisations": Side(level=Level.ORT_ENABLE_BASIC),
    "no graph optimisations": Side(level=Level.ORT_DISABLE_ALL),
    "no arena of memory": Side(arena=False),
}


def scored(side: Side, session: onnxruntime.InferenceSession, crops: np.ndarray) -> np.ndarray:
    """Return the logits of all crops, (n,) float32."""
    starts = range(0, len(crops), side.batch)
    with ThreadPoolExecutor(side.callers) as pool:
        logits = pool.map(
            lambda start: session.run([LOGIT], {INPUT: crops[start : start + side.batch]})[0],
            starts,
        )
        return np.concatenate(list(logits))


def of_model(path: Path, number: int, rounds: int) -> dict:
    """Return nuclei a second of each side, the ratio to fathom's, and what became of the logits."""
    card, content = OnnxModel(path).card, path.read_bytes()
    side = card.crop.crop_px
    shape = (number, side, side, card.channels)
    crops = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    sessions = {name: one.session(content) for name, one in SIDES.items()}
    # The first call of a session makes its memory; it is not measured.
    logits = {name: scored(one, sessions[name], crops) for name, one in SIDES.items()}
    speeds: dict[str, list[float]] = {name: [] for name in SIDES}
    for _ in range(rounds):
        for name, one in SIDES.items():
            began = perf_counter()
            scored(one, sessions[name], crops)
            speeds[name].append(number / (perf_counter() - began))
    return {name: told(speeds[name], speeds[OWN], logits[name], logits[OWN]) for name in SIDES}


def told(
    own: list[float], beside: list[float], logits: np.ndarray, expected: np.ndarray
) -> dict[str, object]:
    """Return the figures of one side."""
    return {
        "nuclei_per_s": round(median(own), 1),
        "ratio": ratio(own, beside),
        "largest_difference_of_logits": float(np.abs(logits - expected).max()),
    }


def table(results: dict) -> str:
    """Return a Markdown table: a row a side, two columns a model."""
    models = results["models"]
    heads = " | ".join(f"{name}: nuclei/s | times, median (least to most)" for name in models)
    lines = [
        f"| side | {heads} | logits |",
        "| --- |" + " ---: | --- |" * len(models) + " --- |",
    ]
    for side in SIDES:
        cells = [
            f"{one['nuclei_per_s']:,.0f} | {in_words(one['ratio'])}"
            for one in (models[name][side] for name in models)
        ]
        most = max(models[name][side]["largest_difference_of_logits"] for name in models)
        logits = "the same bits" if most == 0 else f"differ by up to {most:.0e}"
        lines.append(f"| {side} | {' | '.join(cells)} | {logits} |")
    lines.append(f"\n{results['nuclei']:,} crops, n = {results['n']}, in turn in one run.")
    return "\n".join(lines)


def main() -> None:
    """Measure all sides on each model, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--nuclei", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    about = {
        "processor": processor_name(),
        "cores": cores(),
        "onnxruntime": onnxruntime.__version__,
    }
    found = {path.stem: of_model(path, given.nuclei, given.rounds) for path in given.models}
    results = {**about, "nuclei": given.nuclei, "n": given.rounds, "models": found}
    write_json(given.out, results)
    print(table(results))


if __name__ == "__main__":
    main()
