"""Whether the verdict on the default study hangs on its seeds, or on the ladder's budget.

    python benchmarks/verdict_stability.py [--only NAME ...] [--page]

Each variant changes one thing in params.yaml and runs the stages `train` (where seeds change),
`ladder` and `diagnose` in a folder of its own, on the nuclei, splits and store of cells of this
checkout, which `dvc repro` leaves. Seeds of networks go on from the one of the recipe, so those of
100 and 200 are never used by another variant. What is done is kept in
benchmarks/results/verdict_stability.json, with the commit; `--page` writes the table of
docs/default-study.md from it.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from page_tables import with_table

from fathom.ground.output import write_json
from fathom.ground.processor import processor_name

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "verdict_stability.json"
PAGE = ROOT / "docs" / "default-study.md"
BUDGETS = (22, 45, 90)
SEEDS = (100, 200)
NAMES = (*(f"budget {budget}" for budget in BUDGETS), *(f"seed {seed}" for seed in SEEDS))
NUCLEI, SPLITS, RUNS, LADDER = "data/nuclei", "data/splits", "data/runs", "data/ladder"
SHARED = ("src", "stages", ".cells", NUCLEI, SPLITS, "data/audit", "metrics/texture.json")


def changed(params: dict[str, Any], name: str) -> dict[str, Any]:
    """Change the params as a variant's name says."""
    what, value = name.split()
    if what == "budget":
        params["diagnosis"]["budget"] = int(value)
    else:
        params["recipe"]["seeds"] = [int(value)]
    return params


def write_project(folder: Path, name: str) -> None:
    """Write the variant's params; all else is this checkout's."""
    for shared in (*SHARED, *((RUNS,) if name.startswith("budget") else ())):
        (folder / shared).parent.mkdir(parents=True, exist_ok=True)
        (folder / shared).symlink_to(ROOT / shared)
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    told = yaml.safe_dump(changed(params, name), sort_keys=False)
    (folder / "params.yaml").write_text(told, encoding="utf-8")


def stage(folder: Path, name: str, *words: str) -> None:
    """Run a stage script in a folder."""
    command = [sys.executable, f"stages/{name}.py", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    subprocess.run(command, cwd=folder, env=environment, check=True)


def verdict(folder: Path, name: str) -> dict[str, Any]:
    """Return the one verdict that a variant comes to."""
    write_project(folder, name)
    if not (folder / RUNS).exists():
        runs = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))["runs"]
        for row in runs:
            stage(folder, "train", row, NUCLEI, SPLITS, ".cells", f"{RUNS}/{row}")
    stage(folder, "ladder", NUCLEI, SPLITS, RUNS, ".cells", LADDER)
    texture = "metrics/texture.json"
    metrics = "metrics/diagnosis.json"
    stage(folder, "diagnose", NUCLEI, "data/audit", RUNS, LADDER, texture, "verdicts", metrics)
    written = json.loads((folder / "verdicts" / "verdicts.json").read_text(encoding="utf-8"))
    [found] = written.values()
    return found  # type: ignore[no-any-return]


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """Return what a table says of a verdict."""
    prefix = f"{found['network']}-"
    rungs = {rung["name"].removeprefix(prefix): rung for rung in found["rungs"]}

    def shares(state: str) -> dict[str, str]:
        return {name: share(rung["left"]) for name, rung in rungs.items() if rung["state"] == state}

    return {
        "networks": found["ladder"]["spent"],
        "left": share(found["left"]),
        "left_interval": found["left_interval"],
        "causes": [cause["name"] for cause in found["causes"]],
        "cures": shares("cure"),
        "open": shares("open"),
        "undecided": shares("undecided"),
    }


def share(left: dict[str, int]) -> str:
    return f"{left['left']} of {left['networks']}"


def table(results: dict[str, Any]) -> str:
    """Return a row a variant, as Markdown."""
    heads = ("variant", "networks", "left the plateau", "causes", "cures", "open", "undecided")
    lines = [f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
    for name, one in results["variants"].items():
        low, high = one["left_interval"]
        told = [
            ", ".join(f"{rung} {left}" for rung, left in one[state].items())
            for state in ("cures", "open", "undecided")
        ]
        left = f"{one['left']} [{low:.2f}, {high:.2f}]"
        cells = (name, one["networks"], left, "; ".join(one["causes"]), *told)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main(
    only: Annotated[list[str] | None, typer.Option(help="Names of variants.")] = None,
    page: Annotated[bool, typer.Option("--page", help="Write the table alone.")] = False,
) -> None:
    """Run what is asked for, and write the results and the table."""
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    variants: dict[str, Any] = known.get("variants", {})
    describe = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    commit = subprocess.run(describe, check=True, capture_output=True, text=True).stdout.strip()
    about = {"commit": commit, "processor": processor_name()}
    for name in () if page else only or NAMES:
        with tempfile.TemporaryDirectory() as folder:
            variants[name] = summary(verdict(Path(folder), name)) | about
        ordered = {one: variants[one] for one in NAMES if one in variants}
        write_json(RESULTS, {"variants": ordered})
    text = PAGE.read_text(encoding="utf-8")
    made = table(json.loads(RESULTS.read_text(encoding="utf-8")))
    PAGE.write_text(with_table(text, "verdict_stability", made), encoding="utf-8")
    print(made)


if __name__ == "__main__":
    typer.run(main)
