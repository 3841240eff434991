"""What changed between two commits, from the files that git keeps: `fathom compare`.

A measure changed where the interval of its difference excludes 0. That interval is made of the
two intervals by the square-and-add rule (Newcombe 1998, Stat. Med. 17:873, method 10; Zou & Donner
2008, Stat. Med. 27:1693). The rule takes the two estimates for independent. Two commits mostly
score the same nuclei, so the true interval is narrower: what is called none may be a change that
only a paired comparison shows, and what is called a change is one by the paired comparison too.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import hypot
from pathlib import PurePosixPath
from typing import Any, Literal, NamedTuple

from fathom.ground.errors import FathomError
from fathom.ground.section import PARAMS_FILE
from fathom.reports.revision import Revision, first_commit_with, not_committed, revision_of

Kind = Literal["same", "none", "up", "down", "not told", "only before", "only after"]

RUNS, CONTROLS = "metrics/runs", "metrics/controls.json"
NEW_SLIDES, DIAGNOSIS = "metrics/new_slides.json", "metrics/diagnosis.json"
CROP, VERDICTS, LOCK = "metrics/crop.json", "verdicts/verdicts.json", "dvc.lock"
# What is compared of each run, by its key in the metrics and its name for people.
MEASURES = {
    "balanced_accuracy": "balanced accuracy",
    "auroc": "AUROC",
    "training_accuracy": "training accuracy",
}
LEFT = "left the plateau"
# What of the crops says how large the study is.
COUNTS = {
    "images": "images",
    "slides": "slides",
    "patients": "patients",
    "annotations": "annotations",
    "found": "nuclei found",
    "kept": "nuclei kept",
    "kept_positive": "nuclei kept, positive",
}


class Interval(NamedTuple):
    """A number and its interval; the limits are None where the commit does not have them."""

    value: float
    low: float | None
    high: float | None


class Change(NamedTuple):
    """A measure in both commits: `difference` is after minus before."""

    of: str  # a run, a control, "new slides"
    measure: str
    before: Interval | None
    after: Interval | None
    difference: Interval | None
    kind: Kind


class Difference(NamedTuple):
    """A value that is not the same in both commits; None: it is not there."""

    name: str
    before: Any
    after: Any


class Verdict(NamedTuple):
    """What a commit says of a network: its cause, all causes, its cures with k of n that left."""

    main: str
    causes: tuple[str, ...]
    cures: tuple[str, ...]
    left: str


@dataclass(frozen=True)
class Changes:
    """All that changed between two commits."""

    before: Revision
    after: Revision
    measures: tuple[Change, ...]
    verdicts: dict[str, tuple[Verdict | None, Verdict | None]]
    data: tuple[Difference, ...]
    params: tuple[Difference, ...]
    code: tuple[str, ...]  # rooms and stages whose code differs
    notes: tuple[str, ...]


def compare_revisions(before: str, after: str) -> Changes:
    """Return what changed from one commit to another.

    Raises `FathomError` where git does not know one, or where one has no results.
    """
    one, other = revision_of(before), revision_of(after)
    for revision in (one, other):
        if not revision.names(RUNS):
            raise _no_results(revision)
    params = tuple(_flat(revision.yaml(PARAMS_FILE)) for revision in (one, other))
    return Changes(
        one,
        other,
        tuple(_changes(_measures(one), _measures(other))),
        _verdicts(one, other),
        tuple(differences(_data(one), _data(other))),
        tuple(differences(*params)),
        tuple(place.name for place in differences(_code(one), _code(other))),
        tuple(_notes(one, other)),
    )


def difference_of(before: Interval, after: Interval) -> tuple[Interval | None, Kind]:
    """Return after minus before with its interval, and whether that is a change.

    `same`: the numbers are equal to the last digit. `none`: the interval holds 0. `not told`: one
    of them has no interval.
    """
    far = after.value - before.value
    if before.low is None or before.high is None or after.low is None or after.high is None:
        return Interval(far, None, None), "same" if before.value == after.value else "not told"
    low = far - hypot(after.value - after.low, before.high - before.value)
    high = far + hypot(after.high - after.value, before.value - before.low)
    found = Interval(far, low, high)
    if before == after:
        return found, "same"
    if low <= 0 <= high:
        return found, "none"
    return found, "up" if far > 0 else "down"


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield what differs between two flat mappings, in the order of `after`, then of `before`."""
    for name in dict.fromkeys((*after, *before)):
        if before.get(name) != after.get(name):
            yield Difference(name, before.get(name), after.get(name))


Measures = Mapping[tuple[str, str], Interval]  # by what it is of and the measure's name


def _changes(before: Measures, after: Measures) -> Iterator[Change]:
    for key in dict.fromkeys((*after, *before)):
        one, other = before.get(key), after.get(key)
        if one is None:
            yield Change(*key, one, other, None, "only after")
        elif other is None:
            yield Change(*key, one, other, None, "only before")
        else:
            yield Change(*key, one, other, *difference_of(one, other))


def _measures(revision: Revision) -> Measures:
    """Return every measure of a commit: of runs, of controls, on new slides, by the ladder."""
    files = {PurePosixPath(name).stem: name for name in revision.names(RUNS)}
    first = [run for run in revision.yaml(PARAMS_FILE).get("runs", {}) if run in files]
    found: dict[tuple[str, str], Interval] = {}
    for run in dict.fromkeys((*first, *files)):
        found |= _of(run, "", revision.json(files[run]))
    controls = revision.json(CONTROLS)
    names = (key.removesuffix(".balanced_accuracy") for key in controls if "." in key)
    for name in dict.fromkeys(names):
        found |= _of(f"control {name}", f"{name}.", controls, ("balanced_accuracy",))
    found |= _of("new slides", "", revision.json(NEW_SLIDES))
    return found | dict(_left(revision.json(DIAGNOSIS)))


def _of(
    of: str, prefix: str, numbers: Mapping[str, float], keys: Iterable[str] = MEASURES
) -> dict[tuple[str, str], Interval]:
    """Return the measures that `numbers` has under `prefix`."""
    return {
        (of, MEASURES[key]): Interval(
            numbers[name], numbers.get(f"{name}_low"), numbers.get(f"{name}_high")
        )
        for key in keys
        if (name := f"{prefix}{key}") in numbers
    }


def _left(numbers: Mapping[str, float]) -> Iterator[tuple[tuple[str, str], Interval]]:
    """Yield the share of each row's networks that left the plateau."""
    for key, left in numbers.items():
        row = key.removesuffix(".left")
        if row != key and (networks := numbers.get(f"{row}.networks")):
            low, high = numbers.get(f"{key}_low"), numbers.get(f"{key}_high")
            yield (row, LEFT), Interval(left / networks, low, high)


def _verdicts(
    before: Revision, after: Revision
) -> dict[str, tuple[Verdict | None, Verdict | None]]:
    """Return the verdicts on each network that either commit diagnosed."""
    one, other = before.json(VERDICTS), after.json(VERDICTS)
    networks = dict.fromkeys((*other, *one))
    return {name: (_verdict(one.get(name)), _verdict(other.get(name))) for name in networks}


def _verdict(told: Mapping[str, Any] | None) -> Verdict | None:
    if told is None:
        return None
    rungs = [rung for rung in told.get("rungs", ()) if rung.get("state") == "cure"]
    return Verdict(
        told.get("main") or "undecided",
        tuple(cause["name"] for cause in told.get("causes", ())),
        tuple(f"{rung['name']} ({_counted(rung.get('left'))})" for rung in rungs),
        _counted(told.get("left")),
    )


def _counted(left: Mapping[str, int] | None) -> str:
    return f"{left['left']} of {left['networks']}" if left else "not counted"


def _data(revision: Revision) -> dict[str, Any]:
    """Return name, hash and size of the data sets, and what the study keeps of the first."""
    params, locked = revision.yaml(PARAMS_FILE), revision.yaml(LOCK).get("stages", {})
    new = params.get("new_slides")
    names = {
        "data set": params.get("dataset"),
        "new slides": new.get("dataset") if isinstance(new, dict) else None,
    }
    hashes = {dep["path"]: dep for stage in locked.values() for dep in stage.get("deps", ())}
    told: dict[str, Any] = {}
    for what, name in names.items():
        dep = hashes.get(name, {})
        told |= {what: name, f"{what}, hash": dep.get("md5"), f"{what}, files": dep.get("nfiles")}
    crop = revision.json(CROP)
    return told | {what: crop.get(key) for key, what in COUNTS.items()}


def _code(revision: Revision) -> dict[str, str]:
    """Return the hash of every room and script that the stages depend on."""
    stages = revision.yaml(LOCK).get("stages", {})
    deps = (dep for stage in stages.values() for dep in stage.get("deps", ()))
    return {dep["path"]: dep["md5"] for dep in deps if dep["path"].startswith(("src/", "stages/"))}


def _flat(params: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return a tree of params by dotted keys; a list is one value."""
    flat: dict[str, Any] = {}
    for key, value in params.items():
        inside = isinstance(value, dict) and value
        flat |= _flat(value, f"{above}{key}.") if inside else {f"{above}{key}": value}
    return flat


def _notes(before: Revision, after: Revision) -> Iterator[str]:
    """Yield what a reader must know about these two commits."""
    if before.commit == after.commit:
        yield f"{before.name} and {after.name} are one commit."
    for revision, other in ((before, after), (after, before)):
        if alone := _metrics(revision) - _metrics(other):
            yield f"Only {revision.name} has {', '.join(sorted(alone))}."
    for revision in dict.fromkeys((before, after)):
        yield from _stale(revision)
    runs = [revision.json(name) for revision in (before, after) for name in revision.names(RUNS)]
    levels = sorted({run["confidence"] for run in runs if "confidence" in run})
    if len(levels) > 1:
        told = " and ".join(f"{level * 100:g}" for level in levels)
        yield f"The intervals are not alike: they are of {told} %."
    if any(run.get("seeds") == 1 and "weight_layers" in run for run in runs):
        yield (
            "Networks of one seed: what another seed would change is in no interval. A changed "
            "network may be another draw; `recipe.seeds` with several says which."
        )
    left = not_committed("metrics", "verdicts", LOCK, str(PARAMS_FILE))
    if after.name == "HEAD" and left:
        yield f"Not committed, and not compared: {', '.join(sorted(left))}."


def _metrics(revision: Revision) -> set[str]:
    """Return the files of metrics that are of no run: each run's own are measures."""
    return {name for name in revision.names("metrics") if not name.startswith(f"{RUNS}/")}


def _stale(revision: Revision) -> Iterator[str]:
    """Yield a sentence where results were computed with other params than the commit has."""
    params = revision.yaml(PARAMS_FILE)
    stated, rows = _flat(params), params.get("runs", {})
    used: dict[str, Any] = {}
    for name, stage in revision.yaml(LOCK).get("stages", {}).items():
        row = name.partition("@")[2]
        if not row or row in rows:  # of a row that is gone DVC keeps what it was
            used |= _flat(stage.get("params", {}).get(str(PARAMS_FILE), {}))
    both = stated.keys() & used.keys()
    other = sorted(key for key in both if _number(stated[key]) != _number(used[key]))
    if other:
        yield (
            f"The results of {revision.name} were computed with other params than it has "
            f"({', '.join(other)}): run 'make repro' there, and commit."
        )


def _number(value: object) -> object:
    """Return a number that DVC wrote without a point, 1e-07, as one: YAML 1.1 takes it for text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _no_results(revision: Revision) -> FathomError:
    first = first_commit_with(RUNS, revision)
    later = f"; the first commit that has them is {first}" if first else ""
    return FathomError(
        f"{revision} has no results to compare: {RUNS} is not in it{later}. Run 'make repro' on "
        "that branch, and commit metrics/ and verdicts/"
    )
