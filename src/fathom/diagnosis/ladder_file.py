"""A ladder in a folder: its log and plans as JSON beside the tables that each row left."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from fathom.diagnosis.case import Case
from fathom.diagnosis.cures import CURES
from fathom.diagnosis.diagnosis import read_evidence
from fathom.diagnosis.evidence import Evidence
from fathom.diagnosis.ladder import Climbed, Step
from fathom.ground.errors import FathomError
from fathom.ground.output import write_json
from fathom.networks.interventions import Plan
from fathom.networks.recipe import Recipe
from fathom.study.nuclei import Nuclei

LADDER = "ladder.json"


@dataclass(frozen=True)
class NextRow:
    """A row that a ladder did not come to: its name, and its changes as params.yaml says them."""

    name: str
    interventions: dict[str, dict[str, Any]]  # on top of the network's own; {}: the row is there


@dataclass(frozen=True)
class Told:
    """What a ladder says beside its verdict: the log, what was spent, what would come next."""

    steps: tuple[Step, ...]
    budget: int
    spent: int
    next_rows: tuple[NextRow, ...]  # in the order of the ladder


def told(climbed: Climbed) -> Told:
    """Return the log of a ladder, and the rows that it did not come to."""
    return Told(climbed.steps, climbed.budget, climbed.spent, _next_rows(climbed))


def _next_rows(climbed: Climbed) -> tuple[NextRow, ...]:
    rows = []
    for trial in climbed.waiting:
        tries = CURES[trial.kind].tries if trial.kind in CURES else {}
        own = trial.intervention in tries
        changes = {trial.intervention: dict(tries[trial.intervention])} if own else {}
        rows.append(NextRow(trial.name, changes))
    return tuple(rows)


def write_climbed(folder: Path, climbed: Climbed) -> None:
    """Write the log and the plans of a ladder's rows beside their tables."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [climbed.case.base, *climbed.case.ladder]
    content = {
        "network": climbed.case.base.name,
        "cures_allowed": climbed.case.cures_allowed,
        "called_for": sorted(climbed.case.called_for),
        "rows": [_in_words(row) for row in rows],
        "told": asdict(told(climbed)),
    }
    write_json(folder / LADDER, content)


def _in_words(row: Evidence) -> dict[str, Any]:
    recipe = row.plan.recipe.model_dump(mode="json")
    whole = len(row.finished)  # its first so many units were trained to the end
    return {"name": row.name, "line": row.plan.line, "recipe": recipe, "whole": whole}


def read_climbed(
    folder: Path, given: Case, nuclei: Nuclei, group: str
) -> tuple[Case, Told, dict[str, pd.DataFrame]]:
    """Read a ladder back: its case, what it says, and the probes of its rows.

    `given` is the case as the rows of params.yaml alone make it; a row that the ladder did not
    train again is taken from there. Raises `FathomError` where the ladder was not climbed.
    """
    file = folder / LADDER
    if not file.is_file():
        raise FathomError(f"{file} is missing: run 'dvc repro ladder' to make it")
    content = json.loads(file.read_text(encoding="utf-8"))
    known = {row.name: row for row in (given.base, *given.ladder)}
    found, probes = {}, {}
    for row in content["rows"]:
        name = row["name"]
        if (folder / name).is_dir():
            plan = Plan(row["line"], Recipe.model_validate(row["recipe"]))
            own = folder / name, nuclei, group, row["whole"]
            found[name], probes[name] = read_evidence(name, plan, *own)
        else:
            found[name] = known[name]
    base = found.pop(content["network"])
    allowed, called_for = content["cures_allowed"], frozenset(content["called_for"])
    ladder = tuple(found.values())
    case = replace(given, base=base, ladder=ladder, cures_allowed=allowed, called_for=called_for)
    said = content["told"]
    steps = tuple(Step(**step) for step in said["steps"])
    rows = tuple(NextRow(**row) for row in said["next_rows"])
    return case, Told(steps, said["budget"], said["spent"], rows), probes
