"""What finds the nuclei of one slide, window by window, once it has seen a sample of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fathom.datasets.modality import GREY_BRIGHT_FIELD, is_grey_bright_field
from fathom.ground.errors import FathomError, SlideError
from fathom.ground.images import Labels, Micrograph
from fathom.imaging.find_nuclei import network_file, segment_by_network
from fathom.imaging.map_instances import nuclei_of_maps
from fathom.imaging.params import NetworkSegmentation, Segmentation
from fathom.imaging.probability_map import InputScale, ProbabilityMap
from fathom.imaging.segmentation import NuclearTraits, measure_traits, reach_px, segment_window
from fathom.imaging.segmenter_network import SegmenterNetwork
from fathom.imaging.window import Window
from fathom.models.onnx_model import ModelCard, OnnxModel
from fathom.slides.overview import overview
from fathom.slides.slide import Slide

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
    crop_px: int

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


def open_segmenter(model: OnnxModel, given: Path | None) -> SegmenterNetwork | None:
    """Return the network that finds the model's nuclei, None where a threshold does.

    `given` is where it lies, in place of beside the model. Raises `FathomError` where the model's
    nuclei cannot be found in a new image, or where `given` is not wanted.
    """
    params = model.card.segmentation
    if params.method == "masks":
        raise FathomError(
            f"{model.path}: was trained on nuclei from label images made elsewhere "
            "(segmentation.method: masks), which a new image does not have. Give them as a data "
            "set (params.yaml: new_slides, docs/new-slides.md), or train with method: threshold"
        )
    if isinstance(params, NetworkSegmentation):
        return SegmenterNetwork(network_file(params, given, model.path.parent), params)
    if given is not None:
        raise FathomError(
            f"{model.path}: finds nuclei by {params.method}, as its study did, and takes no "
            "segmenter: leave out --segmenter"
        )
    return None


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
    return NetworkSegmenter(maps, card.crop_px), [
        segment_by_network(micrograph, network, scale) for micrograph in parts
    ]


def _trained_on_grey_bright_field(card: ModelCard) -> bool:
    return card.segmentation.stain == "haematoxylin" and card.channels == 1
