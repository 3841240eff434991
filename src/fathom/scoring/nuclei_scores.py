"""From a label image to scores: one row a nucleus, cut and scored as the study's were."""

import numpy as np
import pandas as pd

from fathom.ground.images import Labels, Micrograph
from fathom.imaging.crops import Scale, cut, describe
from fathom.imaging.window import Rectangle
from fathom.models.onnx_model import OnnxModel
from fathom.results.nuclei_table import SCORE_COLUMNS


def score_labels(
    model: OnnxModel,
    micrograph: Micrograph,
    labels: Labels,
    scale: Scale | None,
    border: Rectangle | None = None,
) -> pd.DataFrame:
    """Score the nuclei of a label image, or of a part of one: one row a nucleus.

    Parameters
    ----------
    micrograph, labels : (H, W) or (H, W, 3), and (H, W) int32
    scale : the grey values that become 0 and 255, `fathom.imaging.crops.scale_of` the image
    border : of the image that the arrays are a part of, in their pixels; None: all of it

    Returns
    -------
    `SCORE_COLUMNS` without nucleus and image, positions in pixels of the arrays.
    """
    card = model.card
    table = describe(micrograph, labels, card.crop, border)
    scored = (table["left_out"] == "").to_numpy()
    crops = cut(micrograph, labels, table[scored], scale, card.crop)
    table["logit"] = table["probability"] = np.nan
    table.loc[scored, ["logit", "probability"]] = np.column_stack(model.score(crops))
    called = np.where(table["probability"] >= card.threshold, card.positive, card.negative)
    table["class"] = pd.Series(called, index=table.index, dtype="str").where(scored)
    return table[SCORE_COLUMNS[2:]]


def with_names(table: pd.DataFrame, image: str) -> pd.DataFrame:
    """Return the table of `score_labels` with the names of nuclei and image: `SCORE_COLUMNS`."""
    names = (image + "#") + table["label_number"].astype("str")
    whole = table.assign(
        image=pd.Series(image, index=table.index, dtype="str"), nucleus=names.astype("str")
    )
    return whole[SCORE_COLUMNS]
