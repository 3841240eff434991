"""What an audit found: graded by the parameters, waived by name, written down, never lost.

A finding's name is its check and its place, `check:where`. It does not depend on the order of the
data or on how sure the audit is, so that a waiver still fits when other findings come and go.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fathom.audit.params import CHECKS, Audit, Check, check_grades
from fathom.ground.csv_file import write_csv
from fathom.ground.errors import FathomError
from fathom.ground.output import write_table, written_whole

PARQUET, CSV, MARKDOWN = "findings.parquet", "findings.csv", "findings.md"
FINDING_COLUMNS = (
    "name",  # str, unique: "<check>:<where>"
    "check",  # str, one of CHECKS
    "where",  # str: an image, a slide, a patient, a pair of them, a class
    "severity",  # str, error | warning
    "waived",  # str, the reason; "" where it is not waived
    "confidence",  # float, 0..1: how sure the audit is that it is as it says
    "what",  # str, a sentence
    "count",  # int, how many images or nuclei
    "rows",  # list of str: images or nuclei by name
)
_SHOWN_ROWS = 3  # of a finding, in the Markdown


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or likely to be, and whom it concerns."""

    check: Check
    where: str
    what: str
    confidence: float
    rows: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the name it is waived by."""
        return f"{self.check}:{self.where}"


def finding_table(
    findings: Iterable[Finding], params: Audit, *, complete: bool = True
) -> pd.DataFrame:
    """Grade the findings and mark those that are waived: `FINDING_COLUMNS`, errors first.

    Where the findings are `complete`, a waiver that fits none is a finding itself: either it is
    misspelt, or what it excused has been mended and nobody should believe that it is still there.
    """
    check_grades(params)
    found = sorted(findings, key=lambda one: (CHECKS.index(one.check), one.name))
    names = {one.name for one in found}
    found += [
        Finding(
            "waiver_without_finding",
            waiver,
            f"audit.waivers has '{waiver}', and no finding of that name is there: delete the "
            "waiver, or mend its name",
            1.0,
            (),
        )
        for waiver in sorted(set(params.waivers) - names)
        if complete
    ]
    rows = [
        {
            "name": one.name,
            "check": one.check,
            "where": one.where,
            "severity": "error" if one.check in params.errors else "warning",
            "waived": params.waivers.get(one.name, ""),
            "confidence": round(one.confidence, 6),
            "what": one.what,
            "count": len(one.rows),
            "rows": list(one.rows),
        }
        for one in found
    ]
    table = pd.DataFrame(rows, columns=list(FINDING_COLUMNS))
    return table.sort_values("severity", kind="stable", ignore_index=True)


def finding_metrics(table: pd.DataFrame) -> dict[str, int]:
    """Return how many findings there are by severity, waived or not, and by check."""
    waived = table["waived"] != ""
    error = table["severity"] == "error"
    return {
        "errors": int((error & ~waived).sum()),
        "errors_waived": int((error & waived).sum()),
        "warnings": int((~error & ~waived).sum()),
        "warnings_waived": int((~error & waived).sum()),
        **{check: int((table["check"] == check).sum()) for check in CHECKS},
    }


def write_findings(folder: Path, table: pd.DataFrame) -> None:
    """Write the table three times: for programs, for spreadsheets, for reading."""
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / PARQUET, table)
    flat = table.assign(rows=[" ".join(rows) for rows in table["rows"]])
    write_csv(folder / CSV, flat)
    with written_whole(folder / MARKDOWN) as part:
        part.write_text(findings_markdown(table), encoding="utf-8")


def read_findings(folder: Path) -> pd.DataFrame:
    """Read the table of findings that a stage of the audit wrote into `folder`."""
    path = folder / PARQUET
    if not path.is_file():
        raise FathomError(f"{path} is missing: run the stage '{folder.name}' first")
    table = pd.read_parquet(path)
    if tuple(table.columns) != FINDING_COLUMNS:
        raise FathomError(
            f"{path} is not a table of findings of this version of fathom: run the stage "
            f"'{folder.name}' again"
        )
    return table


def findings_of(table: pd.DataFrame) -> list[Finding]:
    """Return the findings of a table, ungraded, to grade them together with others."""
    return [
        Finding(row["check"], row["where"], row["what"], row["confidence"], tuple(row["rows"]))
        for row in table.to_dict("records")
    ]


def findings_markdown(table: pd.DataFrame) -> str:
    """Return the findings as a Markdown table, waived ones with their reasons."""
    if table.empty:
        return "The audit found nothing.\n"
    lines = ["| severity | finding | sure | concerns |", "| --- | --- | --: | --- |"]
    for row in table.to_dict("records"):
        severity = f"{row['severity']}, waived" if row["waived"] else str(row["severity"])
        what = f"**{row['name']}**: {row['what']}"
        what += f" *Waived: {row['waived']}*" if row["waived"] else ""
        cells = (severity, what, f"{row['confidence']:.3f}", _some(row["rows"]))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def refuse_errors(table: pd.DataFrame, where: Path) -> None:
    """Raise `FathomError` where an error was found that is not waived: nothing shall learn it."""
    errors = table[(table["severity"] == "error") & (table["waived"] == "")]
    if errors.empty:
        return
    lines = "\n".join(f"  {row['name']}: {row['what']}" for row in errors.to_dict("records"))
    count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
    raise FathomError(
        f"the data have {count}:\n{lines}\nAll findings are in {where}. Mend the data; or waive a "
        "finding under audit.waivers in params.yaml, by its name, with the reason"
    )


def _some(rows: Sequence[str]) -> str:
    shown = ", ".join(rows[:_SHOWN_ROWS])
    return f"{shown} and {len(rows) - _SHOWN_ROWS} more" if len(rows) > _SHOWN_ROWS else shown


def in_words(counts: Mapping[str, int]) -> str:
    """Return `a 3, b 5`, for the sentence of a finding."""
    return ", ".join(f"{name} {count}" for name, count in counts.items())
