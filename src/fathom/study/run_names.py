"""What is compared, by name and in order: the runs of params.yaml, then the classifiers."""

from collections.abc import Iterable
from typing import Literal, get_args

from fathom.ground.errors import FathomError

Classifier = Literal["logistic", "svm", "forest"]
CLASSIFIERS: tuple[Classifier, ...] = get_args(Classifier)
PREFIX = "baseline-"


def baseline_name(classifier: Classifier) -> str:
    """Return what a statistical classifier is called where runs stand beside it."""
    return f"{PREFIX}{classifier}"


def names_in_order(runs: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the runs, in their order, and of the statistical classifiers."""
    classifiers = tuple(map(baseline_name, CLASSIFIERS))
    names = tuple(runs)
    if taken := sorted(set(names) & set(classifiers)):
        raise FathomError(
            f"params.yaml: the run '{taken[0]}' has the name of a classifier's results: rename it"
        )
    return names + classifiers


def is_classifier(name: str) -> bool:
    """Return whether `name` is that of a statistical classifier, not of a run."""
    return name in map(baseline_name, CLASSIFIERS)


def short(name: str) -> str:
    """Return a name as tables and pictures print it: a classifier without its prefix."""
    return name.removeprefix(PREFIX) if is_classifier(name) else name
