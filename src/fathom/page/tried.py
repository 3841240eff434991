"""What was tried on a diagnosed network and what was not, told by the plans of the rows.

A cure is told by what a row changes (`fathom.diagnosis.cures`), never by the name somebody gave it.
Only rows that a ladder named itself are looked up by that name.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from fathom.diagnosis.causes import CAUSES
from fathom.diagnosis.cures import CURES, GENERAL, is_control, is_cure, trials
from fathom.diagnosis.ladder import BY_LADDER, CONTROL
from fathom.ground.section import validated
from fathom.networks.interventions import Plan, planned
from fathom.networks.recipe import Recipe
from fathom.page.content import Content


@dataclass(frozen=True)
class Tried:
    """What a verdict rests on: rows, and the kinds of cure that no row was."""

    tests: tuple[str, ...] = ()  # rows that could have refuted the main cause
    untried: tuple[str, ...] = ()  # keys of `CURES`


def tried(content: Content, network: str) -> Tried:
    """Return what was tried on a network of `content.verdicts`.

    Nothing is known of a network whose row is no longer in params.yaml.
    """
    base = plan_of(content, network)
    if base is None:
        return Tried()
    verdict, crop_px = content.verdicts[network], int(content.params["crop"]["crop_px"])
    plans = dict(_plans_of_rungs(content, network, base, crop_px))
    cures = {cause.name: cause.cures for cause in CAUSES}
    proving = cures.get(verdict["causes"][0]["name"], ())
    tests = [
        name
        for name, plan in plans.items()
        if any(is_cure(kind, base, plan, crop_px) for kind in proving)
    ]
    named = [one["name"] for one in (*verdict["causes"], *verdict["suspected"])]
    asked = dict.fromkeys((*GENERAL, *(kind for name in named for kind in cures.get(name, ()))))
    untried = [
        kind
        for kind in asked
        if trials(kind, base, crop_px)
        and not any(is_cure(kind, base, plan, crop_px) for plan in plans.values())
    ]
    return Tried(tuple(tests), tuple(untried))


def _plans_of_rungs(
    content: Content, network: str, base: Plan, crop_px: int
) -> Iterator[tuple[str, Plan]]:
    """Yield the plan of each rung: of a row of params.yaml, or of the ladder's own."""
    own = {
        f"{network}-{name}": plan
        for kind in CURES
        for name, plan in trials(kind, base, crop_px).items()
    }
    for rung in content.verdicts[network]["rungs"]:
        name = rung["name"]
        plan = plan_of(content, name) or own.get(name.removesuffix(BY_LADDER))
        if plan is not None:
            yield name, plan


def plan_of(content: Content, name: str) -> Plan | None:
    """Return the plan of a row of `runs`, None where there is no such row."""
    run = content.runs.get(name)
    if run is None or run.architecture not in content.params["architectures"]:
        return None
    recipe = validated(Recipe, content.params["recipe"], "recipe")
    line = str(content.params["architectures"][run.architecture])
    return planned(run, f"runs.{name}", line, recipe, int(content.params["crop"]["crop_px"]))


def learns_nothing_by_design(content: Content, name: str) -> bool:
    """Whether a row was trained on shuffled labels."""
    if name not in content.runs:
        return name.removesuffix(BY_LADDER).endswith(f"-{CONTROL}")
    plan = plan_of(content, name)
    return plan is not None and is_control(plan)
