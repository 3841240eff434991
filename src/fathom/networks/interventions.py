"""Interventions: named changes of a recipe or of an architecture, made one after the other.

A change is a key of the recipe with its new value (`fathom.networks.recipe.Recipe.changed`), or one
of `REWRITES`, which rewrite the architecture's line.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fathom.ground.errors import FathomError
from fathom.networks.architecture import format, parse
from fathom.networks.layers import Layer
from fathom.networks.recipe import Recipe
from fathom.networks.rewrite import unpooled, widened, with_residuals
from fathom.study.rows import Run

Layers = tuple[Layer, ...]


@dataclass(frozen=True)
class Plan:
    """What is trained: an architecture's line and a recipe."""

    line: str
    recipe: Recipe


def planned(row: Run, name: str, line: str, recipe: Recipe, crop_px: int) -> Plan:
    """Return the plan of a row of params.yaml: `line` and `recipe` with the row's interventions.

    Raises `FathomError` naming the intervention and key that cannot be carried out.
    """
    for intervention, changes in row.interventions.items():
        where = f"{name}.interventions.{intervention}"
        rewrites = {key: value for key, value in changes.items() if key in REWRITES}
        others = {key: value for key, value in changes.items() if key not in REWRITES}
        for key, value in rewrites.items():
            try:
                line = format(REWRITES[key](parse(line), value, crop_px))
            except FathomError as error:
                raise FathomError(f"params.yaml: '{where}.{key}' = {value!r}: {error}") from None
        recipe = recipe.changed(others, where)
    return Plan(line, recipe)


def planned_table(
    table: str, rows: Mapping[str, Run], lines: Mapping[str, str], recipe: Recipe, crop_px: int
) -> dict[str, Plan]:
    """Return the plan of each row of a table of params.yaml, by name in order.

    Raises `FathomError` for the first row that names no architecture of `lines`, or one whose line
    cannot be read, or an intervention that cannot be carried out.
    """
    plans = {}
    for name, row in rows.items():
        if row.architecture not in lines:
            raise FathomError(
                f"params.yaml: '{table}.{name}' has the architecture {row.architecture!r}; "
                f"'architectures' has only: {', '.join(lines)}"
            )
        line = lines[row.architecture]
        plans[name] = planned(row, f"{table}.{name}", line, recipe, crop_px)
        parse(plans[name].line)
    return plans


def _residual(layers: Layers, value: object, _: int) -> Layers:
    _require_true(value)
    return with_residuals(layers)


def _widened(layers: Layers, value: object, _: int) -> Layers:
    if isinstance(value, bool) or not isinstance(value, int) or value < 2:
        raise FathomError("must be a whole number from 2")
    return widened(layers, value)


def _unpooled(layers: Layers, value: object, crop_px: int) -> Layers:
    _require_true(value)
    return unpooled(layers, crop_px)


def _require_true(value: object) -> None:
    if value is not True:
        raise FathomError("must be true: leave the key out where it is not wanted")


REWRITES: dict[str, Callable[[Layers, object, int], Layers]] = {
    "residual": _residual,  # a skip around each pair of neighbouring convolutions of one width
    "width_times": _widened,  # filters and dense units times this
    "unpooled": _unpooled,  # without the pooling that leaves maps smaller than the next kernel
}
