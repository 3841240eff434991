"""What scored slides come to: a row an image in summary.csv, a row a patient beside it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import pandas as pd

from fathom.ground.csv_file import write_csv
from fathom.models.onnx_model import ModelCard
from fathom.slides.stated_resolution import Resolution
from fathom.statistics.metrics import wilson_interval

SUMMARY, PATIENTS = "summary.csv", "summary_by_patient.csv"
UNDECIDED, NOT_SCORED = "undecided", "not scored"
_CONFIDENCE = 0.95  # of the interval over nuclei


@dataclass(frozen=True)
class Counts:
    """Counts of nuclei; those of batches, or of the images of a patient, are added with +."""

    nuclei: int = 0
    scored: int = 0
    positive: int = 0
    probabilities: float = 0.0  # their sum

    @classmethod
    def of(cls, table: pd.DataFrame, card: ModelCard) -> "Counts":
        """Count the rows of `fathom.results.nuclei_table.SCORE_COLUMNS`."""
        return cls(
            nuclei=len(table),
            scored=int((table["left_out"] == "").sum()),
            positive=int((table["class"] == card.positive).sum()),
            probabilities=float(table["probability"].sum()),
        )

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.nuclei + other.nuclei,
            self.scored + other.scored,
            self.positive + other.positive,
            self.probabilities + other.probabilities,
        )


@dataclass(frozen=True)
class Summary:
    """One image's row of summary.csv; what could not be computed is None."""

    image: str
    nuclei: int | None = None
    scored: int | None = None
    positive: int | None = None
    share_positive: float | None = None
    share_low: float | None = None  # 95 % interval over nuclei, taken to be independent
    share_high: float | None = None
    mean_probability: float | None = None
    band: float | None = None  # half width, of the model; None where it has none
    um_per_px: float | None = None  # of the image at full resolution
    um_per_px_stated_by: str | None = None  # user, file or assumption
    verdict: str = NOT_SCORED
    remark: str = ""  # a sentence, where something is to be said


@dataclass(frozen=True)
class ScoredSlide:
    """What a slide that was scored came to."""

    tally: Counts
    resolution: Resolution


def summary_of_slide(scored: ScoredSlide, card: ModelCard, image: str) -> Summary:
    """Summarise the nuclei of an image."""
    return replace(
        summary_of(scored.tally, card, image),
        um_per_px=scored.resolution.um_per_px,
        um_per_px_stated_by=scored.resolution.stated_by,
    )


def summary_of(tally: Counts, card: ModelCard, image: str) -> Summary:
    """Summarise the nuclei of an image, or those of a patient under its name."""
    band = card.abstention.band if card.abstention else None
    if not tally.scored:
        what = "none of its nuclei could be scored" if tally.nuclei else "no nucleus was found"
        remark = f"{image}: {what}; look at the overlay, and at the model's segmentation section"
        return Summary(image, tally.nuclei, 0, 0, band=band, verdict=UNDECIDED, remark=remark)
    low, high = wilson_interval(tally.positive, tally.scored, _CONFIDENCE)
    return Summary(
        image=image,
        nuclei=tally.nuclei,
        scored=tally.scored,
        positive=tally.positive,
        share_positive=tally.positive / tally.scored,
        share_low=low,
        share_high=high,
        mean_probability=tally.probabilities / tally.scored,
        band=band,
        verdict=verdict(tally.positive, tally.scored, card),
    )


def verdict(positive: int, scored: int, card: ModelCard) -> str:
    """Return the class of most nuclei, or `UNDECIDED`.

    Decided where both the model's band around the share (`fathom.models.abstention`) and the 95 %
    interval over nuclei lie on one side of one half. A model without a band never decides.
    """
    band = card.abstention.band if card.abstention else None
    if not scored or band is None:
        return UNDECIDED
    low, high = wilson_interval(positive, scored, _CONFIDENCE)
    share = positive / scored
    if min(low, share - band) > 0.5:
        return card.positive
    return card.negative if max(high, share + band) < 0.5 else UNDECIDED


def write_summary(rows: Sequence[Summary], out: Path) -> pd.DataFrame:
    """Write summary.csv and return its table."""
    columns = [field.name for field in fields(Summary)]
    return _write_csv(pd.DataFrame([asdict(row) for row in rows], columns=columns), out / SUMMARY)


def write_patients(
    tallies: Sequence[Counts | None], patients: Sequence[str], card: ModelCard, out: Path
) -> pd.DataFrame:
    """Write summary_by_patient.csv, a row a patient in the order of first mention.

    `tallies` and `patients` are those of the images; a tally is None where the image could not be
    scored: it counts among `images`, its nuclei nowhere, and the remark says so. Nuclei of all of a
    patient's images count alike.
    """
    rows = []
    for patient in dict.fromkeys(patients):
        own = [tally for tally, name in zip(tallies, patients, strict=True) if name == patient]
        known = [tally for tally in own if tally is not None]
        row = asdict(summary_of(sum(known, Counts()), card, patient)) if known else {}
        row = {**asdict(Summary(patient)), **row}
        if missing := len(own) - len(known):
            row["remark"] = f"{patient}: {missing} of {len(own)} images could not be scored"
        row["patient"], row["images"] = row.pop("image"), len(own)
        rows.append(row)
    of_one_image = {"image", "um_per_px", "um_per_px_stated_by"}
    kept = [field.name for field in fields(Summary) if field.name not in of_one_image]
    columns = ["patient", "images", *kept]
    return _write_csv(pd.DataFrame(rows, columns=columns), out / PATIENTS)


def _write_csv(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    table = table.astype({"nuclei": "Int64", "scored": "Int64", "positive": "Int64"})
    write_csv(path, table, float_format="%.6f")
    return table
