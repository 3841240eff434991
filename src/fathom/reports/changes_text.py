"""What `fathom compare` prints: tables and sentences for a terminal, a pull request, a script."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from fathom.reports.changes import Change, Changes, Difference, Interval, Kind, Verdict
from fathom.statistics.row_text import decimal, signed_interval

SAID: dict[Kind, str] = {
    "same": "the same",
    "none": "none",
    "up": "higher",
    "down": "lower",
    "not told": "no interval",
    "only before": "gone",
    "only after": "new",
}
QUIET = ("same", "none")  # are counted, not listed
MOST_ITEMS = 6  # of a list in a cell
HASH = re.compile(r"[0-9a-f]{32}(\.dir)?$")
MOST_PARAMS = 20  # more are counted; --all lists them
RULE = (
    "change: after minus before, with an interval made of both (Newcombe 1998). It is none where "
    "that interval holds 0."
)


@dataclass(frozen=True)
class Part:
    """A heading, a table, and the sentences under it."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    sentences: tuple[str, ...]


def as_dict(changes: Changes) -> dict[str, Any]:
    """Return everything that was compared, as JSON has it."""
    told = asdict(changes)
    told["measures"] = [
        {key: _plain(value) for key, value in change._asdict().items()}
        for change in changes.measures
    ]
    told["verdicts"] = {
        name: {"before": _plain(before), "after": _plain(after), "changed": before != after}
        for name, (before, after) in changes.verdicts.items()
    }
    for key in ("data", "params"):
        told[key] = [one._asdict() for one in getattr(changes, key)]
    return told


def _plain(value: object) -> object:
    return value._asdict() if isinstance(value, Interval | Verdict) else value


def print_changes(changes: Changes, *, everything: bool, markdown: bool) -> None:
    """Print the parts of a comparison; `everything`: also what did not change."""
    parts = list(_parts(changes, everything=everything))
    heading = f"What changed from {changes.before} to {changes.after}"
    if markdown:
        print("\n\n".join([f"### {heading}", *map(_markdown, parts)]))
        return
    console = Console(highlight=False, markup=False)
    console.print(heading)
    for part in parts:
        _print(part, console)


def _parts(changes: Changes, *, everything: bool) -> Iterator[Part]:
    yield _measures(changes, everything=everything)
    yield _verdicts(changes)
    yield Part(
        "Data",
        ("", "before", "after"),
        tuple(map(_row, changes.data)),
        () if changes.data else ("The same images, tables and nuclei.",),
    )
    yield _params(changes.params, everything=everything)
    yield Part("Code", (), (), (_code(changes.code),))


def _code(places: Sequence[str]) -> str:
    """Return the rooms and the scripts that differ, by their bare names."""
    if not places:
        return "The same code of the pipeline."
    rooms = sorted(PurePosixPath(place).name for place in places if place.startswith("src/"))
    scripts = sorted(PurePosixPath(place).stem for place in places if not place.startswith("src/"))
    told = {"rooms": rooms, "stages": scripts}
    return (
        "Other code: "
        + "; ".join(f"{what} {', '.join(names)}" for what, names in told.items() if names)
        + "."
    )


def _measures(changes: Changes, *, everything: bool) -> Part:
    shown = [one for one in changes.measures if everything or one.kind not in QUIET]
    counts = {kind: sum(one.kind == kind for one in changes.measures) for kind in SAID}
    told = ", ".join(f"{n} {SAID[kind]}" for kind, n in counts.items() if n)
    sentences = [f"{len(changes.measures)} measures: {told}."]
    if counts["none"] or counts["up"] or counts["down"]:
        sentences.append(RULE)
    compared = counts["none"] + counts["up"] + counts["down"]
    if counts["up"] or counts["down"]:
        sentences.append(
            f"{compared} intervals were looked at, each by itself: a few in a hundred exclude 0 "
            "by chance."
        )
    rows = tuple(
        (one.of, one.measure, _number(one.before), _number(one.after), _change(one))
        for one in shown
    )
    headings = ("", "measure", "before", "after", "change")
    return Part("Measures", headings, rows, (*sentences, *changes.notes))


def _number(interval: Interval | None) -> str:
    if interval is None:
        return ""
    if interval.low is None or interval.high is None:
        return decimal(interval.value)
    return f"{decimal(interval.value)} [{decimal(interval.low)}, {decimal(interval.high)}]"


def _change(one: Change) -> str:
    said, far = SAID[one.kind], one.difference
    if far is None or one.kind == "same":
        return said
    told = signed_interval(*far)
    return f"{told}, {said}" if far.low is None else f"{said}: {told}"


def _verdicts(changes: Changes) -> Part:
    rows, same = [], []
    for network, (before, after) in changes.verdicts.items():
        if before == after:
            same.append(network)
        else:
            rows.append((network, _verdict(before), _verdict(after)))
    sentences = [f"The same on {', '.join(same)}."] if same else []
    if not changes.verdicts:
        sentences = ["Neither commit has a verdict."]
    return Part("Verdicts", ("network", "before", "after"), tuple(rows), tuple(sentences))


def _verdict(verdict: Verdict | None) -> str:
    """Return the causes, the cures and the share that left; the main cause comes first."""
    if verdict is None:
        return "none"
    others = [cause for cause in verdict.causes if cause != verdict.main]
    causes = "; ".join((verdict.main, *others))
    cures = f". Cured by {', '.join(verdict.cures)}" if verdict.cures else ". No cure"
    return f"{causes}. {verdict.left} left the plateau{cures}"


def _params(params: Sequence[Difference], *, everything: bool) -> Part:
    shown = params if everything else params[:MOST_PARAMS]
    sentences = [] if params else ["The same params."]
    if len(shown) < len(params):
        sentences = [f"And {len(params) - len(shown)} more; --all lists them."]
    return Part("Params", ("", "before", "after"), tuple(map(_row, shown)), tuple(sentences))


def _row(one: Difference) -> tuple[str, str, str]:
    """Return name, before and after; of two lists only what the other one has not."""
    before, after = one.before, one.after
    if isinstance(before, list) and isinstance(after, list):
        gone = [item for item in before if item not in after]
        new = [item for item in after if item not in before]
        if gone or new:
            return one.name, _items("without ", gone), _items("with ", new)
    return one.name, _text(before), _text(after)


def _items(word: str, items: Sequence[object]) -> str:
    return word + ", ".join(map(str, items)) if items else "-"


def _text(value: object) -> str:
    """Return a value for a cell: a hash by its first digits, a long list by its length."""
    if isinstance(value, list) and len(value) > MOST_ITEMS:
        return f"{len(value)} values"
    if isinstance(value, str) and HASH.match(value):
        return value[:8]
    return "-" if value is None else str(value)


def _print(part: Part, console: Console) -> None:
    console.print("", part.title, "", sep="\n")
    if part.rows:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
        for place, heading in enumerate(part.headings):
            table.add_column(heading, overflow="fold", vertical="top", no_wrap=place == 0)
        for row in part.rows:
            table.add_row(*row)
        console.print(table, "")
    for sentence in part.sentences:
        console.print(sentence)


def _markdown(part: Part) -> str:
    lines: Iterable[Sequence[str]] = (
        (part.headings, ["---"] * len(part.headings), *part.rows) if part.rows else ()
    )
    table = [f"| {' | '.join(map(_escaped, line))} |" for line in lines]
    sentences = [f"- {sentence}" for sentence in part.sentences]
    return "\n\n".join(
        block for block in (f"**{part.title}**", "\n".join(table), "\n".join(sentences)) if block
    )


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")
