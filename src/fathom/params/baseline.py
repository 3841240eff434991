"""The statistical classifiers: which there are, and the grids that are searched."""

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import BaseModel, Field

from fathom.ground.section import Count, Positive, Section, Seed, Share

Classifier = Literal["logistic", "svm", "forest"]
CLASSIFIERS: tuple[Classifier, ...] = get_args(Classifier)


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
    logistic: LogisticGrid
    svm: SvmGrid
    forest: ForestGrid
