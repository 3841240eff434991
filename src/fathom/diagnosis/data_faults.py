"""What the audit found that bears on a verdict: a waived error is a cause, a warning is said."""

from dataclasses import dataclass

import pandas as pd

from fathom.audit.checks import ON_LABELS


@dataclass(frozen=True)
class DataFaults:
    """Findings of the audit, one sentence each, with the reason of those that were waived."""

    errors: tuple[str, ...] = ()  # waived, or the pipeline would have stopped
    warnings: tuple[str, ...] = ()  # of the checks in `fathom.audit.checks.ON_LABELS`


NO_FAULTS = DataFaults()


def data_faults(findings: pd.DataFrame) -> DataFaults:
    """Return what `fathom.audit.findings.read_findings` read, so far as a verdict must say it."""
    errors = findings[findings["severity"] == "error"]
    warnings = findings[(findings["severity"] != "error") & findings["check"].isin(ON_LABELS)]
    return DataFaults(_sentences(errors), _sentences(warnings))


def _sentences(findings: pd.DataFrame) -> tuple[str, ...]:
    return tuple(
        f"{row['name']}: {row['what']}" + (f" (waived: {row['waived']})" if row["waived"] else "")
        for row in findings.to_dict("records")
    )
