"""Slide and patient from the names of files: `{patient}_{slide}_{field}`, guessed or given.

A pattern is matched with the end of an image's path, without its suffix. `{patient}`, `{slide}` and
`{field}` stand for text without `/`, `*` for text that says nothing; the rest is as it is written.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fathom.ground.errors import FathomError

FIELDS = ("patient", "slide", "field")
_PARTS = re.compile(r"\{([^{}]*)\}|\*|[^{}*]+|[{}]")
_TOKENS = re.compile(r"[^/_ -]+|[/_ -]")
_SEPARATORS = set("/_ -")


class Origin(NamedTuple):
    """Whose an image is."""

    patient: str
    slide: str


@dataclass(frozen=True)
class Pattern:
    """A pattern that was checked; `text` is how it was written."""

    text: str

    def __post_init__(self) -> None:
        """Raise `FathomError` for a name it does not know, or one that is there twice."""
        fields = re.findall(r"\{([^{}]*)\}", self.text)
        unknown = [one for one in fields if one not in FIELDS]
        twice = [one for one in set(fields) if fields.count(one) > 1]
        stray = re.sub(r"\{[^{}]*\}", "", self.text)
        if unknown or twice or not fields or set("{}") & set(stray):
            raise FathomError(
                f"the pattern {self.text!r} is none: it consists of {{patient}}, {{slide}} and "
                "{field}, each once at most, of * for what says nothing, and of other text, such "
                "as {patient}_{slide}_{field}"
            )

    def read(self, stems: Sequence[str]) -> dict[str, Origin]:
        """Return whose each image is, by its path without suffix.

        Without `{slide}` each image is a slide of its own, without `{patient}` each slide a patient
        of its own. Raises `FathomError` that names the images which do not fit.
        """
        found: dict[str, Origin] = {}
        unfit = []
        for stem in stems:
            match = self._expression.search(stem)
            if match is None:
                unfit.append(stem)
                continue
            parts = match.groupdict()
            slide = parts.get("slide") or stem
            patient = parts.get("patient")
            # p1's slide 1 is not p2's: a slide belongs to one patient.
            if patient and parts.get("slide"):
                slide = f"{patient}_{slide}"
            found[stem] = Origin(patient or slide, slide)
        if unfit:
            raise FathomError(
                f"the pattern {self.text!r} does not fit {len(unfit)} of {len(stems)} images, such "
                f"as {unfit[0]!r}; give another with --pattern"
            )
        return found

    @property
    def _expression(self) -> re.Pattern[str]:
        written = ""
        for part in _PARTS.finditer(self.text):
            if part[1]:
                written += f"(?P<{part[1]}>[^/]+?)"
            else:
                written += "[^/]*?" if part[0] == "*" else re.escape(part[0])
        return re.compile(f"(?:^|/){written}$")


def guess(stems: Sequence[str]) -> Pattern:
    """Return the pattern that names suggest: what differs is patient, slide and field, in order.

    A `*` in a name stands for what says nothing of these. Names that are not all built alike give
    `{field}`: each image is a patient of its own.
    """
    for name_alone in (False, True):
        split = [_TOKENS.findall(stem.rpartition("/")[2] if name_alone else stem) for stem in stems]
        shape = {tuple(t if t in _SEPARATORS else "" for t in tokens) for tokens in split}
        if len(shape) != 1:
            continue
        columns = list(zip(*split, strict=True))
        pattern = _named(columns)
        if pattern and _useful(pattern, stems):
            return pattern
    return Pattern("{field}")


def _named(columns: list[tuple[str, ...]]) -> Pattern | None:
    differing = [place for place, column in enumerate(columns) if len(set(column)) > 1]
    if len(differing) < 2:
        return None
    names = {differing[0]: "{patient}", differing[-1]: "{field}"}
    if len(differing) > 2:
        names[differing[1]] = "{slide}"
    text = "".join(
        names.get(place, column[0] if len(set(column)) == 1 else "*")
        for place, column in enumerate(columns)
    )
    return Pattern(text)


def _useful(pattern: Pattern, stems: Sequence[str]) -> bool:
    """Return whether it binds images together, and not all of them."""
    try:
        patients = {origin.patient for origin in pattern.read(stems).values()}
    except FathomError:
        return False
    return 1 < len(patients) < len(stems)
