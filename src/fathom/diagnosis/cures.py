"""Cures: what one row of params.yaml changes against another, which cure that is, what to try.

A cure is told by what changes in the plan, never by the name somebody gave it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf

from fathom.ground.errors import FathomError
from fathom.networks.architecture import format, parse
from fathom.networks.interventions import Layers, Plan, planned
from fathom.networks.rewrite import unpooled, with_residuals
from fathom.study.rows import Run

Changes = frozenset[str]  # keys of the recipe, and "line"
Intervention = Mapping[str, object]

# A lower rate is given proportionally more epochs, but no more than so many times.
MOST_EPOCHS_TIMES = 3


def changes(base: Plan, other: Plan) -> Changes:
    """Return what differs: keys of the recipe, and "line". Seeds are not a difference."""
    before, after = base.recipe.model_dump(), other.recipe.model_dump()
    keys = {key for key in before if before[key] != after[key] and key != "seeds"}
    return frozenset(keys | ({"line"} if base.line != other.line else set()))


def is_control(plan: Plan) -> bool:
    """Whether a plan trains on shuffled labels: nothing can be learned from it."""
    return plan.recipe.training_labels == "shuffled"


def is_comparable(base: Plan, plan: Plan) -> bool:
    """Whether a plan can be a cure: it trains on true labels, and on as many nuclei as `base`.

    On fewer nuclei, training figures say another thing.
    """
    return not is_control(plan) and plan.recipe.training_nuclei == base.recipe.training_nuclei


def is_cure(kind: str, base: Plan, other: Plan, crop_px: int) -> bool:
    """Whether the one thing that `other` changes is a cure of this `kind`, a key of `CURES`."""
    cure = CURES[kind]
    changed = changes(base, other)
    return bool(changed) and changed <= cure.keys and cure.helps(base, other, crop_px)


def trials(kind: str, base: Plan, crop_px: int) -> dict[str, Plan]:
    """Return what the ladder tries as a cure of this `kind`, by the intervention's name, in order.

    Without what would change nothing, or cannot be done to this network.
    """
    found = {}
    for name, intervention in CURES[kind].tries.items():
        row = Run(architecture="", interventions={name: dict(intervention)})
        try:
            plan = planned(row, name, base.line, base.recipe, crop_px)
        except FathomError:  # there is nothing to rewrite
            continue
        if is_cure(kind, base, plan, crop_px):
            found[name] = plan
    return found


@dataclass(frozen=True)
class Cure:
    """What may change in a plan, in which direction, to be this cure; and what the ladder tries."""

    keys: frozenset[str]
    helps: Callable[[Plan, Plan, int], bool]
    tries: Mapping[str, Intervention] = field(default_factory=dict)  # by name


def _keeps_units_alive(base: Plan, other: Plan, _crop_px: int) -> bool:
    """Whether units pass what they get, and no leaky one is made a unit that can die."""
    return other.recipe.activation in {"relu", "leaky"} and base.recipe.activation != "leaky"


def _any(_base: Plan, _other: Plan, _crop_px: int) -> bool:
    return True


def _lower(key: str, tries: Mapping[str, Intervention]) -> Cure:
    def helps(base: Plan, other: Plan, _crop_px: int) -> bool:
        return bool(getattr(other.recipe, key) < getattr(base.recipe, key))

    return Cure(frozenset({key}), helps, tries)


def _higher(key: str, tries: Mapping[str, Intervention]) -> Cure:
    def helps(base: Plan, other: Plan, _crop_px: int) -> bool:
        return bool(getattr(other.recipe, key) > getattr(base.recipe, key))

    return Cure(frozenset({key}), helps, tries)


def _lower_rate(base: Plan, other: Plan, _crop_px: int) -> bool:
    before, after = base.recipe, other.recipe
    return after.learning_rate < before.learning_rate and after.epochs >= before.epochs


def _larger_batch(base: Plan, other: Plan, _crop_px: int) -> bool:
    before, after = base.recipe, other.recipe  # an epoch has fewer steps then
    return after.batch_size > before.batch_size and after.epochs >= before.epochs


def _larger_eps(base: Plan, other: Plan, _crop_px: int) -> bool:
    return base.recipe.optimiser != "sgd" and other.recipe.eps > base.recipe.eps  # SGD has none


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
    "another initialisation": Cure(
        frozenset({"initialisation", "initial_scale"}),
        _any,
        {
            "he-init": {"initialisation": "he", "initial_scale": 1.0},
            "lsuv": {"initialisation": "lsuv", "initial_scale": 1.0},
        },
    ),
    "a norm": Cure(
        frozenset({"norm"}),
        lambda base, _, __: base.recipe.norm == "none",
        {"batchnorm": {"norm": "batch"}},
    ),
    "a lower learning rate": Cure(
        frozenset({"learning_rate", "epochs"}),
        _lower_rate,
        {
            "rate-tenth-long": {"learning_rate_times": 0.1, "epochs_times": MOST_EPOCHS_TIMES},
            "rate-hundredth-long": {"learning_rate_times": 0.01, "epochs_times": MOST_EPOCHS_TIMES},
        },
    ),
    "a higher learning rate": _higher(
        "learning_rate",
        {
            "rate-tenfold": {"learning_rate_times": 10},
            "rate-hundredfold": {"learning_rate_times": 100},
        },
    ),
    "more epochs": _higher("epochs", {"long": {"epochs_times": MOST_EPOCHS_TIMES}}),
    "less dropout": _lower("dropout", {"no-dropout": {"dropout": 0.0}}),
    "less weight decay": _lower("weight_decay", {"no-weight-decay": {"weight_decay": 0.0}}),
    "another input scale": Cure(
        frozenset({"input_scale"}), _any, {"unit-input": {"input_scale": "unit"}}
    ),
    "balanced loss weights": Cure(
        frozenset({"loss_weights"}),
        lambda _, other, __: other.recipe.loss_weights == "balanced",
        {"balanced-loss": {"loss_weights": "balanced"}},
    ),
    "skips": Cure(frozenset({"line"}), _skips, {"residual": {"residual": True}}),
    "less pooling": Cure(frozenset({"line"}), _without_pooling, {"unpooled": {"unpooled": True}}),
    "another activation": Cure(
        frozenset({"activation"}),
        _keeps_units_alive,
        {"relu-units": {"activation": "relu"}, "leaky-units": {"activation": "leaky"}},
    ),
    "warm-up": _higher("warmup_epochs", {"warm-up": {"warmup_epochs": 5}}),
    "clipping": Cure(
        frozenset({"clip_norm"}),
        lambda base, other, _: 0 < other.recipe.clip_norm < (base.recipe.clip_norm or inf),
        {"clipped": {"clip_norm": 1.0}},
    ),
    "a larger eps": Cure(frozenset({"eps"}), _larger_eps, {"large-eps": {"eps": 0.001}}),
    "a larger batch": Cure(
        frozenset({"batch_size", "epochs"}),
        _larger_batch,
        {"batch-64-long": {"batch_size": 64, "epochs_times": MOST_EPOCHS_TIMES}},
    ),
    "a constant rate": Cure(
        frozenset({"schedule"}),
        lambda _, other, __: other.recipe.schedule == "constant",
        {"constant-rate": {"schedule": "constant"}},
    ),
    "no initial bias": Cure(
        frozenset({"initial_bias"}),
        lambda _, other, __: other.recipe.initial_bias == 0,
        {"no-initial-bias": {"initial_bias": 0.0}},
    ),
}

# What is tried where no finding suggests more, in this order.
GENERAL = (
    "a norm",
    "another initialisation",
    "a lower learning rate",
    "skips",
    "less dropout",
    "more epochs",
    "less weight decay",
)
