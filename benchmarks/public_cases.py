"""Whether the verdict names the cause of strangers' failures: public reports with a confirmed cure.

    python benchmarks/public_cases.py [--only NUMBER ...] [--kept STORE] [--budget 36]
        [--results benchmarks/results/public_cases.json]

The settings are in public_cases.yaml, the rules in `diagnosed_cases`. A case's twin is its network
under the confirmed cure, or without the fault of its data: where the failure does no harm beside
it, it *did not reproduce*, and stands outside of recall. Recall is of the cases that reproduce,
precision of those in which a cause is named. All are on simulated nuclei of seed 0.

The results keep the first run, with its commit, and the last one; the first score is printed beside
each later one. Settings other than those of the first run are refused. `--page` writes the table
of docs/public-cases.md from the results.
"""

import fathom.ground.stage  # noqa: F401  first: it chooses the instruction sets  # isort: skip

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from diagnosed_cases import BUDGET, Case, Setting
from page_tables import with_table
from planted_causes import run
from studied_nuclei import PROJECT, Nuclei

from fathom.diagnosis.verdict import NO_EFFECT, UNEXPLAINED
from fathom.ground.output import write_json
from fathom.training.store import Store

SETTINGS = Path(__file__).with_suffix(".yaml")
RESULTS = Path(__file__).parent / "results" / "public_cases.json"
PAGE = PROJECT / "docs" / "public-cases.md"
SEED = 0
REPRODUCES_NOT = "did not reproduce"
SET_UP_NOT = "cannot be set up"

Row = dict[str, Any]


def read_cases(file: Path = SETTINGS) -> tuple[list[Case], list[Row]]:
    """Return the cases, and a row of the table for each that cannot be set up."""
    told = yaml.safe_load(file.read_text(encoding="utf-8"))
    cases, not_set_up = [], []
    for one in told["cases"]:
        if "cannot" in one:
            row = {"case": str(one["number"]), "network": one["network"], "verdict": one["cannot"]}
            accepted = " | ".join(one["accept"])
            not_set_up.append({**row, "accepted": accepted, "result": SET_UP_NOT})
        else:
            cases.append(_case(one, told))
    return cases, not_set_up


def _case(one: Row, told: Row) -> Case:
    nuclei, line = Nuclei(**told["nuclei"]), told["lines"][one["network"]]
    recipe = {**told["recipe"], **one["recipe"]}
    return Case(
        str(one["number"]),
        tuple(one["accept"]),
        Setting(line, recipe, replace(nuclei, fault=one.get("fault"))),
        Setting(line, {**recipe, **one.get("cure", {})}, nuclei),
        told["lines"][one.get("shallower", "shallow")],
        one["network"],
    )


def scores(rows: list[Row]) -> dict[str, float | int]:
    """Return recall and precision, with their counts."""
    marks = [row["result"] for row in rows]
    counted = [row for row in rows if row["result"] in {"right", "partly", "wrong"}]
    right = marks.count("right")
    silent = {NO_EFFECT, UNEXPLAINED}  # a warning of the audit may be right beside these
    named = [row for row in counted if row["verdict"] not in silent or row["result"] == "right"]
    return {
        "cases": len(rows),
        "reproduce": len(counted),
        "right": right,
        "partly": marks.count("partly"),
        "named": len(named),
        "recall": round(right / len(counted), 3) if counted else 0.0,
        "precision": round(right / len(named), 3) if named else 0.0,
    }


def in_words(title: str, found: dict[str, Any]) -> str:
    """Return a score as a line."""
    one = found["scores"]
    return (
        f"{title} (commit {found['commit']}, budget {found['budget']}): {one['right']} right and "
        f"{one['partly']} partly of {one['reproduce']} that reproduce, of {one['cases']}; recall "
        f"{one['recall']:.2f}, precision {one['precision']:.2f} ({one['named']} named)"
    )


def table(results: Row) -> str:
    """Return both scores, and of the first run a row a case, as Markdown."""
    names = ("first",) if results["first"] == results["last"] else ("first", "last")
    lines = [in_words(f"{name} run", results[name]) + "." for name in names]
    columns = {
        "case": "",
        "network": "network",
        "left": "left the plateau",
        "training": "training",
        "validation": "validation",
        "twin": "twin",
        "verdict": "verdict",
        "result": "result",
        "networks": "networks",
    }
    heads = f"| {' | '.join(columns.values())} |\n{'| --- ' * len(columns)}|"
    rows = [
        f"| {' | '.join(str(row.get(key, '')).replace(' | ', '; ') for key in columns)} |"
        for row in results["first"]["rows"]
    ]
    return "\n\n".join([*lines, "\n".join([heads, *rows])])


def with_first(file: Path, last: dict[str, Any]) -> dict[str, Any]:
    """Return what the results file is to hold: the first run as it was, and the last."""
    if not file.is_file():
        return {"first": last, "last": last}
    return {"first": json.loads(file.read_text(encoding="utf-8"))["first"], "last": last}


def digest() -> str:
    """Return the SHA-256 of the settings."""
    return hashlib.sha256(SETTINGS.read_bytes()).hexdigest()


def refuse_other_settings(file: Path) -> None:
    """End the program where the first run had other settings."""
    if file.is_file():
        first = json.loads(file.read_text(encoding="utf-8"))["first"]
        if first["settings_sha256"] != digest():
            sys.exit(f"{SETTINGS.name} is not the one of the first run: its settings are frozen")


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    found = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def main() -> None:
    """Print one line a case and the scores; a run of all cases is written down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="numbers of cases")
    parser.add_argument("--budget", type=int, default=BUDGET, help="of networks, for the ladder")
    parser.add_argument("--kept", type=Path, help="a store of cells: what it holds is not trained")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", action="store_true", help="write the table of the docs alone")
    arguments = parser.parse_args()
    if arguments.page:
        results = json.loads(arguments.results.read_text(encoding="utf-8"))
        page = with_table(PAGE.read_text(encoding="utf-8"), "public_cases", table(results))
        PAGE.write_text(page, encoding="utf-8")
        return
    refuse_other_settings(arguments.results)
    cases, not_set_up = read_cases()
    asked = [one for one in cases if not arguments.only or one.name in arguments.only]
    commit = _commit()  # before anything is written
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        store = Store(arguments.kept or Path(folder))
        for outcome in run(asked, store, SEED, arguments.budget):
            row = outcome.row()
            if outcome.does_not_count:
                row["result"] = REPRODUCES_NOT
            rows.append(row)
    rows += [] if arguments.only else not_set_up
    last = {
        "commit": commit,
        "budget": arguments.budget,
        "settings_sha256": digest(),
        "scores": scores(rows),
        "rows": rows,
    }
    print(in_words("this run", last))
    if not arguments.only:
        kept = with_first(arguments.results, last)
        write_json(arguments.results, kept)
        print(in_words("first run", kept["first"]))


if __name__ == "__main__":
    main()
