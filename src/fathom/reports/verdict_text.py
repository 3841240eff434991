"""A verdict as numbers for `dvc metrics`, as JSON with every number, and as text for people."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from math import exp, isfinite
from pathlib import Path

from fathom.diagnosis.causes import SymptomNumbers
from fathom.diagnosis.effects import Effect
from fathom.diagnosis.verdict import Established, Suspected, Verdict
from fathom.ground.output import write_json, write_metrics, written_whole

VERDICTS = "verdicts.json"


def write_verdicts(folder: Path, metrics: Path, verdicts: Sequence[Verdict]) -> None:
    """Write all verdicts as JSON, each as <network>.md, and their numbers for `dvc metrics`."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {verdict.network: _finite(asdict(verdict) | _told(verdict)) for verdict in verdicts}
    write_json(folder / VERDICTS, content)
    for verdict in verdicts:
        with written_whole(folder / f"{verdict.network}.md") as part:
            part.write_text(verdict_markdown(verdict), encoding="utf-8")
    write_metrics(metrics, numbers(verdicts))


def _told(verdict: Verdict) -> dict[str, object]:
    return {"main": verdict.main, "is_stable": is_stable(verdict)}


def is_stable(verdict: Verdict) -> bool:
    """Whether every seed alone gives the same main cause."""
    return len(set(verdict.by_seed.values())) <= 1


def numbers(verdicts: Sequence[Verdict]) -> dict[str, float | int]:
    """Return `<network>.<rung>.<measure>` for `dvc metrics`, effects on the network."""
    found: dict[str, float | int] = {"networks": len(verdicts)}
    for verdict in verdicts:
        effects = {} if verdict.depth is None else {"depth": verdict.depth}
        for rung in verdict.rungs:
            effects[f"{rung.name}.log_train_loss"] = rung.log_train_loss
            effects[f"{rung.name}.validation"] = rung.validation
        for name, one in effects.items():
            found[f"{verdict.network}.{name}"] = one.estimate
            if isfinite(one.low):
                found |= {
                    f"{verdict.network}.{name}_low": one.low,
                    f"{verdict.network}.{name}_high": one.high,
                }
    return found


def verdict_markdown(verdict: Verdict) -> str:
    """Return a verdict as a page: the causes with their evidence, then every rung of the ladder."""
    return "\n".join([f"# Why is {verdict.network} worse?", "", *_paragraphs(verdict)]) + "\n"


def _paragraphs(verdict: Verdict) -> Iterator[str]:
    if verdict.depth and verdict.compared_with:
        yield (
            f"Balanced accuracy of held-out nuclei against {verdict.compared_with}, the best "
            f"shallower network: {_interval(verdict.depth)}, over {verdict.depth.units} groups."
        )
        yield ""
    for cause in verdict.causes:
        yield from _established(cause)
    for suspected in verdict.suspected:
        yield from _suspected(suspected)
    for warning in verdict.data_warnings:
        yield f"*The audit warns of the data: {warning}.*"
        yield ""
    if not is_stable(verdict):
        seeds = ", ".join(f"seed {seed}: {main}" for seed, main in verdict.by_seed.items())
        yield f"**This verdict is unstable.** Each seed alone says: {seeds}."
        yield ""
    if verdict.rungs:
        yield from _ladder(verdict)


def _established(cause: Established) -> Iterator[str]:
    yield f"**{cause.name[0].upper()}{cause.name[1:]}.**"
    yield ""
    yield from _bullets(cause.numbers)
    if rung := cause.repaired_by:
        yield (
            f"- Repaired by `{rung.name}`: validation balanced accuracy "
            f"{_interval(rung.validation)}, training loss {_factor(rung.log_train_loss)}."
        )
    yield f"- It would be refuted if {cause.refuted_by}."
    if cause.source:
        yield f"- Source: {cause.source}."
    yield ""


def _suspected(suspected: Suspected) -> Iterator[str]:
    yield f"*Suspected, not established: {suspected.name}.*"
    yield ""
    yield from _bullets(suspected.numbers)
    if suspected.tried:
        yield f"- Tried without repair: {', '.join(f'`{name}`' for name in suspected.tried)}."
    if suspected.untried:
        yield f"- Not tried: {', '.join(suspected.untried)}. Add a row with it to `experiments`."
    yield ""


def _bullets(numbers: SymptomNumbers) -> Iterator[str]:
    for name, value in numbers.items():
        yield f"- {name}: {value:.3g}"


def _ladder(verdict: Verdict) -> Iterator[str]:
    yield "| one change | training loss | training accuracy | validation accuracy | repairs |"
    yield "| --- | ---: | ---: | ---: | --- |"
    for rung in verdict.rungs:
        accuracies = f"{_interval(rung.train_accuracy)} | {_interval(rung.validation)}"
        repairs = "yes" if rung.repairs else ""
        change = rung.name.removeprefix(f"{verdict.network}-")
        yield f"| {change} | {_factor(rung.log_train_loss)} | {accuracies} | {repairs} |"
    yield ""
    yield (
        "Against the network itself, paired over folds and seeds, with intervals: the factor of "
        "the training loss and the differences of balanced accuracy."
    )


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
