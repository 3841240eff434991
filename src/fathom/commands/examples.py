"""Examples of every command: `--help` and docs/command-line.md print them, a test runs them."""

EXAMPLES: dict[str, tuple[str, ...]] = {
    "new": (
        "fathom new data/mine",
        "fathom new data/mine --pattern '{patient}_{slide}_{field}' --labels points.csv --yes",
    ),
    "check": (
        "fathom check data/mine",
        "fathom check data/mine-new --new-slides --json",
    ),
    "lines": (
        "fathom lines",
        "fathom lines '8conv3x3 - mp2x2 - gap - o' --crop-px 32 --json",
    ),
    "runs": ("fathom runs", "fathom runs --json"),
    "cells": ("fathom cells", "fathom cells --prune --days 90"),
    "recover": ("fathom recover", "fathom recover --cache"),
    "table": ("fathom table", "fathom table --markdown", "fathom table --json"),
    "why": ("fathom why", "fathom why vgg-13", "fathom why vgg-13 --next"),
    "report": ("fathom report", "fathom report --out study.html --no-open", "fathom report --json"),
    "compare": (
        "fathom compare main",
        "fathom compare main lower-rate --all",
        "fathom compare main --markdown",
    ),
    "verify": ("fathom verify", "fathom verify main --tolerance 0.0001 --json"),
    "predict": (
        "fathom predict models/shallow.onnx slides/*.tif --out scored",
        "fathom predict models/shallow.onnx slides/a.tif --out scored-a --um-per-px 0.5",
    ),
    "package": ("fathom package models/shallow.onnx --out shallow.zip",),
}


def epilog(command: str) -> str:
    """Return what stands beneath a command's help: its examples, a paragraph each."""
    return "\n\n".join(("Examples:", *EXAMPLES[command]))
