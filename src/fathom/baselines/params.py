"""What is measured of a nucleus, and the grids that are searched for each classifier."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, Field

from fathom.ground.section import Ascending, Count, Positive, Section, Seed, Share


class Features(Section):
    """What is measured of a nucleus for the statistical classifiers."""

    key: ClassVar[str] = "features"
    percentiles: Annotated[
        tuple[Annotated[int, Field(ge=0, le=100)], ...], Field(strict=False), Ascending
    ]
    grey_levels: Annotated[int, Field(ge=2, le=255)]
    distances_px: Annotated[tuple[Count, ...], Field(min_length=1, strict=False), Ascending]


class Grid(BaseModel):
    """The values tried of each hyperparameter, under scikit-learn's names: all combinations."""

    model_config = Section.model_config


class LogisticGrid(Grid):
    """Logistic regression: C is the inverse of the L2 penalty."""

    C: Annotated[tuple[Positive, ...], Field(min_length=1, strict=False)]


class SvmGrid(Grid):
    """SVM with a Gaussian kernel; the larger gamma, the narrower the kernel."""

    C: Annotated[tuple[Positive, ...], Field(min_length=1, strict=False)]
    gamma: Annotated[tuple[Positive, ...], Field(min_length=1, strict=False)]


class ForestGrid(Grid):
    """Random forest; `max_features` is the share of the features a node may choose from."""

    n_estimators: Annotated[tuple[Count, ...], Field(min_length=1, strict=False)]
    max_features: Annotated[tuple[Share, ...], Field(min_length=1, strict=False)]
    min_samples_leaf: Annotated[tuple[Count, ...], Field(min_length=1, strict=False)]


class Baseline(Section):
    """The statistical classifiers: grids that are searched on the inner part only."""

    key: ClassVar[str] = "baseline"
    seed: Seed
    # An SVM's time grows with the square of the nuclei, a forest's memory with their number.
    most_nuclei: Count
    logistic: LogisticGrid
    svm: SvmGrid
    forest: ForestGrid
