"""The few numbers of a study that stand side by side for many: the columns of `dvc exp show`."""

from collections.abc import Mapping
from pathlib import Path

from fathom.ground.output import write_metrics
from fathom.models.best_run import best_of
from fathom.statistics.intervals import Numbers
from fathom.statistics.params import Comparison
from fathom.statistics.row_text import failed, final_failed
from fathom.study.rows import baseline_name


def headline(results: Mapping[str, Numbers], runs: Mapping[str, object], baseline: str) -> Numbers:
    """Return at most eight numbers of the comparison `results`.

    Balanced accuracy of test nuclei of the best network (by validation, with its interval and its
    layers), of the first run, and of the classifier `baseline`; how many networks failed, final
    ones too; the number of test nuclei. Where all final networks failed there is no best one.
    """
    numbers: Numbers = {}
    name = best_of({run: results[run] for run in runs})
    if name is not None:
        best = results[name]
        numbers = {
            "best_network": best["balanced_accuracy"],
            "best_network_high": best["balanced_accuracy_high"],
            "best_network_low": best["balanced_accuracy_low"],
            "best_network_layers": best["weight_layers"],
        }
    first = next(iter(results.values()))
    return numbers | {
        "first_network": first["balanced_accuracy"],
        "classifier": results[baseline]["balanced_accuracy"],
        "failed_networks": sum(failed(results[run]) + final_failed(results[run]) for run in runs),
        "test_nuclei": first["nuclei"],
    }


def write_headline(
    path: Path, results: Mapping[str, Numbers], runs: Mapping[str, object], params: Comparison
) -> None:
    """Write the headline of a comparison."""
    write_metrics(path, headline(results, runs, baseline_name(params.baseline)))
