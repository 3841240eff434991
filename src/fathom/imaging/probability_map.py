"""The probability maps of a whole slide, read and computed by region, and the nuclei in them.

The network is always run on the same windows: squares of `window_px` on one grid, which starts at
the slide's corner, each used without its halo. So a pixel's probability depends on the slide alone,
not on the region that was asked for, whatever the network's steps and padding.

From maps to nuclei it is a threshold, seeds, and a watershed between them. Every length is in px
and every rule is local: what becomes of a nucleus hangs on the map around it, not on how much of
the slide is looked at.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import ndimage
from skimage.measure import label as label_pieces
from skimage.morphology import local_maxima, reconstruction, remove_small_holes
from skimage.segmentation import relabel_sequential, watershed

from fathom.ground.errors import SlideError
from fathom.ground.images import Labels, Micrograph
from fathom.imaging.params import NetworkSegmentation
from fathom.imaging.segmenter_network import Maps, Planes, SegmenterNetwork
from fathom.imaging.stain import Plane, nuclear_stain

# Of (top, left, height, width), px, wholly inside the slide: `fathom.slides.slide.Slide.read`.
Read = Callable[[int, int, int, int], Micrograph]

_EPSILON = 1e-6  # bioimage.io's: an even picture is 0, not a division by 0

_STEPS = 16  # of the distance map a px, so that equal heights are equal


@dataclass(frozen=True)
class InputScale:
    """What becomes 0 and 1 in the network's input: one pair a slide, of all channels together."""

    zero: float
    unit: float

    @classmethod
    def of(cls, micrograph: Micrograph, params: NetworkSegmentation) -> Self:
        """Return the scale of a slide from its pixels, or from a smaller picture of all of it."""
        planes = input_planes(micrograph, params).astype(np.float64)
        match params.normalisation:
            case "none":
                return cls(0.0, 1.0)
            case "bit_depth":
                # A stain plane has left its bit depth behind: white is 1 there.
                white = 1.0 if params.planes == "stain" else np.iinfo(micrograph.dtype).max
                return cls(0.0, float(white))
            case "scale_range":
                low, high = np.percentile(planes, (params.low_percentile, params.high_percentile))
                return cls(float(low), float(high - low + _EPSILON))
            case "zero_mean_unit_variance":
                return cls(float(planes.mean()), float(planes.std() + _EPSILON))

    def apply(self, planes: Planes) -> Planes:
        """Return (channels, y, x) as the network takes it."""
        scaled: Planes = (planes - np.float32(self.zero)) / np.float32(self.unit)
        return scaled


def input_planes(micrograph: Micrograph, params: NetworkSegmentation) -> Planes:
    """Return what the network is shown of (H, W) or (H, W, 3), unscaled: (channels, H, W)."""
    if params.planes == "stain":
        return nuclear_stain(micrograph, params.stain)[np.newaxis]
    channels_last = micrograph[..., np.newaxis] if micrograph.ndim == 2 else micrograph
    return np.ascontiguousarray(np.moveaxis(channels_last, -1, 0), dtype=np.float32)


class ProbabilityMap:
    """The maps of one slide of `height` x `width` px; any region of them, the same numbers."""

    def __init__(
        self, network: SegmenterNetwork, read: Read, height: int, width: int, scale: InputScale
    ) -> None:
        self.network = network
        self.height, self.width = height, width
        self._read = read
        self._scale = scale

    def region(self, top: int, left: int, height: int, width: int) -> Maps:
        """Return the maps of a region inside the slide, (maps, height, width) float32.

        `maps` are all that the network returns, in its order.
        """
        step = self.network.params.window_px - 2 * self.network.params.halo_px
        rows = []
        for row in range(top // step, -(-(top + height) // step)):
            columns = range(left // step, -(-(left + width) // step))
            cores = [self._core(row * step, column * step, step) for column in columns]
            rows.append(np.concatenate(cores, axis=2))
        maps = np.concatenate(rows, axis=1)
        y, x = top % step, left % step
        return maps[:, y : y + height, x : x + width]

    def _core(self, top: int, left: int, step: int) -> Maps:
        """Return the maps of one window without its halo, (maps, step, step)."""
        halo = self.network.params.halo_px
        planes = self._window(top - halo, left - halo, step + 2 * halo)
        return self.network.run(planes)[:, halo : halo + step, halo : halo + step]

    def _window(self, top: int, left: int, side: int) -> Planes:
        """Return the network's input; beyond the slide's edge its mirror image."""
        inside_top, inside_left = max(top, 0), max(left, 0)
        bottom, right = min(top + side, self.height), min(left + side, self.width)
        pixels = self._read(inside_top, inside_left, bottom - inside_top, right - inside_left)
        planes = input_planes(pixels, self.network.params)
        if len(planes) != self.network.channels:
            raise SlideError(
                f"the segmenter {self.network.path} takes {self.network.channels} channels, and "
                f"the image has {len(planes)}: take a network for such images, or set "
                "segmentation.planes to 'stain'"
            )
        missing = [
            (0, 0),
            (inside_top - top, top + side - bottom),
            (inside_left - left, left + side - right),
        ]
        return np.pad(self._scale.apply(planes), missing, mode="symmetric")


def nuclei_of_maps(maps: Maps, params: NetworkSegmentation) -> Labels:
    """Part a region's maps, (maps, H, W), into nuclei: (H, W) int32, 0 = background, 1..n.

    A nucleus is where the interior's probability reaches `threshold`. Its seed is where the
    interior's less the boundary's does (without a boundary map, the nucleus itself): seeds that
    touch are parted at dents of their distance map deeper than `seed_depth_px`, its h-maxima
    (Soille 2004, Morphological Image Analysis, section 9.4). Pieces below `smallest_area_px` go,
    and holes of that size are filled. A piece without a seed is all outline, and goes too.
    """
    interior = maps[params.interior_channel]
    mask = interior >= params.threshold
    mask = remove_small_holes(mask, max_size=params.smallest_area_px - 1)
    inner = mask
    if params.boundary_channel is not None:
        inner = mask & (interior - maps[params.boundary_channel] >= params.threshold)
    relief = ndimage.distance_transform_edt(inner).astype(np.float32)
    labels = watershed(-relief, _seeds(relief, params.seed_depth_px), mask=mask)
    area = np.bincount(labels.ravel())
    small = area < params.smallest_area_px
    nuclei: Labels = relabel_sequential(np.where(small[labels], 0, labels))[0].astype(np.int32)
    return nuclei


def _seeds(relief: Plane, depth_px: float) -> Labels:
    """Label the domes of a distance map that rise by `depth_px`."""
    heights = np.rint(relief * _STEPS).astype(np.int32)
    # A dome lower than the depth counts if it is alone: it still rises by one step.
    floor = np.maximum(heights - max(1, round(depth_px * _STEPS)), np.minimum(heights, 1))
    domes = local_maxima(reconstruction(floor, heights).astype(np.int32)) & (heights > 0)
    seeds: Labels = label_pieces(domes).astype(np.int32)
    return seeds
