"""The words that all commands share: types of arguments and options, exit codes, JSON.

One word has one meaning: FOLDER is a data set, MODEL an exported network, SLIDE what is scored,
RUN a row of params.yaml, REVISION a commit by any name that git knows, and lengths carry their unit
(`--um-per-px`, `--crop-px`). What a command writes goes to `--out`, what scripts read is `--json`.
"""

import json
from enum import IntEnum
from math import isfinite
from pathlib import Path
from typing import Annotated

import typer


class Exit(IntEnum):
    """What a command's exit code says; docs/command-line.md has this table."""

    DONE = 0
    NO = 1
    MISTAKE = 2
    FAULT = 3
    INTERRUPTED = 130  # 128 + SIGINT, as shells have it


EXIT_CODES = {
    Exit.DONE: "it did what was asked; of `check` and `verify`: and the answer is yes",
    Exit.NO: "it did what was asked, and the answer is no: `check` found a fault, `verify` a "
    "difference; of `new`: it was not confirmed",
    Exit.MISTAKE: "it could not: a word of the command line, a file or a value is wrong. One "
    "sentence on stderr says which, and what to do",
    Exit.FAULT: "a fault of fathom itself: please report it with the traceback",
    Exit.INTERRUPTED: "it was interrupted (Ctrl-C, or ended by another program)",
}

Folder = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="A data set: images.csv, annotations.csv, masks/.")
]
Model = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A model that fathom exported, MODEL.onnx.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a page.")]


def print_json(value: object) -> None:
    """Print `value` as JSON on stdout: the only way in which a command does.

    Paths become text, and numbers that JSON has no word for (infinite, NaN) become null.
    """
    print(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False, default=str))


def _plain(value: object) -> object:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(of) for key, of in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(of) for of in value]
    return value
