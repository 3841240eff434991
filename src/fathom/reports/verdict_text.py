"""A verdict as numbers for `dvc metrics`, as JSON with every number, and as text for people."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import exp, isfinite, isnan
from pathlib import Path

from fathom.diagnosis.causes import CAUSES
from fathom.diagnosis.effects import Effect
from fathom.diagnosis.findings import SymptomNumbers
from fathom.diagnosis.ladder_file import Told
from fathom.diagnosis.looks import FIRST, Tally
from fathom.diagnosis.rungs import Rung
from fathom.diagnosis.verdict import (
    DATA_FAULT,
    NO_EFFECT,
    NOT_COMPARED,
    NOTHING,
    UNEXPLAINED,
    Established,
    Suspected,
    Verdict,
)
from fathom.ground.output import write_json, write_metrics, written_whole

# Also in `fathom.reports.report`, which imports no SciPy: it prints what is written here.
VERDICTS = "verdicts.json"


@dataclass(frozen=True)
class Explained:
    """A verdict, the ladder it rests on, and the rows that would come next, for params.yaml."""

    verdict: Verdict
    told: Told
    next_lines: tuple[str, ...]
    texture: str  # which planted change was found, by whom (`fathom.reports.texture_sentences`)


def write_verdicts(
    folder: Path,
    metrics: Path,
    explained: Sequence[Explained],
    shares: Mapping[str, Tally],
    confidence: float,
) -> None:
    """Write all verdicts as JSON, each as <network>.md, and the numbers for `dvc metrics`.

    `shares` says of each row of `runs` how many of its networks left the plateau.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = {one.verdict.network: _finite(_content(one)) for one in explained}
    write_json(folder / VERDICTS, content)
    for one in explained:
        with written_whole(folder / f"{one.verdict.network}.md") as part:
            part.write_text(verdict_markdown(one), encoding="utf-8")
    write_metrics(metrics, numbers(explained, shares, confidence))


def _content(one: Explained) -> dict[str, object]:
    return asdict(one.verdict) | {
        "main": one.verdict.main,
        "ladder": asdict(one.told),
        "next": list(one.next_lines),
        "texture": one.texture,
    }


def numbers(
    explained: Sequence[Explained], shares: Mapping[str, Tally], confidence: float
) -> dict[str, float | int]:
    """Return the numbers for `dvc metrics`: the same keys whatever the ladder trained.

    Of each row of `runs` the share that left the plateau; of all ladders together what was spent,
    how many rungs are cures and how many stayed undecided, and how often each cause was named.
    """
    found: dict[str, float | int] = {"networks_diagnosed": len(explained)}
    for name, share in shares.items():
        low, high = share.interval(confidence)
        found |= {f"{name}.left": share.left, f"{name}.networks": share.networks}
        found |= {f"{name}.left_low": low, f"{name}.left_high": high}
    rungs = [rung for one in explained for rung in one.verdict.rungs]
    found["spent"] = sum(one.told.spent for one in explained)
    found["cures"] = sum(rung.repairs for rung in rungs)
    found["undecided"] = sum(rung.state in {"open", "undecided"} for rung in rungs)
    causes = [cause.name for one in explained for cause in one.verdict.causes]
    for cause in (*(row.name for row in CAUSES), NOTHING, NO_EFFECT, NOT_COMPARED, UNEXPLAINED):
        found[f"cause.{cause}"] = causes.count(cause)
    found[f"cause.{DATA_FAULT}"] = sum(name.startswith(DATA_FAULT) for name in causes)
    return found


def verdict_markdown(one: Explained) -> str:
    """Return a verdict as a page: causes with their evidence, every rung, and how it came to it."""
    heading = f"# Why does {one.verdict.network} fail?"
    return "\n".join([heading, "", *_paragraphs(one), *_log(one)]) + "\n"


def _paragraphs(one: Explained) -> Iterator[str]:
    verdict = one.verdict
    if verdict.depth and verdict.compared_with:
        yield (
            f"Balanced accuracy of held-out nuclei against {verdict.compared_with}, the best "
            f"shallower network: {_interval(verdict.depth)}, over {verdict.depth.units} groups."
        )
        yield ""
    low, high = verdict.left_interval
    yield (
        f"{verdict.left} networks left the plateau, a share of {_share(verdict.left)} "
        f"[{low:.2f}, {high:.2f}]. So a cure is what changes {verdict.outcome}. "
        "All of this speaks of this data set."
    )
    yield ""
    for cause in verdict.causes:
        yield from _established(cause)
    if verdict.control is None and not any(cause.repaired_by for cause in verdict.causes):
        yield "*Whether it learned is open: no network was trained on shuffled labels.*"
        yield ""
    yield from _together(verdict)
    yield one.texture
    yield ""
    for suspected in verdict.suspected:
        yield from _suspected(suspected, verdict.rungs)
    for warning in verdict.data_warnings:
        yield f"*The audit warns of the data: {warning}.*"
        yield ""
    if verdict.rungs:
        yield from _ladder(verdict)


def _share(found: Tally) -> str:
    return f"{found.left / found.networks:.2f}" if found.networks else "nothing"


def _together(verdict: Verdict) -> Iterator[str]:
    if len(verdict.together) < 2 or verdict.not_excluded is None:
        return
    names = ", ".join(f"`{name}`" for name in verdict.together)
    yield (
        f"Cures that worked: {names}. They are not told apart here; differences of the share that "
        f"leaves of up to {verdict.not_excluded:.2f} are not excluded."
    )
    yield ""


def _log(one: Explained) -> Iterator[str]:
    yield "## How the ladder came to this"
    yield ""
    yield from (f"- {step.spent} networks: {step.said}" for step in one.told.steps)
    yield ""
    yield f"{one.told.spent} networks were trained, of a budget of {one.told.budget}. {bought(one)}"


def bought(one: Explained) -> str:
    """Say what more networks would buy."""
    open_rungs = ", ".join(rung.name for rung in one.verdict.rungs if rung.state == "open")
    waiting = ", ".join(row.name for row in one.told.next_rows)
    would = [f"go on with {open_rungs}"] * bool(open_rungs) + [f"try {waiting}"] * bool(waiting)
    if would:
        return f"A larger `diagnosis.budget` would {', and would '.join(would)}."
    if one.verdict.left.networks < FIRST:
        return f"A larger `diagnosis.budget` would train more networks of {one.verdict.network}."
    named = next((cause for cause in one.verdict.causes if cause.repaired_by), None)
    if one.verdict.control is None or (named and not named.learned):
        return "A larger `diagnosis.budget` would train the control on shuffled labels."
    return "A larger budget would try nothing more."


def _established(cause: Established) -> Iterator[str]:
    yield f"**{cause.name[0].upper()}{cause.name[1:]}.**"
    yield ""
    yield from _bullets(cause.numbers)
    if rung := cause.repaired_by:
        yield (
            f"- Repaired by `{rung.name}`: {rung.left} left the plateau; validation balanced "
            f"accuracy {_interval(rung.validation)}, training loss {_factor(rung.log_train_loss)}."
        )
    if learned := cause.learned:
        told = "It learned" if learned.is_above else "Leaving the plateau is not learning"
        yield f"- {told}: {_interval(learned)} above the same network on shuffled labels."
    elif cause.repaired_by:
        yield "- Whether it learned is open: the same network on shuffled labels was not trained."
    yield f"- It would be refuted if {cause.refuted_by}."
    if cause.source:
        yield f"- Source: {cause.source}."
    yield ""


def _suspected(suspected: Suspected, rungs: Sequence[Rung]) -> Iterator[str]:
    yield f"*Suspected, not established: {suspected.name}.*"
    yield ""
    yield from _bullets(suspected.numbers)
    tried = [rung for rung in rungs if rung.name in suspected.tried]
    if failed := [f"`{rung.name}`" for rung in tried if rung.state != "open"]:
        yield f"- Tried without repair: {', '.join(failed)}."
    if left := [f"`{rung.name}` ({rung.left} left)" for rung in tried if rung.state == "open"]:
        yield f"- Tried, and open: {', '.join(left)}; more networks would tell."
    if suspected.untried:
        yield f"- Not tried: {', '.join(suspected.untried)}."
    yield ""


def _bullets(numbers: SymptomNumbers) -> Iterator[str]:
    yield from (f"- {name}: {value:.3g}" for name, value in numbers.items() if not isnan(value))


def _ladder(verdict: Verdict) -> Iterator[str]:
    yield (
        "| one change | left | median epoch | p of earlier | training loss | training | "
        "validation | |"
    )
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
    for rung in verdict.rungs:
        # A control was trained on other labels: its loss and fit on the true ones say nothing.
        loss = "" if rung.shuffled else _factor(rung.log_train_loss)
        fit = "" if rung.shuffled else _interval(rung.train_accuracy)
        state = "" if rung.state == "no cure" else rung.state
        epoch = median_epoch_in_words(rung.median_epoch, rung.left)
        change = rung.name.removeprefix(f"{verdict.network}-")
        earlier = "" if rung.earlier is None else f"{rung.earlier:.2g}"
        numbers = f"{rung.left} | {epoch} | {earlier} | {loss} | {fit}"
        yield f"| {change} | {numbers} | {_interval(rung.validation)} | {state} |"
    yield ""
    yield (
        "Against the network itself, paired over folds and seeds, with intervals: the factor of "
        "the training loss and the differences of balanced accuracy. *p of earlier*: of leaving "
        "earlier by chance alone, where rate and epochs are the network's own; it decides nothing."
    )
    yield ""


def median_epoch_in_words(epoch: float | None, left: Tally) -> str:
    """Return the median epoch at which an arm's networks left, or why it has none.

    Networks that stayed come last: with half of an arm or more it has no median. None, as JSON has
    it, is the same as infinite.
    """
    if epoch is not None and isfinite(epoch):
        return f"{epoch:g}"
    if not left.left:
        return "none left"
    return "half stayed" if 2 * left.left == left.networks else "most stayed"


def _interval(effect: Effect) -> str:
    if not isfinite(effect.low):
        return f"{effect.estimate:+.3f}"
    return f"{effect.estimate:+.3f} [{effect.low:+.3f}, {effect.high:+.3f}]"


def _factor(effect: Effect) -> str:
    """Return an effect on a logarithm as a factor."""
    factor, low, high = (
        exp(min(value, 99)) for value in (effect.estimate, effect.low, effect.high)
    )
    if not isfinite(effect.low):
        return f"x {factor:.2f}"
    return f"x {factor:.2f} [{low:.2f}, {high:.2f}]"


def _finite(value: object) -> object:
    """Round floats to 6 decimals; what is not finite becomes null, as JSON has no infinity."""
    if isinstance(value, float):
        return round(value, 6) if isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return value
