"""Which of the runs is the one to use, and which must not be used."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from fathom.ground.errors import FathomError


def best_run(metrics: Path, runs: Sequence[str]) -> str:
    """Return the run with the highest balanced accuracy on the validation parts; ties: the first.

    `metrics` is the folder of `<run>.json`. Test parts have no say: they report, they never choose.
    A run whose final network failed (`failure`) is not chosen; raises `FathomError` where all did.
    """
    results: dict[str, dict[str, float]] = {}
    for run in runs:
        path = metrics / f"{run}.json"
        if not path.is_file():
            raise FathomError(f"{path} is missing: run the stage 'compare' first")
        results[run] = json.loads(path.read_text(encoding="utf-8"))
    best = best_of(results)
    if best is None:
        failed = (f"{run} {failure(numbers)}" for run, numbers in results.items())
        raise FathomError(
            f"no run has a final network that can be used: {'; '.join(failed)}. `fathom why` says "
            "why; a lower recipe.learning_rate is the first thing to try"
        )
    return best


def best_of(results: Mapping[str, Mapping[str, float]]) -> str | None:
    """Return the best of runs by their metrics, as `best_run` does; None where all failed."""
    usable = {
        run: numbers["validation_balanced_accuracy"]
        for run, numbers in results.items()
        if failure(numbers) is None
    }
    return max(usable, key=lambda run: usable[run]) if usable else None


def failure(numbers: Mapping[str, float]) -> str | None:
    """Say how the final network of a run failed, by its metrics; None where it did not."""
    if numbers.get("final_diverged"):
        return "diverged: its loss was never finite, and its weights are those it began with"
    if numbers.get("final_constant"):
        return "gives every nucleus of its validation part the same answer"
    return None
