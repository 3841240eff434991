"""What finds the nuclei of one slide, window by window, once it has seen a sample of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.ndimage import find_objects
from skimage.segmentation import relabel_sequential

from fathom.datasets.masks import largest_pieces
from fathom.datasets.modality import GREY_BRIGHT_FIELD, is_grey_bright_field
from fathom.ground.errors import FathomError, ModelError, SlideError
from fathom.ground.images import Labels, Micrograph
from fathom.imaging.find_nuclei import network_file, segment_by_network
from fathom.imaging.params import NetworkSegmentation, Segmentation
from fathom.imaging.probability_map import InputScale, ProbabilityMap, nuclei_of_maps
from fathom.imaging.segmentation import NuclearTraits, measure_traits, reach_px, segment_window
from fathom.imaging.segmenter_network import SegmenterNetwork
from fathom.imaging.window import Rectangle, Window
from fathom.models.onnx_model import ModelCard, OnnxModel
from fathom.results.coordinates import PixelGrid
from fathom.slides.slide import Slide, overview

# A nucleus is not wider than that many typical ones are; what is is a fold, dirt or an artefact,
# and a window's margin need not hold it.
LARGEST_DIAMETERS = 5.0

_OVERVIEW_PX = 2000  # a network's input is scaled by a picture of the whole slide, so large at most


class SlideSegmenter(Protocol):
    """Finds the nuclei of one slide."""

    @property
    def reach_px(self) -> int:
        """How far beyond its core a window must be read."""
        ...

    @property
    def largest_px(self) -> float:
        """The width or height from which on what is found is not a nucleus."""
        ...

    def nuclei(self, micrograph: Micrograph, window: Window) -> tuple[Labels, Window]:
        """Find the nuclei around the core of a window, `micrograph` showing its frame.

        Returns labels 0..n, (H, W) int32, and the window whose frame they show. A nucleus that
        reaches into the core, and is narrower than `largest_px`, is the same in every window.
        """
        ...


@dataclass(frozen=True)
class ThresholdSegmenter:
    """Finds nuclei by threshold, `segmentation.method` threshold."""

    traits: NuclearTraits  # of the slide
    params: Segmentation

    @property
    def reach_px(self) -> int:
        """How far the filters look, and how far beyond the core a nucleus can reach."""
        return reach_px(self.traits, self.params)

    @property
    def largest_px(self) -> float:
        """`LARGEST_DIAMETERS` typical nuclei."""
        return LARGEST_DIAMETERS * self.traits.foreground.diameter_px

    def nuclei(self, micrograph: Micrograph, window: Window) -> tuple[Labels, Window]:
        """Find the nuclei by `fathom.imaging.segmentation.segment_window`."""
        return segment_window(micrograph, window, self.traits, self.params)


@dataclass(frozen=True)
class NetworkSegmenter:
    """Finds nuclei by a network of the user's, `segmentation.method` onnx."""

    maps: ProbabilityMap  # of the slide
    crop_px: int  # of the model

    @property
    def reach_px(self) -> int:
        """How far beyond the core a nucleus can reach, and what touches it."""
        return 3 * self.crop_px

    @property
    def largest_px(self) -> float:
        """Twice the crop, in which no such nucleus would fit."""
        return 2.0 * self.crop_px

    def nuclei(self, micrograph: Micrograph, window: Window) -> tuple[Labels, Window]:
        """Part the slide's probability maps; they are read on a grid of their own."""
        del micrograph
        frame = window.frame
        maps = self.maps.region(frame.top, frame.left, frame.height, frame.width)
        return nuclei_of_maps(maps, self.maps.network.params), window


@dataclass(frozen=True)
class MaskSegmenter:
    """Takes nuclei from a label image made elsewhere, `segmentation.method` masks.

    labels : (H, W) int32, 0 = background, of the slide at full resolution, in the file's pixels
    steps : px of it per px of the slide's view, down and across: `PixelGrid.steps`. A pixel of the
        view takes the label under its centre
    widest_px : width or height of the widest nucleus, px of the view
    """

    labels: Labels
    steps: tuple[float, float]
    widest_px: int

    @classmethod
    def of(cls, labels: Labels, slide: Slide) -> "MaskSegmenter":
        """Return that of a slide: of each nucleus the largest piece, as the study takes them.

        Raises `SlideError` where the label image has another size.
        """
        if labels.shape != slide.full_size:
            height, width = slide.full_size
            raise SlideError(
                f"{slide.path}: is {width} x {height} px, and its label image "
                f"{labels.shape[1]} x {labels.shape[0]} px: they must show the same"
            )
        numbered = relabel_sequential(largest_pieces(labels)[0])[0].astype(np.int32)
        boxes = find_objects(numbered)
        steps = PixelGrid.of(slide).steps
        sides = (
            (side.stop - side.start) / step
            for box in boxes
            for side, step in zip(box, steps, strict=True)
        )
        return cls(numbered, steps, math.ceil(max(sides, default=0)))

    @property
    def reach_px(self) -> int:
        """The widest nucleus, and the pixel around it that its focus is measured with."""
        return self.widest_px + 2

    @property
    def largest_px(self) -> float:
        """No limit: what is a nucleus is not decided here."""
        return math.inf

    def nuclei(self, micrograph: Micrograph, window: Window) -> tuple[Labels, Window]:
        """Cut the window's frame from the label image."""
        del micrograph
        return self.part(window.frame), window

    def part(self, part: Rectangle) -> Labels:
        """Return the labels of a part of the view, numbered anew: 0..n."""
        rows = self._under(part.top, part.bottom, 0)
        columns = self._under(part.left, part.right, 1)
        labels: Labels = relabel_sequential(self.labels[np.ix_(rows, columns)])[0]
        return labels.astype(np.int32)

    def touches(self, top: int, left: int, height: int, width: int) -> bool:
        """Tell whether there is a nucleus in a region of the view: nowhere else is looked."""
        return bool(self.part(Rectangle(top, left, top + height, left + width)).any())

    def _under(self, first: int, end: int, axis: int) -> npt.NDArray[np.intp]:
        """Return the label image's pixels under the centres of the view's, along an axis."""
        centres = (np.arange(first, end) + 0.5) * self.steps[axis]
        under: npt.NDArray[np.intp] = np.minimum(
            centres.astype(np.intp), self.labels.shape[axis] - 1
        )
        return under


def open_segmenter(model: OnnxModel, given: Path | None) -> SegmenterNetwork | None:
    """Return the network that finds the model's nuclei, None where a threshold or masks do.

    `given` is where it lies, in place of beside the model. Raises `FathomError` where it cannot be
    used, or is not wanted.
    """
    params = model.card.segmentation
    if isinstance(params, NetworkSegmentation):
        return SegmenterNetwork(network_file(params, given, model.path.parent), params)
    if given is not None:
        raise FathomError(
            f"{model.path}: finds nuclei by {params.method}, as its study did, and takes no "
            "segmenter: leave out --segmenter"
        )
    return None


def require_masks(model: OnnxModel, *, given: bool) -> None:
    """Raise `FathomError` unless label images are given to a model that was trained on such."""
    method = model.card.segmentation.method
    if method == "masks" and not given:
        raise ModelError(
            f"{model.path}: was trained on nuclei from label images made elsewhere "
            "(segmentation.method: masks): give those of the new slides, as --masks FOLDER or in "
            "the folder masks of a data set"
        )
    if given and method != "masks":
        raise FathomError(
            f"{model.path}: finds nuclei by {method}, as its study did, and takes no label images: "
            "leave out --masks"
        )


def measure_segmenter(
    slide: Slide, parts: Sequence[Micrograph], card: ModelCard, network: SegmenterNetwork | None
) -> tuple[SlideSegmenter, list[Labels]] | None:
    """Return what finds the nuclei of a slide, and those of `parts`, a sample of it.

    None where there are no nuclei in the sample. Raises `SlideError` for a slide in whose light a
    threshold would find something else: the model was trained on no such picture.
    """
    if network is None:
        if not _trained_on_grey_bright_field(card) and all(map(is_grey_bright_field, parts)):
            raise SlideError(f"{slide.path}: {GREY_BRIGHT_FIELD}; nothing of it was scored")
        if not isinstance(card.segmentation, Segmentation):
            raise TypeError(f"no network was opened for the method {card.segmentation.method!r}")
        measured = measure_traits(parts, card.segmentation, slide.um_per_px)
        if measured is None:
            return None
        traits, labels = measured
        return ThresholdSegmenter(traits, card.segmentation), labels
    picture, _ = overview(slide, _OVERVIEW_PX)
    scale = InputScale.of(picture, network.params)
    maps = ProbabilityMap(network, slide.read, slide.height, slide.width, scale)
    return NetworkSegmenter(maps, card.crop.crop_px), [
        segment_by_network(micrograph, network, scale) for micrograph in parts
    ]


def _trained_on_grey_bright_field(card: ModelCard) -> bool:
    return card.segmentation.stain == "haematoxylin" and card.channels == 1
