"""How much a file may unpack to: few bytes that say they are a vast picture are refused unread.

A header costs nothing to write: 2^31 pixels, or a tile of 2^40 bytes, fit into a file of a
kilobyte, and all-zero pixels pack a thousandfold. What a microscope writes packs 2- to 50-fold;
label images, which are mostly background, 500-fold at most where they are large.
"""

from pathlib import Path

from fathom.ground.errors import SlideError

# So much is unpacked of any file: a picture of 11,500 x 11,500 px in 8 bits.
ALWAYS_BYTES = 2**27
MOST_TIMES = 500  # of the bytes that are stored, for more than `ALWAYS_BYTES`


def require_unpackable(path: Path, unpacked: int, stored: int) -> None:
    """Raise `SlideError` where `stored` bytes say that they are `unpacked` bytes of pixels.

    Both are of one picture, or the first of a single tile or strip of it: what is decoded at once.
    """
    if unpacked > max(ALWAYS_BYTES, MOST_TIMES * stored):
        raise SlideError(
            f"{path}: says that {stored:,} bytes of it are {unpacked:,} bytes of pixels; more than "
            f"{MOST_TIMES} times as many are not unpacked, for that is a damaged header, or one "
            "made to fill memory. If its picture is so empty, crop it, or save it without "
            "compression"
        )
