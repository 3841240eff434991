"""The pictures of the page: where each crop stands in their common one, and what is said of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from fathom.page import files
from fathom.page.content import Content
from fathom.statistics.row_text import decimal

KIND_WORDS = {
    "hit-positive": "{positive}, and called so",
    "hit-negative": "{negative}, and called so",
    "miss-positive": "{positive}, called {negative}",
    "miss-negative": "{negative}, called {positive}",
}


@dataclass(frozen=True)
class ShownCrop:
    """A crop: where it lies in the common picture, and what is said of it, blinded and not."""

    position: str  # of CSS
    said: str
    blind: str
    shuffled: int  # its place among others where order must not tell the label
    label: str
    probability: str = ""


def atlas(content: Content) -> dict[str, str]:
    """Return the common picture and its size in crops, as CSS has it; none where it is absent."""
    if files.ATLAS not in content.images or files.CROPS not in content.tables:
        return {}
    size = f"{100 * files.ATLAS_ACROSS}% {100 * _down(content)}%"
    return {"uri": content.images[files.ATLAS], "size": size}


def _down(content: Content) -> int:
    return -(-len(content.tables[files.CROPS]) // files.ATLAS_ACROSS)


def sample(content: Content) -> list[ShownCrop]:
    """Return the crops that are no run's choice: some of each class."""
    if not atlas(content):
        return []
    table = content.tables[files.CROPS]
    return [_shown(content, cell) for cell in table[table["sample"] == 1]["cell"].tolist()]


def surest(content: Content) -> Iterator[dict[str, Any]]:
    """Yield each run's surest decisions, by kind; the one to use is open."""
    if not atlas(content) or files.SUREST not in content.tables:
        return
    classes, table = content.study["classes"], content.tables[files.SUREST]
    for name in dict.fromkeys(table["run"]):
        own = table[table["run"] == name]
        kinds = [
            {
                "said": KIND_WORDS[kind].format(**classes),
                "cells": [
                    _shown(content, int(row["cell"]), row["probability"])
                    for row in own[own["kind"] == kind].to_dict("records")
                ],
            }
            for kind in files.KINDS
            if (own["kind"] == kind).any()
        ]
        yield {"name": name, "kinds": kinds, "open": name == content.best}


def sure_of_none(content: Content) -> list[str]:
    """Return those whose networks all say the same of every nucleus."""
    table = content.tables.get(files.SUREST)
    return (
        [] if table is None else [name for name in content.results if name not in set(table["run"])]
    )


def _shown(content: Content, cell: int, probability: float | None = None) -> ShownCrop:
    row = content.tables[files.CROPS].set_index("cell").loc[cell]
    across, down = files.ATLAS_ACROSS - 1, max(1, _down(content) - 1)
    left, top = cell % files.ATLAS_ACROSS, cell // files.ATLAS_ACROSS
    number = "" if probability is None else decimal(probability, 2)
    told = f", {number} {content.study['classes']['positive']}" if number else ""
    return ShownCrop(
        f"{100 * left / across:.4g}% {100 * top / down:.4g}%",
        f"Nucleus {row['nucleus']}: {row['label']}{told}",
        f"Nucleus {cell}",
        int(sha256(str(row["nucleus"]).encode("utf-8")).hexdigest()[:6], 16),
        str(row["label"]),
        number,
    )


def micrographs(content: Content) -> list[dict[str, Any]]:
    """Return the micrographs with their outlines, each nucleus by its kind."""
    shown = []
    for one in _there(content, "micrographs"):
        nuclei = [
            {
                "points": nucleus["points"],
                "kind": "left-out"
                if nucleus["left_out"]
                else "positive"
                if nucleus["positive"]
                else "negative",
            }
            for nucleus in one["nuclei"]
        ]
        kinds = [nucleus["kind"] for nucleus in nuclei]
        shown.append(
            {
                **one,
                "uri": content.images[one["file"]],
                "nuclei": nuclei,
                "kept": len(kinds) - kinds.count("left-out"),
                "positive": kinds.count("positive"),
                "left_out": kinds.count("left-out"),
            }
        )
    return shown


def with_uris(content: Content, kind: str) -> list[dict[str, Any]]:
    """Return the pictures of a kind (`new_slides`, `audit`) with their bytes."""
    return [{**one, "uri": content.images[one["file"]]} for one in _there(content, kind)]


def _there(content: Content, kind: str) -> list[dict[str, Any]]:
    """Return the pictures of a kind whose files are there."""
    listed = content.pictures.get(kind, ())
    return [one for one in listed if one["file"] in content.images]
