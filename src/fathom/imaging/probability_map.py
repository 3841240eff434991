"""The probability maps of a whole slide, read and computed by region.

The network is always run on the same windows: squares of `window_px` on one grid, which starts at
the slide's corner, each used without its halo. So a pixel's probability depends on the slide alone,
not on the region that was asked for, whatever the network's steps and padding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

from fathom.ground.errors import SlideError
from fathom.ground.images import Micrograph
from fathom.imaging.params import NetworkSegmentation
from fathom.imaging.segmenter_network import Maps, Planes, SegmenterNetwork
from fathom.imaging.stain import nuclear_stain

# Of (top, left, height, width), px, wholly inside the slide: `fathom.slides.slide.Slide.read`.
Read = Callable[[int, int, int, int], Micrograph]

_EPSILON = 1e-6  # bioimage.io's: an even picture is 0, not a division by 0


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
