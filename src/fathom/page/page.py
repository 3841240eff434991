"""The page itself: one HTML file that loads nothing, the same bytes from the same tables."""

import re
import sys
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from fathom.ground.output import written_whole
from fathom.page import score_charts, shown_pictures, training_charts
from fathom.page.answers import beside, depth_in_words, next_steps, which_network, why
from fathom.page.content import Content
from fathom.page.drawing import COLOURS, run_dash
from fathom.page.ladder_tables import counted_apart, deeper_table, ladder_table, share_bars
from fathom.page.limits import limits
from fathom.page.methods import COMMANDS, flat_params, hashes, methods_paragraph
from fathom.page.plain_words import glossary
from fathom.page.references import bibtex
from fathom.page.tables import (
    Bar,
    Table,
    control_report_tables,
    dictionary_table,
    plain,
    runs_table,
    score_picture,
    score_scale,
)
from fathom.page.tried import tried
from fathom.reports.control_sentences import SCORE
from fathom.statistics.row_text import decimal, mark_notes, marked, with_interval
from fathom.study.rows import short

MOST_BYTES = 3_000_000
MOST_SCORES = 8  # on the first screen; the table has them all
MOST_RUNGS = 5
CODE = re.compile("`([^`]+)`")
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
            f"{out}: {size / 1e6:.1f} MB; of so many runs, {MOST_BYTES / 1e6:g} MB do not hold all",
            file=sys.stderr,
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
    environment.filters.update(short=short, prose=prose)
    environment.globals.update(
        colours=COLOURS, most_rows=MOST_ROWS, dash_of=run_dash, place_of=content.place
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


def prose(text: str) -> Markup:
    """Return a sentence that is also printed in terminals: what stands in backticks is code."""
    return Markup(CODE.sub(r"<code>\1</code>", str(escape(text))))


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
            f"slides, {content.patients(study['patients'])}."
        )
    return {
        "title": Path(str(content.params["dataset"])).name,
        "subtitle": subtitle,
        "everyone": content.everyone,
        "glossary": glossary(content.confidence),
        "confidence": f"{100 * content.confidence:g} %",
        "of_shares": f"{100 * content.params['diagnosis']['confidence']:g} %",
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
        "deeper": deeper_table(content),
        "limits": list(limits(content)),
    }


def _most_telling(content: Content) -> list[str]:
    """Return whom the first screen shows, in the order of the results: all, where they are few."""
    names = list(content.results)
    first = [content.best, content.first, *content.verdicts, content.baseline, *names]
    chosen = list(dict.fromkeys(name for name in first if name in content.results))[:MOST_SCORES]
    return [name for name in names if name in chosen]


def _score_bar(content: Content, name: str, scale: tuple[float, float]) -> Bar:
    numbers = content.results[name]
    picture = score_picture(content, name, numbers, scale)
    return Bar(name, marked(name, numbers), picture, with_interval(numbers, SCORE))


def _why(content: Content, network: str) -> dict[str, Any]:
    verdict, found = content.verdicts[network], tried(content, network)
    return {
        "network": network,
        "answer": why(content, verdict, found),
        "beside": list(beside(verdict, found)),
        "bars": share_bars(content, network)[: MOST_RUNGS + 1],
        "next": list(next_steps(content, verdict)),
    }


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
        f"{numbers['confidence'] * 100:g} % interval over groups; *: claimed.",
        *counted_apart(content, content.networks),
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
