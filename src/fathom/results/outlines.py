"""The outlines of nuclei: marching squares (Lorensen & Cline 1987) on the masks of a whole batch.

The rings, their order and the point that each begins at are those of scikit-image's
`find_contours`, which takes a nucleus at a time; here the squares of all are looked up at once, and
only the way round each ring is gone step by step.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Masks = Sequence[npt.NDArray[np.bool_]]
Points = npt.NDArray[np.float64]  # (n, 2): x, y
Ints = npt.NDArray[np.intp]

# By which of a square's corners are inside (1 upper left, 2 upper right, 4 lower left, 8 lower
# right): the edges that its outline comes from and goes to, in half pixels down and right of its
# upper left corner. Pixels that meet at a corner only are apart: two lines pass between them.
_TOP, _BOTTOM, _LEFT, _RIGHT = (0, 1), (2, 1), (1, 0), (1, 2)
_LINES = {
    1: [(_TOP, _LEFT)],
    2: [(_RIGHT, _TOP)],
    3: [(_RIGHT, _LEFT)],
    4: [(_LEFT, _BOTTOM)],
    5: [(_TOP, _BOTTOM)],
    6: [(_RIGHT, _TOP), (_LEFT, _BOTTOM)],
    7: [(_RIGHT, _BOTTOM)],
    8: [(_BOTTOM, _RIGHT)],
    9: [(_TOP, _LEFT), (_BOTTOM, _RIGHT)],
    10: [(_BOTTOM, _TOP)],
    11: [(_BOTTOM, _LEFT)],
    12: [(_LEFT, _RIGHT)],
    13: [(_TOP, _RIGHT)],
    14: [(_LEFT, _TOP)],
}
_COUNT = np.array([len(_LINES.get(case, [])) for case in range(16)])
_ENDS = np.zeros((16, 2, 2, 2), dtype=np.intp)  # case, first or second line, from or to, (y, x)
for _case, _passing in _LINES.items():
    _ENDS[_case, : len(_passing)] = _passing


def outlines(masks: Masks) -> list[list[Points]]:
    """Return the open rings around the pixels of each mask, without points that lie straight.

    masks : (h, w) bool each. Points are counted from the corner of a mask's first pixel. Outer
    rings run counterclockwise with y down, and stand before the holes, which run the other way.
    """
    if not masks:
        return []
    case, place, width, owner = _squares(masks)
    start, end = _lines(case, place)
    owner = np.repeat(owner, _COUNT[case])
    width = np.repeat(width, _COUNT[case])
    # A point of a mask is a number: no two masks share one.
    reach = 2 * width.max(initial=0) + 3
    number_start = (owner * (2 * _tallest(masks) + 5) + start[:, 0]) * reach + start[:, 1]
    number_end = (owner * (2 * _tallest(masks) + 5) + end[:, 0]) * reach + end[:, 1]
    order = np.argsort(number_start)
    following = order[np.searchsorted(number_start[order], number_end)]
    step = end - start
    before = np.empty_like(step)
    before[following] = step
    turns = before[:, 0] * step[:, 1] != before[:, 1] * step[:, 0]
    # Half pixels of the padded mask, whose first pixel's corner is at (1, 1).
    points = start[:, ::-1] / 2 - 0.5
    found: list[list[Points]] = [[] for _ in masks]
    for ring in _rings(following.tolist()):
        found[owner[ring[0]]].append(points[[at for at in ring if turns[at]]])
    return [sorted(rings, key=lambda ring: signed_area(ring) < 0) for rings in found]


def signed_area(points: Points) -> float:
    """Return the area inside an open ring of (x, y), positive where it runs counterclockwise."""
    x, y = points.T
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) + x[-1] * y[0] - x[0] * y[-1]) / 2


def _tallest(masks: Masks) -> int:
    return max(len(mask) for mask in masks)


def _squares(masks: Masks) -> tuple[Ints, Ints, Ints, Ints]:
    """Return of each square that an outline crosses: case, place, its mask's width and number."""
    cases, places, widths, counts = [], [], [], []
    for mask in masks:
        height, width = mask.shape
        padded = np.zeros((height + 2, width + 2), dtype=np.uint8)
        padded[1:-1, 1:-1] = mask
        case = (padded[:-1, :-1] + 2 * padded[:-1, 1:]) + (4 * padded[1:, :-1] + 8 * padded[1:, 1:])
        flat = case.ravel()
        crossed = np.flatnonzero((flat != 0) & (flat != 15))
        cases.append(flat[crossed])
        places.append(np.column_stack(np.divmod(crossed, width + 1)))
        widths.append(width)
        counts.append(len(crossed))
    return (
        np.concatenate(cases).astype(np.intp),
        np.concatenate(places),
        np.repeat(np.array(widths), counts),
        np.repeat(np.arange(len(masks)), counts),
    )


def _lines(case: Ints, place: Ints) -> tuple[Ints, Ints]:
    """Return where each line starts and ends, (n, 2) each: y, x, in half pixels."""
    square = np.repeat(np.arange(len(case)), _COUNT[case])
    second = np.zeros(len(square), dtype=np.intp)
    second[1:] = square[1:] == square[:-1]
    ends = _ENDS[case[square], second] + 2 * place[square][:, np.newaxis]
    return ends[:, 0], ends[:, 1]


def _rings(following: list[int]) -> list[list[int]]:
    """Return the lines of each ring, in the order of the rings' first lines."""
    seen = bytearray(len(following))
    rings = []
    for first in range(len(following)):
        if seen[first]:
            continue
        ring, at = [], first
        while not seen[at]:
            seen[at] = 1
            ring.append(at)
            at = following[at]
        last = ring.index(max(ring)) + 1  # `find_contours` closes a ring with its last line
        rings.append(ring[last:] + ring[:last])
    return rings
