"""Where things lie in the folder of a data set (docs/own-data.md)."""

from pathlib import Path, PurePosixPath

IMAGES = "images.csv"
ANNOTATIONS = "annotations.csv"
MASKS = "masks"
LABEL_MASKS = "label_masks"

IMAGE_COLUMNS = ("image", "slide", "patient", "label", "um_per_px")
OPTIONAL_IMAGE_COLUMNS = ("label", "um_per_px")
ANNOTATION_COLUMNS = ("image", "x", "y", "label")

MASK_SUFFIXES = (".png", ".tif", ".tiff")


def stem(image: str) -> str:
    """Return an image's path without a leading `images/` and without its suffix.

    What fathom writes about an image carries this name: `images/p1/a.tif` becomes `p1/a`.
    """
    return str(PurePosixPath(image.removeprefix("images/")).with_suffix(""))


def labels_path(folder: Path, image: str) -> Path:
    """Return where in `folder`, a folder of label images, the one of `image` lies."""
    return folder / f"{stem(image)}.tif"


def mask_paths(folder: Path, image: str, masks: str = MASKS) -> list[Path]:
    """Return the data set's own pictures of `image` in the folder `masks` of `folder`.

    That is one, none or, by mistake, several. In `MASKS` they are label images, in `LABEL_MASKS`
    they show which pixels the label is about.
    """
    return masks_named(folder / masks / stem(image))


def masks_named(base: Path) -> list[Path]:
    """Return the files of a path without its ending, with any that a mask may have."""
    names = (base.with_name(f"{base.name}{suffix}") for suffix in MASK_SUFFIXES)
    return [path for path in names if path.is_file()]
