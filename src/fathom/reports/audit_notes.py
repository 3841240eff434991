"""What every report says of the audit: how much it found, and what was waived with which reason."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

AUDIT = "audit.json"  # in the folder of metrics, of the stage `audit`


def audit_notes(metrics: Path, waivers: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence on the audit, and one on each waiver; none where nothing was audited."""
    path = metrics / AUDIT
    if not path.is_file():
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    warnings = found["warnings"] + found["warnings_waived"]
    errors = found["errors"] + found["errors_waived"]
    yield (
        f"The audit of the data found {_count(errors, 'error')} and {_count(warnings, 'warning')}: "
        "data/audit/findings.md."
    )
    for name, reason in waivers.items():
        yield f"Waived: {name} ({reason})."


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
