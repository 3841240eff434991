"""PNG and JPEG: decoded whole, by nature; neither says how wide a pixel is."""

from pathlib import Path
from typing import Literal

from fathom.ground.images import read_micrograph
from fathom.slides.channels import picked_channel
from fathom.slides.slide import ArraySource


def picture_source(path: Path, channel: int | str | None, channels: Literal[1, 3]) -> ArraySource:
    """Return a decoded picture as a source."""
    pixels = read_micrograph(path)
    colour = pixels.ndim == 3
    picked = picked_channel(
        path, ("",) * (3 if colour else 1), colour=colour, channel=channel, channels=channels
    )
    if colour and picked is not None:
        pixels = pixels[..., picked]
    return ArraySource(pixels, path, None)
