"""Batches of simulated nuclei, as a slide yields them."""

from contextlib import closing, contextmanager

import numpy as np
import pandas as pd

from fathom.results.nuclei_writer import NucleiBatch

NUMBERS = ("y", "x", "focus", "logit", "probability")


def make_batch(masks, corners, first=1, image="a.tif", left_out=(), probabilities=None):
    """Return nuclei with the given masks and (top, left) corners; "ill" is positive.

    `left_out` are positions of those not scored.
    """
    n = len(masks)
    scored = ~np.isin(np.arange(n), left_out)
    if probabilities is None:
        probabilities = (np.arange(n) + first) % 10 / 10
    table = pd.DataFrame(
        {
            "label_number": np.arange(first, first + n),
            "y": [t + np.nonzero(m)[0].mean() for m, (t, _) in zip(masks, corners, strict=True)],
            "x": [c + np.nonzero(m)[1].mean() for m, (_, c) in zip(masks, corners, strict=True)],
            "top": [top for top, _ in corners],
            "left": [left for _, left in corners],
            "bottom": [t + m.shape[0] for m, (t, _) in zip(masks, corners, strict=True)],
            "right": [c + m.shape[1] for m, (_, c) in zip(masks, corners, strict=True)],
            "area_px": [int(mask.sum()) for mask in masks],
            "touches_border": ~scored,
            "focus": np.linspace(0.1, 0.9, n),
            "left_out": np.where(scored, "", "touches the border"),
            "probability": np.where(scored, probabilities, np.nan),
        }
    ).astype(dict.fromkeys(("label_number", "top", "left", "bottom", "right", "area_px"), np.int64))
    table["logit"] = np.log(table["probability"].clip(0.01, 0.99) / 0.98)
    named = np.where(table["probability"] >= 0.5, "ill", "well")
    table["class"] = pd.Series(named, dtype="str").where(scored)
    table["image"] = pd.Series([image] * n, dtype="str")
    table["nucleus"] = pd.Series([f"{image}#{k}" for k in table["label_number"]], dtype="str")
    return NucleiBatch(table.astype(dict.fromkeys(NUMBERS, np.float64)), masks)


@contextmanager
def ended(writer):
    """End a file as `slide_files` does: what comes last where all went well, closed either way."""
    with closing(writer):
        yield writer
        writer.finish()


def grid_batches(side, step=40, seed=0):
    """Return a batch a row of nuclei on a grid over a (side, side) slide, and the label image."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:30, :30]
    labels = np.zeros((side, side), dtype=np.int32)
    batches = []
    number = 1
    for top in range(0, side - step, step):
        masks, corners = [], []
        for left in range(0, side - step, step):
            radius = rng.uniform(5, 14)
            disc = (rows - 15) ** 2 + (columns - 15) ** 2 < radius**2
            y, x = np.nonzero(disc)
            corner = (top + int(y.min()), left + int(x.min()))
            masks.append(disc[y.min() : y.max() + 1, x.min() : x.max() + 1])
            corners.append(corner)
            labels[top : top + 30, left : left + 30][disc] = number + len(masks) - 1
        batches.append(make_batch(masks, corners, first=number))
        number += len(masks)
    return batches, labels
