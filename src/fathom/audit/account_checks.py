"""Annotations that lie in no nucleus, and why that may be; images and patients that give nothing.

Wrong coordinates do not show as such: where nuclei are dense, points at the wrong places lie in
nuclei, too, and label them wrongly. So the points are read in other ways
(`fathom.study.accounts.READINGS`). A reading under which clearly more of them have a nucleus of
their own is what was meant: the exact sign test over the annotations of which the two readings
differ (McNemar's), corrected for the number of readings and of places looked at.
"""

from collections.abc import Iterator

import pandas as pd
from scipy.stats import binom

from fathom.audit.findings import Finding, in_words
from fathom.audit.params import Audit
from fathom.study.accounts import READINGS, REASONS, best_reading


def audit_accounts(accounts: pd.DataFrame, params: Audit) -> Iterator[Finding]:
    """Yield what the accounts of the stage `crop` (`fathom.study.accounts`) give cause to."""
    yield from _misread(accounts, params)
    yield from _without_nucleus(accounts, params)
    for column in ("image", "slide", "patient"):
        yield from _without_crops(accounts, column)


def _misread(accounts: pd.DataFrame, params: Audit) -> Iterator[Finding]:
    """Try the whole set; where that is as it is written, each patient; and then each image."""
    annotated = accounts[accounts["annotations"] > 0]
    explained: set[str] = set()
    for column in (None, "patient", "image"):
        rest = annotated[~annotated["image"].isin(explained)]
        parts = [("annotations.csv", rest)] if column is None else list(rest.groupby(column))
        for name, part in parts:
            found = _other_reading(part, params.chance / len(READINGS) / max(len(parts), 1))
            if found is None:
                continue
            reading, chance = found
            gained, lost = (int(part[f"{side}_{reading}"].sum()) for side in ("gained", "lost"))
            rows = part.loc[part[f"gained_{reading}"] > part[f"lost_{reading}"], "image"]
            explained |= set(part["image"])
            yield Finding(
                "annotations_misread",
                str(name) if column is None else f"{column} {name}",
                f"{gained} annotations have a nucleus of their own only if {READINGS[reading]}, "
                f"{lost} only as they are written: mend x and y in annotations.csv",
                1 - chance,
                tuple(rows),
            )


def _other_reading(part: pd.DataFrame, chance: float) -> tuple[str, float] | None:
    """Return the reading that fits best and its p, if it fits better than what is written."""
    tested = []
    for reading in READINGS:
        gained, lost = (int(part[f"{side}_{reading}"].sum()) for side in ("gained", "lost"))
        tested.append((gained - lost, reading, float(binom.sf(gained - 1, gained + lost, 0.5))))
    better = [one for one in tested if one[0] > 0 and one[2] < chance]
    if not better:
        return None
    _, reading, p = max(better, key=lambda one: one[0])
    return reading, p


def _without_nucleus(accounts: pd.DataFrame, params: Audit) -> Iterator[Finding]:
    """Yield one finding of the whole set, or one of each image that is unlike the rest."""
    annotated = accounts[accounts["annotations"] > 0]
    missed, n = (int(annotated[c].sum()) for c in ("annotations_in_no_nucleus", "annotations"))
    shares = annotated["annotations_in_no_nucleus"] / annotated["annotations"]
    beyond = annotated[shares > params.missed_share]
    if n and missed / n > params.missed_share:
        covered = float((annotated["covered"] * annotated["annotations"]).sum()) / n
        yield Finding(
            "annotations_without_nucleus",
            "annotations.csv",
            f"{missed} of {n} annotations lie in no nucleus, where points at random places would "
            f"miss {1 - covered:.0%}; look at the label images, and at x and y{_hint(annotated)}",
            1.0,
            tuple(beyond["image"]),
        )
        return
    for row in beyond.to_dict("records"):
        here, of = int(row["annotations_in_no_nucleus"]), int(row["annotations"])
        chance = float(binom.sf(here - 1, of, params.missed_share))
        if chance < params.chance / len(annotated):
            yield Finding(
                "annotations_without_nucleus",
                str(row["image"]),
                f"{here} of its {of} annotations lie in no nucleus, in the whole set {missed} of "
                f"{n}; look at its label image, and at x and y"
                f"{_hint(beyond[beyond['image'] == row['image']])}",
                1 - chance,
                (str(row["image"]),),
            )


def _hint(accounts: pd.DataFrame) -> str:
    """Name the reading that fits best, if some fits better than what is written."""
    best = best_reading(accounts)
    return f": {best[1]} more have a nucleus of their own if {best[0]}" if best else ""


def _without_crops(accounts: pd.DataFrame, column: str) -> Iterator[Finding]:
    """Yield the images, slides or patients that no nucleus was kept of; the largest says it all."""
    larger = {"image": "slide", "slide": "patient"}.get(column)
    idle = _idle(accounts, column)
    if larger:
        of_larger = set(_idle(accounts, larger)[larger])
        idle = idle[~idle[larger].isin(of_larger)]
    for name, rows in idle.groupby(column, sort=True):
        found = int(rows["nuclei"].sum())
        counts = {reason: int(rows[f"left_out_{key}"].sum()) for key, reason in REASONS.items()}
        why = in_words({reason: count for reason, count in counts.items() if count})
        why = f"{found} nuclei were found ({why})" if found else "no nucleus was found"
        yield Finding(
            "nothing_kept",
            f"{column} {name}",
            f"gives no nucleus to the study; {why}",
            1.0,
            tuple(rows["image"]),
        )


def _idle(accounts: pd.DataFrame, column: str) -> pd.DataFrame:
    kept = accounts.groupby(column)["kept"].transform("sum")
    return accounts[kept == 0]
