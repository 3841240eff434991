"""The page itself: one HTML file that loads nothing, the same bytes from the same tables."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from fathom.diagnosis.looks import Tally
from fathom.ground.output import written_whole
from fathom.page import score_charts, shown_pictures, training_charts
from fathom.page.answers import depth_in_words, next_steps, which_network, why
from fathom.page.content import Content
from fathom.page.drawing import COLOURS, interval, run_dash, share_bar
from fathom.page.limits import limits
from fathom.page.methods import COMMANDS, bibtex, flat_params, hashes, methods_paragraph
from fathom.page.plain_words import GLOSSARY
from fathom.page.tables import (
    Cell,
    Table,
    as_csv,
    control_report_tables,
    dictionary_table,
    ladder_table,
    left_cell,
    plain,
    runs_table,
    score_scale,
)
from fathom.reports.control_sentences import SCORE
from fathom.statistics.row_text import decimal, difference, mark_notes, marked, with_interval
from fathom.study.rows import short

MOST_BYTES = 3_000_000
MOST_SCORES = 8  # on the first screen; the table has them all
MOST_RUNGS = 5
MOST_ROWS = 300  # of a table that nobody reads to its end; its CSV has them all

# Said of every page: what a reader may look for in vain.
NEVER_HERE = (
    "The micrographs at full size and all other crops: data/, after 'make repro'.",
    "The models: models/, one ONNX file a run, after 'make repro'.",
    "The commit: git log -1. A file cannot hold the hash of the commit that holds it.",
)


def write_page(content: Content, out: Path) -> None:
    """Write the page of a study; say so where it has more than it should."""
    text = page(content)
    if (size := len(text.encode("utf-8"))) > MOST_BYTES:
        print(
            f"{out}: {size / 1e6:.1f} MB; of so many runs, {MOST_BYTES / 1e6:g} MB do not hold all"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(out) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def page(content: Content) -> str:
    """Return the page as HTML."""
    loader = PackageLoader("fathom.page")
    environment = Environment(
        loader=loader,
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["short"] = short
    places = {name: place for place, name in enumerate(content.everyone)}
    environment.globals.update(
        colours=COLOURS,
        most_rows=MOST_ROWS,
        dash_of=run_dash,
        place_of=lambda name: places.get(name, len(places)),
    )
    script = _own(loader, environment, "page.js")
    shown = {
        "style": _own(loader, environment, "style.css"),
        "script": script,
        # The browser runs this script and no other, whatever stands in a name of the data.
        "script_hash": b64encode(sha256(script.encode("utf-8")).digest()).decode("ascii"),
        **_head(content),
        **_answer(content),
        **_runs(content),
        **_pictures(content),
        **_made(content),
    }
    return environment.get_template("index.html").render(shown)


def _own(loader: PackageLoader, environment: Environment, name: str) -> Markup:
    """Return a file of our own as it is; everything else on the page is escaped."""
    return Markup(loader.get_source(environment, name)[0])


def _head(content: Content) -> dict[str, Any]:
    study = content.study
    subtitle = ""
    if study:
        share = study["positive"] / study["nuclei"]
        subtitle = (
            f"{study['nuclei']:,} nuclei, {100 * share:.0f} % {study['classes']['positive']}, the "
            f"rest {study['classes']['negative']}; {study['images']} images, {study['slides']} "
            f"slides, {study['patients']} patients or acquisitions."
        )
    return {
        "title": Path(str(content.params["dataset"])).name,
        "subtitle": subtitle,
        "everyone": content.everyone,
        "glossary": GLOSSARY,
        "absent": [*(f"Absent: {what}." for what in content.absent), *NEVER_HERE],
        "version": study.get("versions", {}).get("fathom", ""),
        "atlas": shown_pictures.atlas(content),
        "classes": study.get("classes", {}),
    }


def _answer(content: Content) -> dict[str, Any]:
    scale = score_scale(content)
    listed = _most_telling(content)
    more = len(content.results) > len(listed)
    return {
        "which": which_network(content),
        "scale": [decimal(end, 1) for end in scale],
        "depth": depth_in_words(content),
        "score_bars": [_score_bar(content, name, scale) for name in listed],
        "more_scores": len(content.results) if more else 0,
        "whys": [_why(content, network) for network in content.verdicts],
        "no_verdict": _no_verdict(content),
        "deeper": _deeper(content),
        "limits": list(limits(content)),
    }


def _most_telling(content: Content) -> list[str]:
    """Return whom the first screen shows, in the order of the results: all, where they are few."""
    names = list(content.results)
    first = [content.best, content.first, *content.verdicts, content.baseline, *names]
    chosen = list(dict.fromkeys(name for name in first if name in content.results))[:MOST_SCORES]
    return [name for name in names if name in chosen]


def _score_bar(content: Content, name: str, scale: tuple[float, float]) -> dict[str, Any]:
    numbers = content.results[name]
    low, value, high = (numbers[f"{SCORE}{end}"] for end in ("_low", "", "_high"))
    place = content.everyone.index(name)
    return {
        "name": name,
        "shown": marked(name, numbers),
        "text": with_interval(numbers, SCORE),
        "picture": interval(name, place, low, value, high, scale),
    }


def _why(content: Content, network: str) -> dict[str, Any]:
    verdict = content.verdicts[network]
    others = [cause["name"] for cause in verdict["causes"][1:]]
    others += [f"{one['name']} (suspected)" for one in verdict["suspected"]]
    bars = share_bars(content, network)
    return {
        "network": network,
        "answer": why(verdict, content.left),
        "others": "; ".join(others),
        "bars": bars[: MOST_RUNGS + 1],
        "next": list(next_steps(content, verdict)),
    }


def share_bars(content: Content, network: str) -> list[dict[str, Any]]:
    """Return k of n networks that left the plateau, of a network and of each change on it."""
    verdict = content.verdicts[network]
    confidence = content.params["diagnosis"]["confidence"]
    rows = [(network, network, verdict["left"], "")]
    rows += [
        (rung["name"], rung["name"].removeprefix(f"{network}-"), rung["left"], rung["state"])
        for rung in verdict["rungs"]
    ]
    bars = []
    for name, shown, tally, state in rows:
        counted = Tally(tally["left"], tally["networks"])
        ends = counted.interval(confidence)
        place = content.everyone.index(name) if name in content.everyone else 0
        bars.append(
            {
                "name": name,
                "shown": shown,
                "state": "" if state == "no cure" else state,
                "text": f"{counted} [{decimal(ends[0], 2)}, {decimal(ends[1], 2)}]",
                "picture": share_bar(name, place, counted.left, counted.networks, ends),
            }
        )
    return bars


def _no_verdict(content: Content) -> dict[str, str]:
    if any("verdicts" in what for what in content.absent):
        return {"headline": "Not known.", "sentence": "No verdict was made yet: run 'make repro'."}
    return {
        "headline": "No network was diagnosed.",
        "sentence": (
            "None is worse than a shallower one and none stayed on the plateau, or "
            "diagnosis.networks in params.yaml names none."
        ),
    }


def _deeper(content: Content) -> Table:
    """Return each network deeper than the first run: its cause, its cures, what comes next."""
    depth = content.results[content.first].get("weight_layers", 0) if content.networks else 0
    rows = []
    rungs = {
        rung["name"]: (network, rung["state"])
        for network, verdict in content.verdicts.items()
        for rung in verdict["rungs"]
    }
    for name in content.networks:
        numbers = content.results[name]
        if numbers["weight_layers"] <= depth and name not in content.verdicts:
            continue
        key = "difference_to_first"
        rows.append(
            (
                Cell(marked(name, numbers), run=name),
                Cell(f"{numbers['weight_layers']:.0f}"),
                Cell(difference(numbers, key) if key in numbers else ""),
                left_cell(content, name),
                *(Cell(text) for text in _cause_cures_next(content, name, rungs)),
            )
        )
    headings = ("network", "layers", f"minus {short(content.first)}", "left the plateau",
                "cause", "cures that worked", "what to do next")  # fmt: skip
    csv = as_csv(pd.DataFrame([[cell.text for cell in row] for row in rows], columns=headings))
    return Table("deeper", "Deeper than the first run: cause, cures, what to do next", headings,
                 tuple(rows), csv)  # fmt: skip


def _cause_cures_next(
    content: Content, name: str, rungs: Mapping[str, tuple[str, str]]
) -> Sequence[str]:
    if name in content.verdicts:
        verdict = content.verdicts[name]
        causes = "; ".join(cause["name"] for cause in verdict["causes"])
        cures = ", ".join(one.removeprefix(f"{name}-") for one in verdict["together"])
        return causes, cures or "none", " ".join(next_steps(content, verdict))
    if name in rungs:
        network, state = rungs[name]
        return f"a change tried on {network}: {state}", "", ""
    return "not diagnosed", "", "Name it in diagnosis.networks to learn why."


def _runs(content: Content) -> dict[str, Any]:
    depth = [training_charts.error_by_depth(content), *training_charts.error_by_epoch(content)]
    scores = [score_charts.roc(content), score_charts.calibration(content)]
    curves_csv = training_charts.curves_csv(content)
    confusion = content.plots.get("confusion.csv")
    return {
        "runs": runs_table(content),
        "run_notes": list(_run_notes(content)),
        "controls": control_report_tables(content),
        "depth_charts": [chart for chart in depth if chart],
        "curves": list(training_charts.curves(content)),
        "networks": training_charts.networks_table(content),
        "curves_csv": curves_csv and Table("curves", "", (), (), curves_csv).download,
        "layers_table": training_charts.layers_table(content),
        "layers": list(training_charts.signal_by_layer(content)),
        "ladders": [
            {
                "network": network,
                "bars": share_bars(content, network),
                "table": ladder_table(content, network),
                "steps": verdict["ladder"]["steps"],
                "spent": verdict["ladder"]["spent"],
                "budget": verdict["ladder"]["budget"],
            }
            for network, verdict in content.verdicts.items()
        ],
        "score_charts": [chart for chart in scores if chart],
        "confusion": None
        if confusion is None
        else plain("confusion", "Held-out nuclei by actual and predicted class", confusion),
    }


def _run_notes(content: Content) -> list[str]:
    numbers = next(iter(content.results.values()))
    notes = [
        f"{numbers['nuclei']:.0f} test nuclei in {numbers['groups']:.0f} groups. [low, high]: "
        f"{numbers['confidence'] * 100:g} % interval over groups; *: claimed."
    ]
    for name, of in content.results.items():
        notes += mark_notes(name, of)
    return notes


def _pictures(content: Content) -> dict[str, Any]:
    new = content.metrics.get("new_slides.json", {})
    notes = []
    if "balanced_accuracy" in new:
        notes.append(
            f"On {new['labelled']:.0f} labelled nuclei of {new['labelled_slides']:.0f} new slides: "
            f"balanced accuracy {with_interval(new, 'balanced_accuracy')}, AUROC "
            f"{with_interval(new, 'auroc')}."
        )
    if new.get("images_um_per_px_assumed"):
        notes.append(
            f"How wide a pixel is was assumed for {new['images_um_per_px_assumed']:.0f} of "
            f"{new['images']:.0f} images."
        )
    return {
        "pictures": content.pictures,
        "micrographs": shown_pictures.micrographs(content),
        "sample": shown_pictures.sample(content),
        "surest": list(shown_pictures.surest(content)),
        "sure_of_none": shown_pictures.sure_of_none(content),
        "sheets": shown_pictures.with_uris(content, "audit"),
        "new_slides": shown_pictures.with_uris(content, "new_slides"),
        "new_notes": notes,
        "scored_by": content.study.get("scored_by", ""),
    }


def _made(content: Content) -> dict[str, Any]:
    versions = content.study.get("versions", {})
    return {
        "methods": methods_paragraph(content),
        "bibtex": bibtex(content),
        "commands": COMMANDS,
        "made_tables": [
            dictionary_table("params", "Params that matter", flat_params(content)),
            dictionary_table("hashes", "SHA-256 of data and predictions", hashes(content)),
            dictionary_table("versions", "Versions", versions.items()),
        ],
    }
