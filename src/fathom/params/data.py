"""From micrographs to nuclei, their features and their splits: the data's sections."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from fathom.ground.section import (
    Ascending,
    Count,
    NonNegative,
    Percentile,
    Positive,
    Section,
    Seed,
    Share,
)


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


class Features(Section):
    """What is measured of a nucleus for the statistical classifiers."""

    key: ClassVar[str] = "features"
    percentiles: Annotated[
        tuple[Annotated[int, Field(ge=0, le=100)], ...], Field(strict=False), Ascending
    ]
    grey_levels: Annotated[int, Field(ge=2, le=255)]
    distances_px: Annotated[tuple[Count, ...], Field(min_length=1, strict=False), Ascending]
