"""The rungs: what one row of params.yaml changes against another, and which cure that is.

A cure is told by what changes in the plan, never by the name somebody gave it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fathom.ground.errors import FathomError
from fathom.networks.architecture import format, parse
from fathom.networks.interventions import Layers, Plan
from fathom.networks.rewrite import unpooled, with_residuals

Changes = frozenset[str]  # keys of the recipe, and "line"


def changes(base: Plan, other: Plan) -> Changes:
    """Return what differs: keys of the recipe, and "line". Seeds are not a difference."""
    before, after = base.recipe.model_dump(), other.recipe.model_dump()
    keys = {key for key in before if before[key] != after[key] and key != "seeds"}
    return frozenset(keys | ({"line"} if base.line != other.line else set()))


def is_control(plan: Plan) -> bool:
    """Whether a plan trains on shuffled labels: nothing can be learned from it."""
    return plan.recipe.training_labels == "shuffled"


def is_smaller_task(base: Plan, plan: Plan) -> bool:
    """Whether a plan trains on fewer nuclei than `base`: its training figures say another thing."""
    return plan.recipe.training_nuclei != base.recipe.training_nuclei


def is_cure(kind: str, base: Plan, other: Plan, crop_px: int) -> bool:
    """Whether the one thing that `other` changes is a cure of this `kind`, a key of `CURES`."""
    cure = CURES[kind]
    changed = changes(base, other)
    return bool(changed) and changed <= cure.keys and cure.helps(base, other, crop_px)


@dataclass(frozen=True)
class Cure:
    """What may change in a plan, and in which direction, to be this cure."""

    keys: frozenset[str]
    helps: Callable[[Plan, Plan, int], bool]


def _any(_base: Plan, _other: Plan, _crop_px: int) -> bool:
    return True


def _lower(key: str) -> Cure:
    def helps(base: Plan, other: Plan, _crop_px: int) -> bool:
        return bool(getattr(other.recipe, key) < getattr(base.recipe, key))

    return Cure(frozenset({key}), helps)


def _higher(key: str) -> Cure:
    def helps(base: Plan, other: Plan, _crop_px: int) -> bool:
        return bool(getattr(other.recipe, key) > getattr(base.recipe, key))

    return Cure(frozenset({key}), helps)


def _skips(base: Plan, other: Plan, _crop_px: int) -> bool:
    return other.line == _rewritten(base, with_residuals)


def _without_pooling(base: Plan, other: Plan, crop_px: int) -> bool:
    return other.line == _rewritten(base, lambda layers: unpooled(layers, crop_px))


def _rewritten(base: Plan, rewrite: Callable[[Layers], Layers]) -> str | None:
    try:
        return format(rewrite(parse(base.line)))
    except FathomError:  # there is nothing to rewrite
        return None


CURES = {
    "another initialisation": Cure(frozenset({"initialisation", "initial_scale"}), _any),
    "a norm": Cure(frozenset({"norm"}), lambda base, _, __: base.recipe.norm == "none"),
    "a lower learning rate": _lower("learning_rate"),
    "a higher learning rate": _higher("learning_rate"),
    "more epochs": _higher("epochs"),
    "less dropout": _lower("dropout"),
    "less weight decay": _lower("weight_decay"),
    "another input scale": Cure(frozenset({"input_scale"}), _any),
    "balanced loss weights": Cure(
        frozenset({"loss_weights"}), lambda _, other, __: other.recipe.loss_weights == "balanced"
    ),
    "skips": Cure(frozenset({"line"}), _skips),
    "less pooling": Cure(frozenset({"line"}), _without_pooling),
}
