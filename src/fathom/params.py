"""Every number of the pipeline: one frozen class a section of params.yaml.

Values live in params.yaml alone: no class here has a default. Bounds are in the types, units in
the names. An unknown key, a missing one or a value out of bounds is an error that names its key.
"""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self, TypeVar, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from fathom.errors import FathomError

PARAMS_FILE = Path("params.yaml")  # DVC's own name for it, relative to the project's root

Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Share = Annotated[float, Field(gt=0, lt=1)]
Percentile = Annotated[float, Field(ge=0, le=100)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Correlation = Annotated[float, Field(gt=0, le=1)]
Classifier = Literal["logistic", "svm", "forest"]
CLASSIFIERS: tuple[Classifier, ...] = get_args(Classifier)


class Section(BaseModel):
    """A section of params.yaml; `key` is its name there."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    key: ClassVar[str]


class Classes(Section):
    """The two classes: their names come from the data, this names the positive one."""

    key: ClassVar[str] = "classes"
    positive: str


class Segmentation(Section):
    """How nuclei are found in a micrograph; lengths are in typical diameters of its nuclei."""

    key: ClassVar[str] = "segmentation"
    method: Literal["threshold", "masks"]
    stain: Literal["fluorescence", "haematoxylin"]
    first_diameter_share: Share
    background_diameters: Annotated[float, Field(ge=1, le=20)]
    smoothing_diameters: Annotated[float, Field(ge=0, le=1)]
    gamma: Annotated[float, Field(gt=0, le=1)]
    global_threshold: Positive
    local_threshold: NonNegative
    local_mean_diameters: Annotated[float, Field(gt=0, le=20)]
    least_contrast: NonNegative
    opening_diameters: Annotated[float, Field(ge=0, lt=1)]
    split_depth: Annotated[float, Field(gt=0, lt=1)]
    split_brightness: NonNegative
    split_smoothing_diameters: Annotated[float, Field(ge=0, le=1)]
    outline_share: Annotated[float, Field(ge=0, lt=1)]
    smallest_area_share: Annotated[float, Field(ge=0, lt=1)]
    faintest_share: Annotated[float, Field(ge=0, lt=1)]


class Crop(Section):
    """How a nucleus becomes a square picture."""

    key: ClassVar[str] = "crop"
    crop_px: Annotated[int, Field(ge=8, le=512)]
    # `nucleus` stretches each nucleus to [0, 255] and so destroys absolute stain density: a bright
    # and a dim nucleus of the same texture become the same crop.
    normalisation: Literal["none", "slide", "nucleus"]
    low_percentile: Percentile
    high_percentile: Percentile

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low_percentile >= self.high_percentile:
            raise ValueError("crop.low_percentile must be below crop.high_percentile")
        return self


class Split(Section):
    """How nuclei are divided into outer folds and an inner validation part."""

    key: ClassVar[str] = "split"
    group: Literal["image", "slide", "patient"]
    folds: Annotated[int, Field(ge=2)]
    validation_share: Share
    seed: Seed


class Audit(Section):
    """What the audit looks for, what of it stops the pipeline, and what is known and accepted."""

    key: ClassVar[str] = "audit"
    # Names of `fathom.audit.checks`, which sees to it that each stands in one of them.
    errors: Annotated[tuple[str, ...], Field(strict=False)]
    warnings: Annotated[tuple[str, ...], Field(strict=False)]
    # `check:where` as the table of findings names it, and the reason.
    waivers: dict[str, Annotated[str, Field(min_length=1)]]
    seed: Seed
    image_correlation: Correlation
    nucleus_correlation: Correlation
    nucleus_z: Positive
    least_contrast: Positive
    white_share: Share
    black_share: Share
    range_bits: Positive
    blur_z: Positive
    blur_ratio: Share
    saturated_share: Share
    saturated_nuclei: Share
    blurred_share: Share
    told_margin: Annotated[float, Field(gt=0, lt=0.5)]
    told_correlation: Correlation
    chance: Share


def _ascending(values: tuple[int, ...]) -> tuple[int, ...]:
    if list(values) != sorted(set(values)):
        raise ValueError("must ascend, each value once")
    return values


Ascending = AfterValidator(_ascending)


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
    logistic: LogisticGrid
    svm: SvmGrid
    forest: ForestGrid


class Run(Section):
    """A row of `runs`, `experiments` or `study`: one architecture and named changes, in order.

    `fathom.training.interventions` makes the changes.
    """

    key: ClassVar[str] = "runs"
    architecture: str
    interventions: dict[str, dict[str, object]]


class Comparison(Section):
    """How runs are compared."""

    key: ClassVar[str] = "comparison"
    resamples: Annotated[int, Field(ge=100)]
    confidence: Share
    seed: Seed
    baseline: Classifier


Table = Literal["runs", "experiments", "study"]
S = TypeVar("S", bound=Section)


def read_section(section: type[S], file: Path = PARAMS_FILE) -> S:
    """Read one section of params.yaml; a stage can read only the sections it names."""
    return validated(section, _value(file, section.key), section.key)


def read_runs(file: Path = PARAMS_FILE) -> dict[str, Run]:
    """Read the networks that are compared and exported, in the order of the file."""
    return _read_rows("runs", file)


def read_experiments(file: Path = PARAMS_FILE) -> dict[str, Run]:
    """Read the quick study's interventions, which are trained to find causes, never exported."""
    return _read_rows("experiments", file)


def read_study(file: Path = PARAMS_FILE) -> dict[str, Run]:
    """Read the full study's networks and interventions: hours of training, never exported."""
    return _read_rows("study", file)


def read_row(table: Table, name: str, file: Path = PARAMS_FILE) -> tuple[Run, str]:
    """Read the row called `name` of `table`, and its architecture's line."""
    run = validated(Run, _value(file, table, name), f"{table}.{name}")
    line = _value(file, "architectures", run.architecture)
    if not isinstance(line, str):
        raise FathomError(
            f"{file}: 'architectures.{run.architecture}' must be one line of text, not {line!r}"
        )
    return run, line


def _read_rows(table: Table, file: Path) -> dict[str, Run]:
    rows = _value(file, table)
    if not isinstance(rows, dict) or not rows:
        raise FathomError(f"params.yaml: '{table}' must list at least one run, not {rows!r}")
    return {str(name): validated(Run, row, f"{table}.{name}") for name, row in rows.items()}


def read_architectures(file: Path = PARAMS_FILE) -> dict[str, str]:
    """Read the lines of all architectures, by name."""
    lines = _value(file, "architectures")
    if not isinstance(lines, dict) or not all(isinstance(line, str) for line in lines.values()):
        raise FathomError(f"{file}: 'architectures' must give each name one line of text")
    return {str(name): line for name, line in lines.items()}


def _value(file: Path, *keys: str) -> object:
    """Return the value under `keys`, or say which key is missing and which there are."""
    try:
        value: object = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FathomError(f"{file} is missing: run this in the project's folder") from None
    except yaml.YAMLError as error:
        raise FathomError(f"{file} is not valid YAML: {error}") from None
    for depth, key in enumerate(keys):
        if not isinstance(value, dict) or key not in value:
            there = ", ".join(map(str, value)) if isinstance(value, dict) else repr(value)
            path = ".".join(keys[: depth + 1])
            raise FathomError(f"{file}: '{path}' is missing; there is only: {there}")
        value = value[key]
    return value


def validated(section: type[S], value: object, where: str) -> S:
    try:
        return section.model_validate(value)
    except ValidationError as error:
        faults = "; ".join(
            f"'{'.'.join([where, *map(str, fault['loc'])])}' = {fault['input']!r}: {fault['msg']}"
            for fault in error.errors()
        )
        raise FathomError(f"params.yaml: {faults}") from None
