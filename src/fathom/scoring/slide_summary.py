"""What a scored image comes to: its counts, and a verdict or none. One row each in summary.csv."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pandas as pd

from fathom.output import written_whole
from fathom.scoring.onnx_model import ModelCard

SUMMARY = "summary.csv"
UNDECIDED, NOT_SCORED = "undecided", "not scored"


@dataclass(frozen=True)
class Summary:
    """One image's row of summary.csv; what could not be computed is None."""

    image: str
    nuclei: int | None = None
    scored: int | None = None
    positive: int | None = None
    share_positive: float | None = None
    mean_probability: float | None = None
    verdict: str = NOT_SCORED
    remark: str = ""  # a sentence, where something is to be said


def summarise(table: pd.DataFrame, card: ModelCard, image: str) -> Summary:
    """Summarise the nuclei of an image."""
    scored = int((table["left_out"] == "").sum())
    if not scored:
        what = "none of its nuclei could be scored" if len(table) else "no nucleus was found"
        remark = f"{image}: {what}; look at the overlay, and at the model's segmentation section"
        return Summary(image, len(table), 0, 0, verdict=UNDECIDED, remark=remark)
    positive = int((table["class"] == card.positive).sum())
    return Summary(
        image=image,
        nuclei=len(table),
        scored=scored,
        positive=positive,
        share_positive=positive / scored,
        mean_probability=float(table["probability"].mean()),
        verdict=verdict(positive, scored, card),
    )


def verdict(positive: int, scored: int, card: ModelCard) -> str:
    """Return the class of most nuclei, or `UNDECIDED` where chance could have made the majority.

    Decided where the 95 % interval of the share of positive nuclei (Wilson 1927, J. Am. Stat.
    Assoc. 22:209) lies on one side of one half.
    """
    if not scored:
        return UNDECIDED
    z = 1.959964  # the normal distribution's 97.5 % point
    share = positive / scored
    centre = share + z**2 / (2 * scored)
    half_width = z * math.sqrt(share * (1 - share) / scored + z**2 / (4 * scored**2))
    low, high = ((centre + side * half_width) / (1 + z**2 / scored) for side in (-1, 1))
    if low > 0.5:
        return card.positive
    return card.negative if high < 0.5 else UNDECIDED


def write_summary(rows: Sequence[Summary], out: Path) -> pd.DataFrame:
    """Write summary.csv and return its table."""
    columns = [field.name for field in fields(Summary)]
    table = pd.DataFrame([asdict(row) for row in rows], columns=columns).astype(
        {"nuclei": "Int64", "scored": "Int64", "positive": "Int64"}
    )
    out.mkdir(parents=True, exist_ok=True)
    with written_whole(out / SUMMARY) as part:
        table.to_csv(part, index=False, float_format="%.6f")
    return table
