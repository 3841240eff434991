"""A model file: one ONNX file with the weights and all that scoring a new slide needs; no torch.

Input `crops`: (n, crop_px, crop_px, channels) uint8, the background 0; scaling is part of the
graph. Outputs `logit` and `probability` of the positive class: (n,) float32. The file's
`metadata_props` are the fields of `ModelCard`, each value as JSON.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import onnxruntime
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from fathom.ground.arrays import Floats32
from fathom.ground.errors import FathomError, ModelError, SlideError
from fathom.ground.images import Micrograph
from fathom.ground.section import Positive
from fathom.imaging.params import Crop, NetworkSegmentation, Segmentation
from fathom.imaging.segmenter_network import first_line, open_session
from fathom.models.abstention import Abstention, Group
from fathom.models.best_run import failure
from fathom.study.stored_crops import Crops

# Raised when an older fathom could no longer read the file rightly.
# 2: `abstention`. A file of the format 1 has none: it never gives a verdict.
# 3: the crops' side stands in `crop` alone, no longer as `crop_px` beside it.
FORMAT: Literal[3] = 3
READABLE = (1, 2, FORMAT)
INPUT, LOGIT, PROBABILITY = "crops", "logit", "probability"

# 32 crops of 48 px under 32 filters take 10 MB; larger batches were no faster on a CPU.
BATCH = 32


class ModelCard(BaseModel):
    """What a model file says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal[1, 2, 3]
    fathom_version: str
    run: str
    negative: str
    positive: str
    threshold: Annotated[float, Field(ge=0, le=1)]  # probability >= threshold is positive
    channels: Literal[1, 3]
    um_per_px: Positive | None  # median of the study's images; None where unknown
    segmentation: Annotated[Segmentation | NetworkSegmentation, Field(discriminator="method")]
    crop: Crop
    architecture: str
    # As resolved, with the run's interventions. Scoring does not need it, so it is kept as it was:
    # a model outlives a change of the recipe's keys.
    recipe: dict[str, JsonValue]
    data_sha256: str  # of the study's nuclei, table and crops
    metrics: dict[str, float]  # of the run, on the study's test folds
    abstention: Abstention | None = None  # of the verdict on a slide

    @property
    def group(self) -> Group | None:
        """Return what never stood on both sides of a split; the first files do not say."""
        return self.abstention.group if self.abstention else None

    def require_sound(self, where: Path) -> None:
        """Raise `ModelError` where the network failed in training: its answers mean nothing."""
        if why := failure(self.metrics):
            raise ModelError(
                f"{where}: the network {why}. Take another model; --force (in Python, force=True) "
                "scores with it all the same"
            )

    def properties(self) -> dict[str, str]:
        """Return the card as an ONNX file holds it, every value as JSON."""
        return {
            name: json.dumps(value, sort_keys=True)
            for name, value in self.model_dump(mode="json").items()
        }

    @classmethod
    def from_properties(cls, properties: Mapping[str, str], where: Path) -> Self:
        """Read what `properties` returned; `where` is the model file, for messages."""
        if not {"format", "fathom_version"} <= properties.keys():
            raise ModelError(
                f"{where}: is an ONNX file, but not one of fathom's: its metadata do not say how "
                "nuclei are found and cut. Take a file that the stage 'export' wrote"
            )
        try:
            values = {name: json.loads(text) for name, text in properties.items()}
            if values["format"] not in READABLE:
                raise ModelError(
                    f"{where}: has the format {values['format']} (written by fathom "
                    f"{values['fathom_version']}); this fathom reads the formats "
                    f"{', '.join(map(str, READABLE))}. Update fathom, or export the model again"
                )
            if values["format"] < FORMAT:
                values.pop("crop_px", None)  # once more what `crop` says
            return cls.model_validate_json(json.dumps(values))
        except RecursionError:
            raise ModelError(f"{where}: its metadata are damaged (nested too deep)") from None
        except ValidationError as error:
            faults = "; ".join(
                f"'{'.'.join(map(str, fault['loc']))}': {fault['msg']}" for fault in error.errors()
            )
            raise ModelError(
                f"{where}: its metadata are not what this fathom expects ({faults}). Export the "
                "model again"
            ) from None
        # JSON that is none, or a number of thousands of digits.
        except ValueError as error:
            raise ModelError(f"{where}: its metadata are damaged ({error})") from None


class OnnxModel:
    """A model file that was checked.

    card : what it says of itself
    sha256 : of its bytes
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._session, self.sha256 = _open(path)
        self.card = ModelCard.from_properties(
            self._session.get_modelmeta().custom_metadata_map, path
        )
        side = self.card.crop.crop_px
        expected = [side, side, self.card.channels]
        inputs = self._session.get_inputs()
        names = [put.name for put in (*inputs, *self._session.get_outputs())]
        shape = inputs[0].shape[1:] if inputs else []
        if names != [INPUT, LOGIT, PROBABILITY] or shape != expected:
            raise ModelError(
                f"{path}: its graph is not the one its metadata describe (crops of "
                f"{' x '.join(map(str, expected))} in, logit and probability out). Export it again"
            )
        self._run(np.zeros((2, *expected), np.uint8))  # a graph that cannot be run shows it here

    def check_channels(self, micrograph: Micrograph, path: Path) -> None:
        """Raise `SlideError` where a colour image meets a model of grey ones, or the reverse."""
        channels = 1 if micrograph.ndim == 2 else micrograph.shape[-1]
        if channels != self.card.channels:
            kinds = {1: "grey", 3: "colour (RGB)"}
            raise SlideError(
                f"{path}: is a {kinds[channels]} image; the model {self.path} was trained on "
                f"{kinds[self.card.channels]} ones. Save it as such, or take another model"
            )

    def score(self, crops: Crops) -> tuple[Floats32, Floats32]:
        """Return the logit and the probability of the positive class of each crop.

        `crops` (n, crop_px, crop_px, channels) uint8, n may be 0; both results (n,) float32.
        Raises `FathomError` for crops of another shape.
        """
        side, channels = self.card.crop.crop_px, self.card.channels
        if crops.shape[1:] != (side, side, channels) or crops.dtype != np.uint8:
            raise FathomError(
                f"{self.path}: takes uint8 crops of {side} x {side} px and {channels} channels; "
                f"these are {crops.dtype} and have the shape {crops.shape}"
            )
        empty = np.empty(0, dtype=np.float32)
        batches: list[list[Any]] = [
            self._run(crops[start : start + BATCH]) for start in range(0, len(crops), BATCH)
        ]
        logit, probability = zip([empty, empty], *batches, strict=True)
        return np.concatenate(logit), np.concatenate(probability)

    def _run(self, crops: Crops) -> list[Any]:
        """Return logit and probability, (n,) float32 each, of a batch."""
        try:
            answers: list[Any] = self._session.run([LOGIT, PROBABILITY], {INPUT: crops})
        # ONNX Runtime's exceptions have no base class of their own.
        except Exception as error:
            raise ModelError(
                f"{self.path}: cannot be run ({first_line(error)}). Export it again"
            ) from None
        for answer in answers:
            if answer.shape != (len(crops),) or answer.dtype != np.float32:
                raise ModelError(
                    f"{self.path}: returns {answer.dtype} of the shape {answer.shape} for "
                    f"{len(crops)} crops; a float32 each was expected. Export it again"
                )
        return answers


def _open(path: Path) -> tuple[onnxruntime.InferenceSession, str]:
    if not path.is_file():
        raise ModelError(f"{path}: there is no such model file")
    content = path.read_bytes()
    return open_session(path, content), hashlib.sha256(content).hexdigest()


Colour = tuple[int, int, int]  # red, green, blue, 0..255

# Vermilion, sky blue and yellow of Okabe & Ito 2008: told apart by colour-blind readers, and seen
# on grey, where a grey for what was not scored would be lost.
POSITIVE: Colour = (213, 94, 0)
NEGATIVE: Colour = (86, 180, 233)
NOT_SCORED: Colour = (240, 228, 66)


def class_colours(card: ModelCard) -> Mapping[str, Colour]:
    """Return the colour of each class by its name, the positive one first."""
    return {card.positive: POSITIVE, card.negative: NEGATIVE}
