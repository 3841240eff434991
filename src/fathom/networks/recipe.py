"""How a network is trained, and how an intervention changes it."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from fathom.ground.errors import FathomError
from fathom.ground.section import (
    Ascending,
    Count,
    NonNegative,
    Positive,
    Section,
    Seed,
    Share,
    validated,
)

Initialisation = Literal["torch", "glorot", "he", "looks-linear", "lsuv"]
Norm = Literal["none", "batch", "group"]
Activation = Literal["relu", "leaky", "tanh", "sigmoid", "none"]

TIMES = "_times"
MULTIPLIED = ("learning_rate", "epochs")  # what `<key>_times: factor` may be said of


class Recipe(Section):
    """How a network is trained; params.yaml says what each key means."""

    key: ClassVar[str] = "recipe"
    optimiser: Literal["rmsprop", "adam", "sgd"]
    learning_rate: Positive
    momentum: Annotated[float, Field(ge=0, lt=1)]
    alpha: Share
    eps: Positive
    weight_decay: NonNegative
    clip_norm: NonNegative
    warmup_epochs: Annotated[int, Field(ge=0)]
    schedule: Literal["constant", "step", "cosine"]
    initialisation: Initialisation
    initial_scale: Positive
    initial_bias: Annotated[float, Field(allow_inf_nan=False)]
    norm: Norm
    activation: Activation
    dropout: Annotated[float, Field(ge=0, lt=1)]
    epochs: Count
    batch_size: Annotated[int, Field(ge=2)]
    input_scale: Literal["unit", "byte"]
    augmentation: bool
    loss_weights: Literal["none", "balanced"]
    training_labels: Literal["own", "shuffled"]
    training_nuclei: Literal["all"] | Share | Annotated[int, Field(ge=4)]
    precision: Literal["float32", "bfloat16"]
    weights: Literal["best", "last"]
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1, strict=False)]

    def changed(self, changes: dict[str, object], where: str) -> Self:
        """Return this recipe with `changes` made; `where` names their place in params.yaml.

        A change is a key with its new value, or `<key>_times` with the factor that the present
        value is multiplied by, so that "a tenth of the learning rate" stays one when the recipe's
        rate changes.
        """
        values = self.model_dump()
        for key, change in changes.items():
            name = key.removesuffix(TIMES)
            if name == key:
                values[key] = change
            else:
                values[name] = self._times(name, change, f"params.yaml: '{where}.{key}'")
        return validated(type(self), values, where)

    def _times(self, name: str, factor: object, where: str) -> float | int:
        if name not in MULTIPLIED:
            raise FathomError(
                f"{where}: only {' and '.join(MULTIPLIED)} can be multiplied with '{TIMES}'"
            )
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not factor > 0:
            raise FathomError(f"{where} = {factor!r}: must be a factor above 0")
        value = getattr(self, name) * factor
        return max(1, round(value)) if name == "epochs" else float(value)


class Probes(Section):
    """What is measured inside a network while it trains, and when (`fathom.training.probes`)."""

    key: ClassVar[str] = "probes"
    crops: Annotated[int, Field(ge=2)]  # of the training part, the same at every epoch
    # Besides the start and the last epoch, which are always probed.
    epochs: Annotated[tuple[Count, ...], Field(strict=False), Ascending]
