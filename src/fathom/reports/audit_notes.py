"""What every report says of the audit: how much it found, and what was waived with which reason."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

# In the folder of metrics, of the stages `audit` and `crop`.
AUDIT, CROP = "audit.json", "crop.json"


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


def account_notes(metrics: Path) -> Iterator[str]:
    """Yield what became of all that was listed and found, each sum complete; none before `crop`."""
    path = metrics / CROP
    if not path.is_file():
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    left_out = _under("left_out_", found)
    yield _closed("nuclei", found["found"], "were kept", found["kept"], left_out)
    if found.get("annotations"):
        elsewhere = _under("annotations_", found)
        kept = elsewhere.pop("kept")
        yield _closed("annotations", found["annotations"], "lie in a kept nucleus", kept, elsewhere)
    for what in ("images", "slides", "patients"):
        if found.get(f"{what}_listed", found.get(what)) != found.get(what):
            yield _closed(what, found[f"{what}_listed"], "give a nucleus", found[what], {})


def _under(prefix: str, found: Mapping[str, int]) -> dict[str, int]:
    """Return the counts whose names begin so, the rest of the name in words."""
    return {
        name.removeprefix(prefix).replace("_", " "): count
        for name, count in sorted(found.items())
        if name.startswith(prefix)
    }


def _closed(what: str, all_of: int, did: str, kept: int, rest: Mapping[str, int]) -> str:
    """Return `Of 10 nuclei 7 were kept; touches border 2, no label 1.`."""
    there = [f"{reason} {count}" for reason, count in rest.items() if count]
    return f"Of {all_of} {what} {kept} {did}{'; ' if there else ''}{', '.join(there)}."


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
