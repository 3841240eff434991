"""The way from a micrograph to its nuclei that params name: by threshold, or by a network."""

from pathlib import Path
from typing import Protocol

from fathom.ground.images import Labels, Micrograph
from fathom.imaging.params import NetworkSegmentation, Segmentation
from fathom.imaging.probability_map import InputScale, ProbabilityMap, nuclei_of_maps
from fathom.imaging.segmentation import segment
from fathom.imaging.segmenter_network import SegmenterNetwork


class FindNuclei(Protocol):
    """Finds the nuclei of a micrograph, (H, W) or (H, W, 3): 0 = background, nuclei 1..n."""

    def __call__(self, micrograph: Micrograph, um_per_px: float | None = None) -> Labels:
        """Return (H, W) int32; the resolution is None or NaN where it is unknown."""
        ...


def finder(params: Segmentation | NetworkSegmentation) -> FindNuclei:
    """Return the function that finds the nuclei of a micrograph, (H, W) or (H, W, 3).

    Raises `FathomError` where the network that params name cannot be used.
    """
    if isinstance(params, Segmentation):
        return lambda micrograph, um_per_px=None: segment(micrograph, params, um_per_px)
    network = SegmenterNetwork(Path(params.network), params)

    def find(micrograph: Micrograph, um_per_px: float | None = None) -> Labels:
        del um_per_px  # a network was trained at one resolution, and knows sizes in px
        return segment_by_network(micrograph, network)

    return find


def network_file(params: NetworkSegmentation, given: Path | None, beside: Path | None) -> Path:
    """Return where the network lies: as `given`, or in the folder `beside`, or where params say.

    A model file does not hold it: it is another's work, under its own licence, and can be many
    times as large. It travels beside the model, by the name it had, and its hash is checked.
    """
    if given is not None:
        return given
    if beside is not None and (neighbour := beside / Path(params.network).name).is_file():
        return neighbour
    return Path(params.network)


def segment_by_network(
    micrograph: Micrograph, network: SegmenterNetwork, scale: InputScale | None = None
) -> Labels:
    """Find the nuclei of a micrograph in memory: (H, W) int32, 0 = background, 1..n.

    `scale` is that of the slide it is a part of; None where it is an image of its own.
    """
    height, width = micrograph.shape[:2]

    def read(top: int, left: int, rows: int, columns: int) -> Micrograph:
        return micrograph[top : top + rows, left : left + columns]

    scale = scale or InputScale.of(micrograph, network.params)
    maps = ProbabilityMap(network, read, height, width, scale).region(0, 0, height, width)
    return nuclei_of_maps(maps, network.params)
