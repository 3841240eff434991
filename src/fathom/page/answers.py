"""The first screen: which network to use, why a deeper one fails, and what to do next, by rules.

Every sentence follows from the numbers alone. A network *learned* if the interval of its balanced
accuracy lies above .5; a difference is *claimed* as in `fathom.statistics.claims`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fathom.diagnosis.verdict import NOTHING, UNEXPLAINED
from fathom.page.content import Content, Numbers
from fathom.page.plain_words import cause_in_words
from fathom.page.tried import Tried, learns_nothing_by_design
from fathom.reports.control_sentences import SCORE
from fathom.reports.texture_sentences import listed
from fathom.statistics.row_text import decimal, signed_interval, signed_with_interval, with_interval
from fathom.study.rows import is_classifier, short


@dataclass(frozen=True)
class Answer:
    """A question, the answer in a few words, and the sentences that hold it."""

    question: str
    headline: str
    sentences: tuple[str, ...]


def which_network(content: Content) -> Answer:
    """Say which network to use: what it reaches, how sure that is, and who else learned."""
    headline, reached = _choice(content)
    sentences = (reached, _how_sure(content), _who_else_learned(content))
    return Answer(
        "Which network should I use, and how sure is that?",
        headline,
        tuple(filter(None, sentences)),
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


def _who_else_learned(content: Content) -> str:
    """Name the networks that are shown to be better than guessing where the best one is not."""
    best = content.results.get(content.best or "")
    arms = better_than_guessing(content)
    if not arms or (best is not None and learned(best)):
        return ""
    told = [
        f"{arm.name} ({with_interval(arm.numbers, SCORE)}, {arm.networks} networks)" for arm in arms
    ]
    verb = "is" if len(arms) == 1 else "are"
    said = f"Of the networks, only {listed(told)} {verb} shown to be better than guessing"
    highest = max(arms, key=lambda arm: arm.numbers[SCORE]).numbers
    least = float(content.params["diagnosis"]["least_gain"])
    above = [
        short(name)
        for name, of in content.results.items()
        if is_classifier(name) and of[f"{SCORE}_low"] > highest[f"{SCORE}_high"]
    ]
    notes = []
    if highest[SCORE] - 0.5 < least:
        notes.append(f"by less than {decimal(least, 2)} (diagnosis.least_gain)")
    if above:
        notes.append(f"below {listed(above)}")
    return f"{', '.join([said, *notes])}."


@dataclass(frozen=True)
class Arm:
    """A row that is shown to be better than guessing."""

    name: str
    networks: int  # that were scored on held-out nuclei
    numbers: Numbers


def better_than_guessing(content: Content) -> list[Arm]:
    """Return the runs and the ladders' rows whose interval lies above .5, controls left out."""
    rows = [(name, int(of["cells"]), of) for name, of in content.results.items()
            if not is_classifier(name)]  # fmt: skip
    rows += [(name, content.tested(name), of) for name, of in content.ladder_rows.items()]
    return [
        Arm(name, networks, of)
        for name, networks, of in rows
        if learned(of) and not learns_nothing_by_design(content, name)
    ]


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
    of = f"Of {len(deeper)} network{'s' * (len(deeper) != 1)} deeper than {content.first}"
    said = " and ".join(
        _claimed([name for name in deeper if results[name][f"{key}_claim"] == claim], word, content)
        for claim, word in ((1, "better"), (-1, "worse"))
    )
    return f"{of}, {said}."


def _claimed(names: Sequence[str], word: str, content: Content) -> str:
    """Return `a (-.1 [-.2, -.1]) is worse`, and that this is a difference between guesses."""
    if not names:
        return f"none is shown to be {word}"
    key, results = "difference_to_first", content.results
    told = [f"{name} ({signed_with_interval(results[name], key)})" for name in names]
    said = f"{', '.join(told)} {'is' if len(told) == 1 else 'are'} {word}"
    if any(learned(results[name]) for name in (*names, content.first)):
        return said
    who = "both" if len(names) == 1 else "all of them"
    return f"{said} than {content.first}, while {who} may be guessing"


def _best_classifier(content: Content) -> str | None:
    there = [name for name in content.results if is_classifier(name)]
    key = "validation_balanced_accuracy"
    return max(there, key=lambda name: content.results[name][key], default=None)


def _scored(content: Content, name: str) -> str:
    return f"{short(name)} with {with_interval(content.results[name], SCORE)}"


def learned(numbers: Numbers) -> bool:
    """Whether a score is shown to be better than guessing."""
    return numbers[f"{SCORE}_low"] > 0.5


def why(content: Content, verdict: Mapping[str, Any], tried: Tried) -> Answer:
    """Say why a network fails, and what would prove that wrong."""
    cause, depth = verdict["causes"][0], verdict["depth"]
    worse = depth and depth["high"] is not None and depth["high"] < 0
    asked = f"is {verdict['network']} worse" if worse else f"does {verdict['network']} fail"
    return Answer(
        f"Why {asked}, and what would prove that wrong?",
        f"{cause['name'][0].upper()}{cause['name'][1:]}.",
        (
            cause_in_words(cause["name"]),
            " ".join([_left(verdict, content.left), *_depth(content, verdict)]),
            _cured(verdict),
            f"Proved wrong if {cause['refuted_by']}.",
            _came_out(verdict, tried),
        ),
    )


def _left(verdict: Mapping[str, Any], left_by_row: Mapping[str, tuple[int, int]]) -> str:
    """Say how many networks left the plateau, of both depths."""
    left, networks = verdict["left"]["left"], verdict["left"]["networks"]
    low, high = (decimal(end, 2) for end in verdict["left_interval"])
    stayed = f"{left} of {networks} networks left the plateau of guessing [{low}, {high}]"
    other = verdict["compared_with"]
    if beside := left_by_row.get(other):
        stayed += f"; of {other}, {beside[0]} of {beside[1]}"
    return f"{stayed}."


def _depth(content: Content, verdict: Mapping[str, Any]) -> Iterator[str]:
    """Yield whether the network is worse at all, and how many networks say so.

    The ladder adds networks to a run, whose own difference is the one in the tables.
    """
    depth, other, name = verdict["depth"], verdict["compared_with"], verdict["network"]
    if not depth or not other or depth["low"] is None:
        return
    verb = "is not told from"
    if depth["high"] < 0:
        verb = "is worse than"
    if depth["low"] > 0:
        verb = "is better than"
    said = f"By accuracy {name} {verb} {other}: {_effect(depth)}"
    run, networks, key = content.results.get(name, {}), content.tested(name), "difference_to_first"
    if other == content.first and key in run and run["cells"] < networks:
        said += (
            f" with {networks} networks, {signed_with_interval(run, key)} with the "
            f"{run['cells']:.0f} of the run alone, which tables show"
        )
    yield f"{said}."


def _cured(verdict: Mapping[str, Any]) -> str:
    """Say which changes freed it, and whether what was freed learned anything."""
    rungs = [rung for rung in verdict["rungs"] if rung["name"] in verdict["together"]]
    if not rungs:
        return (
            f"Nothing that was tried {_verb(verdict)} it."
            if verdict["rungs"]
            else "Nothing was tried yet."
        )
    shares = " and ".join(
        f"{_change(verdict, rung['name'])} ({rung['left']['left']} of {rung['left']['networks']})"
        for rung in rungs
    )
    verb = _verb(verdict)
    said = f"{verb[0].upper()}{verb[1:]} by {shares}."
    cause = next((one for one in verdict["causes"] if one["learned"]), None)
    if cause is None:
        return f"{said} Whether it then learned is open: no control on shuffled labels was trained."
    gain, name = cause["learned"], _change(verdict, cause["repaired_by"]["name"])
    taught = "learned, too" if _is_above(gain) else "is not shown to learn"
    return (
        f"{said} With {name} {verdict['network']} {taught}: {_effect(gain)} in validation above "
        "shuffled labels."
    )


def _verb(verdict: Mapping[str, Any]) -> str:
    """Return what a cure did."""
    return "freed" if verdict["outcome"] == "leaving the plateau" else "repaired"


def _effect(effect: Mapping[str, Any]) -> str:
    """Return a difference with its interval; one network alone has none."""
    return signed_interval(effect["estimate"], effect["low"], effect["high"])


def _is_above(effect: Mapping[str, Any]) -> bool:
    return effect["low"] is not None and effect["low"] > 0


def _change(verdict: Mapping[str, Any], rung: str) -> str:
    return rung.removeprefix(f"{verdict['network']}-")


def _came_out(verdict: Mapping[str, Any], tried: Tried) -> str:
    """Say whether what would refute the main cause was tried, and what came out."""
    if verdict["causes"][0]["name"] in (NOTHING, UNEXPLAINED):
        return "So far that is not so."
    if not tried.tests:
        return "That was not tried."
    cured = [name for name in tried.tests if name in verdict["together"]]
    with_ = f"Tried with {listed([_change(verdict, name) for name in tried.tests])}"
    if not cured:
        return f"{with_}: nothing {_verb(verdict)} it."
    who = listed([_change(verdict, name) for name in cured])
    if cured == list(tried.tests):
        who = {1: "it", 2: "both"}.get(len(cured), "all of them")
    return f"{with_}: {who} {_verb(verdict)} {verdict['network']}, so the cause stands."


def beside(verdict: Mapping[str, Any], tried: Tried) -> Iterator[str]:
    """Yield the other causes, the suspects, and what was not tried."""
    others = [cause["name"] for cause in verdict["causes"][1:]]
    suspected = [one["name"] for one in verdict["suspected"]]
    for word, names in (
        ("Also", others),
        ("Suspected", suspected),
        ("Not tried", tried.untried),
    ):
        if names:
            yield f"{word}: {', '.join(names)}."


def next_steps(content: Content, verdict: Mapping[str, Any]) -> Iterator[str]:
    """Yield what to do next about a network, the nearest first."""
    cures, main = verdict["together"], verdict["causes"][0]["name"]
    if verdict["next"] and not cures:
        names = ", ".join(row["name"] for row in verdict["ladder"]["next_rows"])
        yield f"Raise diagnosis.budget: the ladder would go on with {names}."
    compared = [one for one in verdict["causes"] if one["learned"]]
    taught = any(_is_above(one["learned"]) for one in compared)
    if cures and not compared:
        yield (
            "Train the control first, a row with training_labels: shuffled or a larger "
            "diagnosis.budget: leaving the plateau is not learning."
        )
    if cures and (taught or not compared):
        there = [name for name in cures if name in content.runs]
        yield (
            f"Use {there[0]} in place of {verdict['network']}: it is a row of runs already."
            if there
            else f"Make {cures[0]} a row of runs: it {_verb(verdict)} {verdict['network']}."
        )
    elif cures:
        name = _change(verdict, compared[0]["repaired_by"]["name"])
        yield (
            f"Look at the data before the depth: what {name} {_verb(verdict)} is not shown to "
            "learn."
        )
        if teller := _tells(content):
            yield f"What tells the label here is {teller}."
        yield from _unrun(content, cures)
    if main.startswith("data fault"):
        yield "Mend the data first, or waive the finding with a reason (audit.waivers)."
    if main == "nothing to learn":
        yield "Look for a label that the crops can show: no depth helps with this one."
    if main == "unexplained" and not verdict["next"]:
        yield "Train more seeds (recipe.seeds), so that less can be luck."
    if main == "no shallower network to compare with":
        yield "Make a shallower architecture a row of runs, under the same interventions."
    if main == "no depth effect":
        yield "Nothing: take the shallower one, which is cheaper."


def _unrun(content: Content, cures: Sequence[str]) -> Iterator[str]:
    """Yield each cure that is above guessing, and that `runs` does not hold yet."""
    for arm in better_than_guessing(content):
        if arm.name in cures and arm.name not in content.runs:
            yield f"Make {arm.name} a row of runs: it is above guessing on held-out nuclei."


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
