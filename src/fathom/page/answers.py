"""The first screen: which network to use, why a deeper one fails, and what to do next, by rules.

Every sentence follows from the numbers alone. A network *learned* if the interval of its balanced
accuracy lies above .5; a difference is *claimed* as in `fathom.statistics.claims`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fathom.page.content import Content, Numbers
from fathom.page.plain_words import cause_in_words
from fathom.reports.control_sentences import SCORE
from fathom.statistics.row_text import decimal, signed_interval, signed_with_interval, with_interval
from fathom.study.rows import is_classifier, short


@dataclass(frozen=True)
class Answer:
    """A question, the answer in a few words, and the sentences that hold it."""

    question: str
    headline: str
    sentences: tuple[str, ...]


def which_network(content: Content) -> Answer:
    """Say which network to use, in two sentences: what it reaches, and how sure that is."""
    headline, reached = _choice(content)
    return Answer(
        "Which network should I use, and how sure is that?",
        headline,
        (reached, _how_sure(content)),
    )


def _choice(content: Content) -> tuple[str, str]:
    best, other = content.best, _best_classifier(content)
    nuclei = next(iter(content.results.values()))["nuclei"]
    if best is None:
        rest = f" The statistical classifier {_scored(content, other)}." if other else ""
        return "None can be used.", (
            "The final network of every run failed: it diverged, or says the same of every "
            f"nucleus.{rest}"
        )
    numbers = content.results[best]
    reached = f"{_scored(content, best)} in balanced accuracy on {nuclei:,.0f} held-out nuclei"
    if not learned(numbers):
        rest = (
            f"; the statistical classifier {_scored(content, other)} is"
            if other and learned(content.results[other])
            else f", nor is the statistical classifier {_scored(content, other)}"
            if other
            else ""
        )
        beaten = numbers.get("difference_to_baseline_claim") == -1
        instead = f"{short(content.baseline)} does better" if beaten else "all may be guessing"
        return (
            f"No network yet: {instead}.",
            (
                f"The best network by validation, {reached}, is not shown to be better than "
                f"guessing (.5){rest}."
            ),
        )
    if numbers.get("difference_to_baseline_claim") == -1:
        return f"A classifier, {short(content.baseline)}, before any network.", (
            f"The best network by validation, {reached}, is worse than the statistical classifier "
            f"{_scored(content, content.baseline)}."
        )
    return f"Use {best}.", (
        f"By validation it is the best: {reached}"
        + (f"; the statistical classifier {_scored(content, other)}." if other else ".")
    )


def _how_sure(content: Content) -> str:
    """Say in one sentence what the differences are worth, and what is not in the intervals."""
    numbers = content.results.get(content.best or "", {})
    groups = int(next(iter(content.results.values()))["groups"])
    compared = (("baseline", content.baseline), ("first", content.first))
    said = " and ".join(
        _difference(numbers, key, other)
        for key, other in compared
        if f"difference_to_{key}" in numbers
    )
    seeds = (
        f"the intervals are over {groups} {content.group}s, and luck of the seed is not in them"
        if all(of["seeds"] == 1 for of in content.results.values())
        else f"the intervals are over {groups} {content.group}s and the seeds"
    )
    if not said:
        return f"{seeds[0].upper()}{seeds[1:]}."
    return f"{short(content.best or '')} {said}; {seeds}."


def _difference(numbers: Numbers, key: str, other: str) -> str:
    found = f"difference_to_{key}"
    claim = numbers[f"{found}_claim"]
    verb = {1: "is better than", -1: "is worse than", 0: "is not told from"}[int(claim)]
    return f"{verb} {short(other)} ({signed_with_interval(numbers, found)})"


def depth_in_words(content: Content) -> str:
    """Say which of the deeper networks are claimed to be better or worse than the first run."""
    results, key = content.results, "difference_to_first"
    layers = results.get(content.first, {}).get("weight_layers", 0)
    deeper = [name for name in content.networks if results[name]["weight_layers"] > layers]
    if not deeper:
        return f"No network deeper than {content.first} was compared with it."
    claims = {
        claim: [
            f"{name} ({signed_with_interval(results[name], key)})"
            for name in deeper
            if results[name][f"{key}_claim"] == claim
        ]
        for claim in (1, -1)
    }
    of = f"Of {len(deeper)} network{'s' * (len(deeper) != 1)} deeper than {content.first}"
    said = " and ".join(
        f"{_listed(claims[claim])} {word}" if claims[claim] else f"none is shown to be {word}"
        for claim, word in ((1, "better"), (-1, "worse"))
    )
    return f"{of}, {said}."


def _listed(names: Sequence[str]) -> str:
    """Return `a is` or `a, b are`."""
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"


def _best_classifier(content: Content) -> str | None:
    there = [name for name in content.results if is_classifier(name)]
    key = "validation_balanced_accuracy"
    return max(there, key=lambda name: content.results[name][key], default=None)


def _scored(content: Content, name: str) -> str:
    return f"{short(name)} with {with_interval(content.results[name], SCORE)}"


def learned(numbers: Numbers) -> bool:
    """Whether a score is shown to be better than guessing."""
    return numbers[f"{SCORE}_low"] > 0.5


def why(verdict: Mapping[str, Any], left: Mapping[str, tuple[int, int]]) -> Answer:
    """Say why a network fails, and what would prove that wrong.

    `left` has how many networks of each row left the plateau, and of how many.
    """
    cause, depth = verdict["causes"][0], verdict["depth"]
    worse = depth and depth["high"] is not None and depth["high"] < 0
    asked = f"is {verdict['network']} worse" if worse else f"does {verdict['network']} fail"
    return Answer(
        f"Why {asked}, and what would prove that wrong?",
        f"{cause['name'][0].upper()}{cause['name'][1:]}.",
        (cause_in_words(cause["name"]), _worse(verdict, left), _cured(verdict), _refuted(cause)),
    )


def _worse(verdict: Mapping[str, Any], left_by_row: Mapping[str, tuple[int, int]]) -> str:
    """Say whether it is worse at all, and how many networks left the plateau, of both depths."""
    left, networks = verdict["left"]["left"], verdict["left"]["networks"]
    low, high = (decimal(end, 2) for end in verdict["left_interval"])
    stayed = f"{left} of {networks} networks left the plateau of guessing [{low}, {high}]"
    depth, other = verdict["depth"], verdict["compared_with"]
    if beside := left_by_row.get(other):
        stayed += f"; of {other}, {beside[0]} of {beside[1]}"
    if not depth or not other or depth["low"] is None:
        return f"{stayed}."
    found = _effect(depth)
    if depth["high"] < 0:
        return f"It is worse than {other} ({found}), and {stayed}."
    if depth["low"] > 0:
        return f"It is better than {other} ({found}); {stayed}."
    return f"By accuracy not told from {other} ({found}); {stayed}."


def _cured(verdict: Mapping[str, Any]) -> str:
    """Say which changes freed it, and whether what was freed learned anything."""
    rungs = [rung for rung in verdict["rungs"] if rung["name"] in verdict["together"]]
    if not rungs:
        return "Nothing that was tried frees it." if verdict["rungs"] else "Nothing was tried yet."
    shares = " and ".join(
        f"{_change(verdict, rung['name'])} ({rung['left']['left']} of {rung['left']['networks']})"
        for rung in rungs
    )
    said = f"Freed by {shares}"
    gain = next((one["learned"] for one in verdict["causes"] if one["learned"]), None)
    if gain is None:
        return f"{said}."
    taught = "it learned, too" if _is_above(gain) else "not shown to learn then"
    return f"{said}; {taught}: {_effect(gain)} in validation above shuffled labels."


def _effect(effect: Mapping[str, Any]) -> str:
    """Return a difference with its interval; one network alone has none."""
    return signed_interval(effect["estimate"], effect["low"], effect["high"])


def _is_above(effect: Mapping[str, Any]) -> bool:
    return effect["low"] is not None and effect["low"] > 0


def _change(verdict: Mapping[str, Any], rung: str) -> str:
    return rung.removeprefix(f"{verdict['network']}-")


def _refuted(cause: Mapping[str, Any]) -> str:
    return f"Proved wrong if {cause['refuted_by']}."


def next_steps(content: Content, verdict: Mapping[str, Any]) -> Iterator[str]:
    """Yield what to do next about a network, the nearest first."""
    cures, main = verdict["together"], verdict["causes"][0]["name"]
    if verdict["next"]:
        names = ", ".join(row["name"] for row in verdict["ladder"]["next_rows"])
        yield f"Raise diagnosis.budget: the ladder would go on with {names}."
    gains = [one["learned"] for one in verdict["causes"] if one["learned"]]
    taught = any(map(_is_above, gains))
    if cures and (taught or not gains):
        there = [name for name in cures if name in content.runs]
        yield (
            f"Use {there[0]} in its place; it is a row of runs already."
            if there
            else f"Make {cures[0]} a row of runs: it frees the network."
        )
    elif cures:
        yield (
            "Look at the data before the depth: freed of its plateau, the network still learns "
            "nothing that is shown to be more than shuffled labels give."
        )
        if teller := _tells(content):
            yield f"What tells the label here is {teller}; see what the data can show."
    if main.startswith("data fault"):
        yield "Mend the data first, or waive the finding with a reason (audit.waivers)."
    if main == "nothing to learn":
        yield "Look for a label that the crops can show: no depth helps with this one."
    if main == "unexplained" and not verdict["next"]:
        yield "Train more seeds (recipe.seeds), so that less can be luck."
    if main == "no depth effect":
        yield "Nothing: take the shallower one, which is cheaper."


def _tells(content: Content) -> str:
    """Return the control by outline or size that tells the label best, "" where none does."""
    numbers = content.control_numbers
    said = {"shape": "the outline", "silhouette": "the silhouette", "size": "the size"}
    scores = {name: numbers[f"{name}.{SCORE}"] for name in content.controls if name in said}
    best = max(scores, key=lambda name: scores[name], default="")
    if not best or numbers[f"{best}.{SCORE}_low"] <= 0.5:
        return ""
    own = {key: numbers[f"{best}.{key}"] for key in (SCORE, f"{SCORE}_low", f"{SCORE}_high")}
    return f"{said[best]}, {with_interval(own, SCORE)}"
