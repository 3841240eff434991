"""Annotations and the nuclei they lie in, as they are written and as they may have been meant."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from fathom.ground.arrays import Bools, Floats
from fathom.ground.images import Labels
from fathom.study.accounts import READINGS, REASONS

Numbers = npt.NDArray[np.int32]  # (n,), the nucleus at each point, 0 where there is none
Points = tuple[Floats, Floats]  # x to the right and y down, px, (n,) each


def nuclei_at(labels: Labels, x: Floats, y: Floats) -> npt.NDArray[np.int32]:
    """Return the nucleus at each point, 0 on the background and beyond the image."""
    height, width = labels.shape
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    rows, columns = (np.where(inside, one, 0).astype(np.intp) for one in (y, x))
    return np.where(inside, labels[rows, columns], 0).astype(np.int32)


def nucleus_labels(labels: Labels, annotations: pd.DataFrame) -> dict[int, set[str]]:
    """Return which classes were annotated inside each nucleus of one image.

    `annotations` is the part of `DataSet.annotations` that belongs to this image. An annotation on
    the background belongs to no nucleus.
    """
    found: dict[int, set[str]] = {}
    numbers = nuclei_at(labels, *_points(annotations))
    for number, label in zip(numbers.tolist(), annotations["label"], strict=True):
        if number:
            found.setdefault(number, set()).add(str(label))
    return found


def account_of_annotations(
    labels: Labels, annotations: pd.DataFrame, left_out: Mapping[int, str], um_per_px: float | None
) -> dict[str, int | float]:
    """Return the annotations' part of an image's `fathom.study.accounts.ACCOUNT_COLUMNS`.

    `left_out` says of each number of `labels` why its nucleus was left out, "" where it was kept.
    """
    points = _points(annotations)
    meant = readings(points, labels.shape, um_per_px)
    numbers = {reading: nuclei_at(labels, *there) for reading, there in meant.items()}
    return account_of_points(
        nuclei_at(labels, *points), numbers, left_out, float((labels > 0).mean())
    )


def account_of_points(
    written: Numbers, meant: Mapping[str, Numbers], left_out: Mapping[int, str], covered: float
) -> dict[str, int | float]:
    """Return what `account_of_annotations` does, by the nucleus that each point lies in, 0: none.

    Parameters
    ----------
    written : (n,), of the points as they are written
    meant : the same under each of `READINGS`
    left_out : of each number of a nucleus, why it was left out, "" where it was kept
    covered : share of the image's pixels that are in nuclei
    """
    became = [left_out.get(number) for number in written.tolist()]
    counts: dict[str, int | float] = {
        "annotations": len(written),
        "annotations_kept": became.count(""),
        **{
            f"annotations_{key}": became.count(reason)
            for key, reason in REASONS.items()
            if key != "no_label"
        },
        "annotations_in_no_nucleus": became.count(None),
        "covered": covered,
    }
    alone = _alone_in_nucleus(written)
    for reading, numbers in meant.items():
        other = _alone_in_nucleus(numbers)
        counts[f"gained_{reading}"] = int((other & ~alone).sum())
        counts[f"lost_{reading}"] = int((alone & ~other).sum())
    return counts


def _alone_in_nucleus(numbers: Numbers) -> Bools:
    """Return which points lie in a nucleus that no earlier one lies in.

    Points at the wrong place meet nuclei, too, where these are dense, but several meet one.
    """
    first = np.zeros(len(numbers), dtype=bool)
    first[np.unique(numbers, return_index=True)[1]] = True
    return first & (numbers > 0)


def readings(points: Points, shape: tuple[int, ...], um_per_px: float | None) -> dict[str, Points]:
    """Return where the points lie in an image of `shape` under each of `READINGS`, px.

    Without `um_per_px` micrometres are read as they are written.
    """
    height, width = shape
    scale = um_per_px or 1.0
    meant: dict[str, Callable[[Floats, Floats], Points]] = {
        "exchanged": lambda x, y: (y, x),
        "upwards": lambda x, y: (x, height - y),
        "leftwards": lambda x, y: (width - x, y),
        "turned_180": lambda x, y: (width - x, height - y),
        "turned_90": lambda x, y: (y, height - x),
        "turned_270": lambda x, y: (width - y, x),
        "turned_mirrored": lambda x, y: (width - y, height - x),
        "micrometres": lambda x, y: (x / scale, y / scale),
        "times_2": lambda x, y: (x * 2, y * 2),
        "times_3": lambda x, y: (x * 3, y * 3),
        "times_4": lambda x, y: (x * 4, y * 4),
        "times_8": lambda x, y: (x * 8, y * 8),
        "times_1_2": lambda x, y: (x / 2, y / 2),
        "times_1_3": lambda x, y: (x / 3, y / 3),
        "times_1_4": lambda x, y: (x / 4, y / 4),
        "times_1_8": lambda x, y: (x / 8, y / 8),
    }
    return {reading: meant[reading](*points) for reading in READINGS}


def _points(annotations: pd.DataFrame) -> Points:
    x, y = (annotations[axis].to_numpy(dtype=np.float64) for axis in "xy")
    return x, y
