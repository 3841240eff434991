"""Days as people and spreadsheets write them, in six languages.

Typed into a cell, `1-2`, `2022-05`, `MARCH1` and `DEZ1` become days. What is shown for one hangs on
the language of the program, and its number is that of days since 1899.
"""

import re
import unicodedata
from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple

# English, German, French, Spanish, Italian, Dutch, without accents; any beginning of three letters
# stands for its month, and so does what stands here in short.
_MONTHS = (
    "january januar jaenner janner janvier enero gennaio januari",
    "february februar fevrier febrero febbraio februari",
    "march marz maerz mrz mars marzo maart mrt",
    "april avril abril aprile",
    "may mai mayo maggio mei",
    "june juni juin junio giugno",
    "july juli juillet julio luglio",
    "august aout agosto augustus",
    "september septembre septiembre settembre",
    "october oktober octobre octubre ottobre",
    "november novembre noviembre",
    "december dezember decembre diciembre dicembre",
)
_MONTH = r"(?P<m>[a-z]{3,10})\.?"
_FORMS = {
    form: re.compile(pattern)
    for form, pattern in (
        ("year first", r"(?P<y>\d{4})[-./](?P<m>\d{1,2})[-./](?P<d>\d{1,2})"),
        ("eight digits", r"(?P<y>(?:19|20)\d\d)(?P<m>\d\d)(?P<d>\d\d)"),
        ("year last", r"(?P<one>\d{1,2})[-./](?P<other>\d{1,2})[-./](?P<y>\d{4}|\d{2})"),
        ("no year", r"(?P<one>\d{1,2})[-/](?P<other>\d{1,2})"),
        ("year, month", r"(?P<y>\d{4})[-./](?P<m>\d{1,2})"),
        ("month, year", r"(?P<m>\d{1,2})[-./](?P<y>\d{4})"),
        ("day, name", rf"(?P<d>\d{{1,2}})[-. ]*{_MONTH}(?:[-., ]*(?P<y>\d{{4}}|\d{{2}}))?"),
        ("name, day", rf"{_MONTH}[-. ]*(?P<d>\d{{1,2}})(?:[-., ]+(?P<y>\d{{4}}))?"),
        ("name, year", rf"{_MONTH}[-., ]*(?P<y>\d{{4}}|\d{{2}})"),
    )
}
_MIDNIGHT = re.compile(r"[ t](0?0:00(:00(\.0+)?)?|12:00(:00)? ?am)(z|[+-]00:?00)?$")
_EPOCH = date(1899, 12, 30)  # day 0 of a spreadsheet's dates
_SERIALS = range(20_000, 60_000)  # 1954 to 2064


class Day(NamedTuple):
    """A day that a name may be, and how it was read as one."""

    form: str
    order: int  # day before month is 0
    year: int | None
    month: int
    day: int


def days(name: str) -> list[Day]:
    """Return every day that a name may be, none where it is no date.

    A month without a day is its first: `2022-05`, `May 2022`.
    """
    text = unicodedata.normalize("NFKD", name).strip().casefold()
    text = "".join(character for character in text if not unicodedata.combining(character))
    text = _MIDNIGHT.sub("", text)
    found = [
        Day(form, order, *day)
        for form, pattern in _FORMS.items()
        if (match := pattern.fullmatch(text))
        for order, day in enumerate(_read(match.groupdict()))
        if 1 <= day[1] <= 12 and 1 <= day[2] <= 31
    ]
    # A serial number with a fraction is a time of that day.
    if re.fullmatch(r"\d{5}(\.0+)?", text) and (serial := int(text[:5])) in _SERIALS:
        day = _EPOCH + timedelta(days=serial)
        found.append(Day("serial number", 0, day.year, day.month, day.day))
    return found


def _read(parts: dict[str, str | None]) -> Iterator[tuple[int | None, int, int]]:
    year = int(given) if (given := parts.get("y")) else None
    year = year + 2000 if year is not None and year < 100 else year
    if (one := parts.get("one")) and (other := parts.get("other")):
        yield year, int(other), int(one)
        yield year, int(one), int(other)
        return
    day, month = int(parts.get("d") or 1), parts["m"] or ""
    if month.isdecimal():
        yield year, int(month), day
        return
    for number, names in enumerate(_MONTHS, start=1):
        if any(full.startswith(month) for full in names.split()):
            yield year, number, day
