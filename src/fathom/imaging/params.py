"""From micrographs to crops: the sections `classes`, `segmentation` and `crop` of params.yaml.

The section `segmentation` has two forms, and each demands its own keys only: by threshold or the
data set's masks, and by a network of the user's (`method: onnx`).
"""

import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from fathom.ground.errors import FathomError
from fathom.ground.section import (
    PARAMS_FILE,
    Count,
    NonNegative,
    Percentile,
    Positive,
    Section,
    Share,
    validated,
    value_at,
)

Channel = Annotated[int, Field(ge=0)]


class Classes(Section):
    """The two classes: their names come from the data, this names the positive one."""

    key: ClassVar[str] = "classes"
    positive: str

    @field_validator("positive", mode="before")
    @classmethod
    def _text(cls, value: object) -> object:
        if isinstance(value, bool | int | float):
            raise ValueError(  # noqa: TRY004  pydantic shows the message of a ValueError
                f"YAML reads 0, 1, yes, no, true, false, on and off without quotes as {value!r}, "
                "not as text: put the class' name in quotes, as in positive: 'yes'"
            )
        # The form that tables are read in.
        return unicodedata.normalize("NFC", value) if isinstance(value, str) else value

    def require_positive(self, classes: Iterable[str], dataset: Path) -> None:
        """Raise `FathomError` where the positive class is none of the `classes` of a data set."""
        if self.positive not in (there := sorted(classes)):
            raise FathomError(
                f"params.yaml: classes.positive = {self.positive!r} is not a class of "
                f"{dataset}; its classes are {', '.join(map(repr, there))}"
            )


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
    split_depth: Annotated[float, Field(gt=0, lt=1)]  # nucleus radii, counted in steps of 1/64
    split_brightness: NonNegative
    split_smoothing_diameters: Annotated[float, Field(ge=0, le=1)]
    lobe_diameters: Annotated[float, Field(ge=0, lt=1)]
    outline_share: Annotated[float, Field(ge=0, lt=1)]
    smallest_area_um2: NonNegative
    largest_area_um2: Positive
    smallest_area_share: Annotated[float, Field(ge=0, lt=1)]
    faintest_share: Annotated[float, Field(ge=0, lt=1)]

    @model_validator(mode="after")
    def _areas_in_order(self) -> Self:
        if self.smallest_area_um2 >= self.largest_area_um2:
            raise ValueError("smallest_area_um2 must be below largest_area_um2")
        return self


class NetworkSegmentation(Section):
    """How a network's probability maps become nuclei; docs/own-segmenter.md explains each key."""

    key: ClassVar[str] = "segmentation"
    method: Literal["onnx"]
    stain: Literal["fluorescence", "haematoxylin"]
    network: Annotated[str, Field(min_length=1)]  # path of the ONNX file
    # Of its bytes. DVC compares params: with another network the stage `segment` runs again.
    network_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    planes: Literal["stain", "image"]  # what it is shown: the nuclear stain alone, or all channels
    # `scale_range` and `zero_mean_unit_variance` are bioimage.io's, over the whole image.
    normalisation: Literal["none", "bit_depth", "scale_range", "zero_mean_unit_variance"]
    low_percentile: Percentile  # scale_range: these percentiles become 0 and 1
    high_percentile: Percentile
    window_px: Annotated[int, Field(ge=16)]  # side of what the network sees at once, halo included
    halo_px: Annotated[int, Field(ge=0)]  # on each side of a window, seen but not used
    activation: Literal["none", "sigmoid", "softmax"]  # what makes its output probabilities
    interior_channel: Channel  # of the output: the probability of being inside a nucleus
    boundary_channel: Channel | None  # of being on a nucleus' outline; null: there is none
    threshold: Share  # a nucleus' pixels have at least this probability
    seed_depth_px: Positive  # dent in the distance map that parts two nuclei
    smallest_area_px: Count

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.low_percentile >= self.high_percentile:
            raise ValueError("low_percentile must be below high_percentile")
        if 2 * self.halo_px >= self.window_px:
            raise ValueError("two halo_px must be less than window_px")
        if self.boundary_channel == self.interior_channel:
            raise ValueError("boundary_channel and interior_channel must differ")
        return self


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


_SECTIONS: dict[object, type[Segmentation | NetworkSegmentation]] = {
    "threshold": Segmentation,
    "masks": Segmentation,
    "onnx": NetworkSegmentation,
}


def read_segmentation(file: Path = PARAMS_FILE) -> Segmentation | NetworkSegmentation:
    """Read the section `segmentation`; its `method` says which keys it has."""
    value = value_at(file, Segmentation.key)
    method = value.get("method") if isinstance(value, dict) else None
    if method not in _SECTIONS:
        raise FathomError(
            f"{file}: 'segmentation.method' = {method!r}, but it must be one of "
            f"{', '.join(map(str, _SECTIONS))}"
        )
    return validated(_SECTIONS[method], value, Segmentation.key)
