"""When a slide is left undecided: a band around one half, calibrated on validation groups.

The model calls a share of a slide's nuclei positive. That share errs, and not by chance alone: a
slide that the model mistakes has many mistaken nuclei, so an interval over nuclei is too sure. How
far the share errs is measured where the truth is known, on the groups (patients, slides or images,
as in `split.group`) of the validation parts; test parts have no say.

The error of a group is |share called positive - share that is positive| among its scored nuclei.
The band is their quantile of split conformal prediction: of n groups the ceil((n + 1) c)-th
smallest (Papadopoulos et al. 2002, ECML; Lei et al. 2018, J. Am. Stat. Assoc. 113:1094, theorem 2).
The share of a new group that is like those n then lies within the band of the truth with a
probability of at least c, whatever the distribution. A verdict is given only where share - band and
share + band lie on one side of one half, so that at most 1 - c of all new groups get a wrong one.
Where ceil((n + 1) c) > n, so few groups cannot promise c: there is no band, and no verdict.

What the promise leaves out:

- It is calibrated across models. The final model's validation part has few groups, so those of the
  outer folds' models count as well, as in cross-conformal prediction (Vovk 2015, Ann. Math. Artif.
  Intell. 74:9): exact for the groups of one model, close to it, but not proven, for models that are
  alike. A group counts once: in the first model that has it in its validation part, the final one
  before those of the folds.
- The threshold is chosen anew without the group whose error is measured. The epoch is not: it was
  chosen on the whole part.
- A new slide must be like the study's: another stain, another microscope or a share far from the
  study's void the promise.
- A slide of fewer nuclei than the study's errs by chance on top: the verdict asks the interval over
  nuclei too (`fathom.results.summary`).
"""

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from fathom.ground.errors import FathomError
from fathom.ground.section import Section, Share
from fathom.statistics.metrics import choose_threshold
from fathom.study.nuclei import Nuclei

Group = Literal["image", "slide", "patient"]

# Of a group whose error cannot be measured: no error of a share is larger.
UNKNOWN = 1.0


class Abstention(BaseModel):
    """How far a share may be from the truth, and what says so; kept in the model file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    confidence: Annotated[float, Field(gt=0, lt=1)]
    group: Group  # what the errors were measured on
    groups: Annotated[int, Field(ge=0)]  # how many
    # Half width, in shares; None where `groups` are too few for `confidence`.
    band: Annotated[float, Field(ge=0, le=1)] | None


def calibrate(
    predictions: pd.DataFrame, nuclei: Nuclei, group: Group, confidence: float
) -> Abstention:
    """Calibrate the band on the validation parts of a run.

    Parameters
    ----------
    predictions : of the run, all parts: nucleus, fold, seed, part, probability
    nuclei : of the study, whose labels are the truth
    group : column of its table
    confidence : in (0, 1)
    """
    truth = nuclei.kept.set_index("nucleus")[["positive", group]]
    rows = predictions[predictions["part"] == "validation"].join(truth, on="nucleus")
    errors: dict[str, float] = {}
    # The final model's fold is -1, so it comes first.
    for _, part in rows.groupby(["fold", "seed"], sort=True):
        for name, error in share_errors(part, group).items():
            errors.setdefault(name, error)
    return Abstention(
        confidence=confidence,
        group=group,
        groups=len(errors),
        band=conformal_quantile(list(errors.values()), confidence),
    )


def share_errors(part: pd.DataFrame, group: str) -> dict[str, float]:
    """Return the error of each group's share in one model's validation part.

    `part` holds probability, positive and the column `group`. Where the other groups choose no
    threshold (there are none, or they lack a class) the error is `UNKNOWN`.
    """
    errors = {}
    for name, own in part.groupby(group, sort=True):
        others = part[part[group] != name]
        try:
            threshold = choose_threshold(
                others["probability"].to_numpy(dtype=np.float64),
                others["positive"].to_numpy(dtype=bool),
            )
        except FathomError:
            errors[str(name)] = UNKNOWN
            continue
        called = float((own["probability"] >= threshold).mean())
        errors[str(name)] = abs(called - float(own["positive"].mean()))
    return errors


def conformal_quantile(errors: Sequence[float], confidence: float) -> float | None:
    """Return the ceil((n + 1) confidence)-th smallest error; None where n is too small for it."""
    # Rounded: 30 x 0.9 must not become 28 by the last bit.
    place = math.ceil(round((len(errors) + 1) * confidence, 9))
    return sorted(errors)[place - 1] if place <= len(errors) else None


class AbstentionLevel(Section):
    """How sure the verdict on a new slide must be."""

    key: ClassVar[str] = "abstention"
    confidence: Share
