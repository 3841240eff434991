"""Names that may be one name, typed carelessly or mangled by a spreadsheet.

A spreadsheet takes what looks like a number or a date for one: `007` becomes `7`, `1.10` becomes
`1.1`, `12E3` becomes `1.20E+04`, `1-2` becomes `02-Jan`, and a long number is rounded. So names are
compared as words, as numbers and as dates.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from itertools import combinations

_LOOKALIKES = str.maketrans("oilz", "0112")
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?(?:e[+-]?\d{1,3})?")
_ROUNDED = re.compile(r"(\d)[.,](\d{2,})e\+?(\d{1,3})")  # as a spreadsheet shows a long number
_LONG = re.compile(r"\d{12,}")  # from twelve digits on it does
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_FORMS = {
    form: re.compile(pattern)
    for form, pattern in (
        ("year first", r"(?P<y>\d{4})[-./](?P<m>\d{1,2})[-./](?P<d>\d{1,2})"),
        ("eight digits", r"(?P<y>(?:19|20)\d\d)(?P<m>\d\d)(?P<d>\d\d)"),
        ("year last", r"(?P<one>\d{1,2})[-./](?P<other>\d{1,2})[-./](?P<y>\d{4}|\d{2})"),
        ("no year", r"(?P<one>\d{1,2})[-/](?P<other>\d{1,2})"),
        ("day, month", r"(?P<d>\d{1,2})[-. ]*(?P<m>[a-z]{3,9})\.?(?:[-., ]*(?P<y>\d{4}|\d{2}))?"),
        ("month, day", r"(?P<m>[a-z]{3,9})[-. ]*(?P<d>\d{1,2})(?:[-., ]+(?P<y>\d{4}))?"),
    )
}
_EPOCH = date(1899, 12, 30)  # day 0 of a spreadsheet's dates
_SERIALS = range(20_000, 60_000)  # 1954 to 2064

Day = tuple[int | None, int, int]  # year where it is given, month, day


def alike(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the groups of two and more names that may be one, each sorted, in order."""
    different = sorted(set(names))
    group = {name: {name} for name in different}
    for one, other in _pairs(different):
        if group[one] is not group[other]:
            group[one] |= group[other]
            for name in group[other]:
                group[name] = group[one]
    groups = {tuple(sorted(members)) for members in group.values() if len(members) > 1}
    return sorted(groups)


def canonical(name: str) -> tuple[str, ...]:
    """Return what remains of a name when it is typed carelessly: "P07", "p 7 " and "p-7" are one.

    Case, white space, punctuation and Unicode forms do not count, nor do leading zeros; in a run of
    digits the letters that look like digits are digits ("PO7"). Numbers stay apart from their
    neighbours, so that "p1-2" is not "p12".
    """
    text = _folded(name)
    text = re.sub(r"(?<=\d)[oil](?=\d|\b)|(?<![a-z])[oil](?=\d)", _digit, text)
    # P07 with the letter O: a lone letter before it, a digit after it.
    text = re.sub(r"(?<=\b[a-z])[oil](?=\d)", _digit, text)
    return tuple(
        part.lstrip("0") or "0" if part.isdigit() else part
        for part in re.findall(r"\d+|[^\W\d_]+", text)
    )


def rounded(name: str) -> bool:
    """Return whether a spreadsheet may have rounded this name: `1.23457E+17` stands for many."""
    match = _ROUNDED.fullmatch(_folded(name))
    return match is not None and int(match[3]) > len(match[2])


def _pairs(names: list[str]) -> Iterator[tuple[str, str]]:
    yield from _equal(names, canonical)
    yield from _equal([name for name in names if not _in_series(name, names)], _number)
    yield from _same_days(names)
    yield from _rounded_pairs(names)


def _equal(names: list[str], key: Callable[[str], object]) -> Iterator[tuple[str, str]]:
    first: dict[object, str] = {}
    for name in names:
        value = key(name)
        if value is not None and value != ():
            yield first.setdefault(value, name), name


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _digit(letter: re.Match[str]) -> str:
    return letter[0].translate(_LOOKALIKES)


def _number(name: str) -> Decimal | None:
    text = _folded(name)
    if not _NUMBER.fullmatch(text):
        return None
    return Decimal(text.replace(",", ".")).normalize()


def _in_series(name: str, names: list[str]) -> bool:
    """Return whether `name` counts upwards behind a point: 1.10 is the tenth where 1.9 is there."""
    whole, point, _ = _folded(name).partition(".")
    return bool(point) and f"{whole}.9" in names


def _rounded_pairs(names: list[str]) -> Iterator[tuple[str, str]]:
    long = [name for name in names if _LONG.fullmatch(_folded(name))]
    for name in filter(rounded, names):
        decimals = len(_folded(name).partition("e")[0]) - 2
        for other in long:
            if Decimal(f"{Decimal(_folded(other)):.{decimals}E}") == _number(name):
                yield name, other


def _same_days(names: list[str]) -> Iterator[tuple[str, str]]:
    """Yield pairs of dates that may be one day.

    Two names of one form are read in one way, whichever that is: 1/2/2022 is not 2/1/2022.
    """
    by_day: dict[tuple[int, int], list[tuple[str, str, int, Day]]] = {}
    for name in names:
        form, days = _days(name)
        for order, day in enumerate(days):
            by_day.setdefault(day[1:], []).append((name, form, order, day))
    for found in by_day.values():
        for (one, form, order, day), (other, form_2, order_2, day_2) in combinations(found, 2):
            same_year = day[0] == day_2[0] or None in (day[0], day_2[0])
            if one != other and same_year and (form != form_2 or order == order_2 == 0):
                yield one, other


def _days(name: str) -> tuple[str, list[Day]]:
    """Return the form of a date and the days it may be, day before month first."""
    text = re.sub(r"[ t]0?0:00(:00)?$", "", _folded(name))
    for form, pattern in _FORMS.items():
        if match := pattern.fullmatch(text):
            return form, [day for day in _read(match.groupdict()) if _is_day(day)]
    if text.isdecimal() and int(text) in _SERIALS:
        day = _EPOCH + timedelta(days=int(text))
        return "serial number", [(day.year, day.month, day.day)]
    return "", []


def _read(parts: dict[str, str | None]) -> list[Day]:
    year = int(given) if (given := parts.get("y")) else None
    year = year + 2000 if year is not None and year < 100 else year
    if (one := parts.get("one")) and (other := parts.get("other")):
        return [(year, int(other), int(one)), (year, int(one), int(other))]
    day, month = parts["d"] or "", parts["m"] or ""
    if month.isdecimal():
        return [(year, int(month), int(day))]
    named = (number for number, full in enumerate(_MONTHS, start=1) if full.startswith(month))
    return [(year, number, int(day)) for number in named]


def _is_day(day: Day) -> bool:
    return 1 <= day[1] <= 12 and 1 <= day[2] <= 31
