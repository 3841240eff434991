"""The description of a model package: bioimageio.yaml, bioimage.io's model format 0.5.

Written as plain text from the model file's card; bioimage.io's own validator reads it in the tests.
"""

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

import yaml
from pydantic import BaseModel, Field, model_validator

from fathom.ground.section import Section
from fathom.models.onnx_model import INPUT, LOGIT, PROBABILITY, ModelCard

FORMAT_VERSION = "0.5.12"  # of the specification, the one bioimageio.core 0.11 pins
DESCRIPTION = "bioimageio.yaml"  # the name every reader looks for
WEIGHTS, DOCUMENT, COVER = "model.onnx", "README.md", "cover.png"
TENSORS = {name: f"{name}.npy" for name in (INPUT, LOGIT, PROBABILITY)}

_LONGEST_NAME = 64
_MODALITIES = {
    "fluorescence": "fluorescence-light-microscopy",
    "haematoxylin": "transmission-light-microscopy",
}

Text = Annotated[str, Field(min_length=1)]


class Citation(BaseModel):
    """A work to cite; bioimage.io wants its DOI or its address."""

    model_config = Section.model_config
    text: Text
    doi: Annotated[str, Field(pattern=r"^10\.[0-9]{4,}.*/.+$")] | None = None
    url: Annotated[str, Field(pattern=r"^https?://[^ ]+$")] | None = None

    @model_validator(mode="after")
    def _found_somewhere(self) -> Self:
        if self.doi is None and self.url is None:
            raise ValueError("a citation needs a doi or a url")
        return self


class Package(Section):
    """Licence, authors and citations of a packaged model, and its test crops."""

    key: ClassVar[str] = "package"
    licence: Text  # of the model, by its SPDX identifier: MIT, CC-BY-4.0
    # A slash would make an author a path, for bioimage.io.
    authors: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[^/\\]+$")], ...], Field(min_length=1, strict=False)
    ]
    citations: Annotated[tuple[Citation, ...], Field(strict=False)]
    # `study` puts crops of the study's nuclei into the package: of patients, where it has patients.
    test_crops: Literal["simulated", "study"]


Yaml = dict[str, object]


def description(card: ModelCard, package: Package, opset: int, sha256: Mapping[str, str]) -> Yaml:
    """Return what bioimageio.yaml says, in its order.

    Parameters
    ----------
    card : of the model file
    package : licence, authors, citations
    opset : version of ONNX's operators in the model file
    sha256 : of each file of the package, by name
    """

    def file(name: str) -> Yaml:
        return {"source": name, "sha256": sha256[name]}

    return {
        "format_version": FORMAT_VERSION,
        "type": "model",
        "name": package_name(card),
        "description": (
            f"Scores single nuclei, cut out with the background at 0: the probability of "
            f"'{card.positive}', the other class being '{card.negative}'."
        ),
        "authors": [{"name": author} for author in package.authors],
        "license": package.licence,
        "cite": [_cited(citation) for citation in package.citations],
        "tags": [
            "nuclei",
            "2d",
            "image-classification",
            "pytorch",
            _MODALITIES[card.segmentation.stain],
        ],
        "documentation": file(DOCUMENT),
        "covers": [file(COVER)],
        "inputs": [_crops(card) | {"test_tensor": file(TENSORS[INPUT])}],
        "outputs": [
            _score(name, *says) | {"test_tensor": file(TENSORS[name])}
            for name, says in _scores(card).items()
        ],
        "weights": {"onnx": file(WEIGHTS) | {"opset_version": opset}},
        "config": {"fathom": _preparation(card)},
    }


def yaml_text(content: Yaml) -> str:
    """Return a description as the text of bioimageio.yaml."""
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def package_name(card: ModelCard) -> str:
    """Return the package's name, of the characters that bioimage.io allows."""
    name = re.sub(r"[^A-Za-z0-9_+\-() ]+", "-", f"{card.positive} or {card.negative} nuclei")
    return f"{name[: _LONGEST_NAME - len(card.run) - 3]} ({card.run})"[:_LONGEST_NAME]


def _cited(citation: Citation) -> Yaml:
    return citation.model_dump(exclude_none=True)


def _crops(card: ModelCard) -> Yaml:
    names = ["intensity"] if card.channels == 1 else ["red", "green", "blue"]
    scale: Yaml = {}
    if card.um_per_px is not None:
        scale = {"unit": "micrometer", "scale": card.um_per_px}
    return {
        "id": INPUT,
        "description": "One nucleus a crop, the background 0, scaled as config.fathom says",
        "axes": [
            {"type": "batch"},
            {"type": "space", "id": "y", "size": card.crop.crop_px} | scale,
            {"type": "space", "id": "x", "size": card.crop.crop_px} | scale,
            {"type": "channel", "channel_names": names},
        ],
        "data": {"type": "uint8", "range": [0, 255]},
        "preprocessing": [{"id": "ensure_dtype", "kwargs": {"dtype": "uint8"}}],
    }


def _scores(card: ModelCard) -> dict[str, tuple[str, list[float | None]]]:
    called = f"{card.threshold:.4f} and above means positive"
    return {
        LOGIT: ("Log odds of the positive class", [None, None]),
        PROBABILITY: (f"Of the positive class; {called}", [0.0, 1.0]),
    }


def _score(name: str, text: str, bounds: list[float | None]) -> Yaml:
    return {
        "id": name,
        "description": text,
        "axes": [{"type": "batch"}],
        "data": {"type": "float32", "range": bounds},
    }


def _preparation(card: ModelCard) -> Yaml:
    """Return what a program needs to make crops, and to read the scores."""
    fields = {"negative", "positive", "threshold", "channels", "um_per_px"}
    fields |= {"segmentation", "crop", "abstention", "data_sha256", "fathom_version"}
    return card.model_dump(mode="json", include=fields)
