"""Where things lie in the folder of a data set (docs/own-data.md)."""

from pathlib import Path, PurePosixPath

from fathom.datasets.tables import one_form

IMAGES = "images.csv"
ANNOTATIONS = "annotations.csv"
MASKS = "masks"
LABEL_MASKS = "label_masks"

IMAGE_COLUMNS = ("image", "slide", "patient", "label", "um_per_px")
OPTIONAL_IMAGE_COLUMNS = ("label", "um_per_px")
ANNOTATION_COLUMNS = ("image", "x", "y", "label")

_LITTER = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r")

MASK_SUFFIXES = (".png", ".tif", ".tiff")


def stem(image: str) -> str:
    """Return an image's path without a leading `images/` and without its ending.

    What fathom writes about an image carries this name: `images/p1/a.tif` becomes `p1/a`.
    """
    return without_ending(image.removeprefix("images/"))


def without_ending(name: str) -> str:
    """Return a path without its suffix, and without `.ome`, which only OME-TIFFs may be called."""
    path = PurePosixPath(name).with_suffix("")
    return str(path.with_suffix("") if path.suffix.lower() == ".ome" else path)


def on_disk(folder: Path, name: str) -> Path:
    """Return the file called `name` in `folder`, in whichever Unicode form its name is written.

    Some systems write a letter and its accent as two characters, others as one.
    """
    path = folder / name
    if name.isascii() or path.exists():
        return path
    found = folder
    for part in PurePosixPath(name).parts:
        there = found.iterdir() if found.is_dir() else ()
        same = (one for one in there if one_form(one.name) == one_form(part))
        found = next(same, found / part)
    return found


def labels_path(folder: Path, image: str) -> Path:
    """Return where in `folder`, a folder of label images, the one of `image` lies."""
    return folder / f"{stem(image)}.tif"


def mask_paths(folder: Path, image: str, masks: str = MASKS) -> list[Path]:
    """Return the data set's own pictures of `image` in the folder `masks` of `folder`.

    That is one, none or, by mistake, several. In `MASKS` they are label images, in `LABEL_MASKS`
    they show which pixels the label is about.
    """
    return masks_named(folder, f"{masks}/{stem(image)}")


def masks_named(folder: Path, name: str) -> list[Path]:
    """Return the files `name` in `folder`, a path without its ending, with any a mask may have."""
    endings = (*MASK_SUFFIXES, *(f".ome{suffix}" for suffix in MASK_SUFFIXES))
    spelled = (
        written for ending in endings for written in (ending, ending.upper(), ending.title())
    )
    names = (on_disk(folder, f"{name}{suffix}") for suffix in spelled)
    # Where case does not count, a file goes by several of these names.
    files = {path.stat().st_ino: path for path in names if path.is_file()}
    return list(files.values())


def is_litter(path: Path) -> bool:
    """Return whether a file manager left this file in a folder, which is nobody's data."""
    return path.name.startswith(".") or path.name.lower() in _LITTER
