"""Names that may be one name, typed carelessly or mangled by a spreadsheet.

A spreadsheet takes what looks like a number, a time or a day for one: `007` becomes `7`, `1.10`
becomes `1.1`, `12E3` becomes `1.20E+04`, `1,234` becomes `1234`, `50%` becomes `0.5`, `10:30`
becomes `0.4375`, `1-2` becomes `02-Jan`, and a long number is rounded. So names are compared as
words, as numbers and as days.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import chain, combinations, product

from fathom.datasets.spelled_days import Day, days

_LOOKALIKES = str.maketrans("oilz", "0112")
_NUMBER = re.compile(r"([+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[+-]?\d{1,3})?)( ?%)?")
_THOUSANDS = re.compile(
    r"(?P<whole>[+-]?\d{1,3}(?P<mark>[.,' \u2019])\d{3}(?:(?P=mark)\d{3})*)"
    r"(?:(?!(?P=mark))[.,](?P<decimals>\d+))?(?P<percent> ?%)?"
)
_TIME = re.compile(r"(\d{1,4}):(\d{2})(?::(\d{2}))?(?: ?([ap])\.?m\.?)?")
_DAY_S = 86_400
_FRACTION = 20  # decimals of a share of a day: more than any spreadsheet keeps
_ROUNDED = re.compile(r"(\d)[.,](\d{2,})e\+?(\d{1,3})")  # as a spreadsheet shows a long number
_LONG = re.compile(r"\d{12,}")  # from twelve digits on it does
_KEPT = 15  # digits of a number that a spreadsheet keeps; the rest become 0


def alike(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the groups of two and more names that may be one, each sorted, in order."""
    different = sorted(set(names))
    group = {name: {name} for name in different}
    for one, other in _pairs(different):
        if group[one] is not group[other]:
            fewer, more = sorted((group[one], group[other]), key=len)
            more |= fewer
            for name in fewer:
                group[name] = more
    groups = {id(members): members for members in group.values()}
    return sorted(tuple(sorted(members)) for members in groups.values() if len(members) > 1)


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
    """Return whether a spreadsheet may have rounded this name: `1.23457E+17` stands for many.

    So does `123456789012345000`; of fewer zeros behind 15 digits too many numbers have them by
    chance.
    """
    text = _folded(name)
    match = _ROUNDED.fullmatch(text)
    if match is not None:
        return int(match[3]) > len(match[2])
    return bool(_LONG.fullmatch(text)) and bool(re.fullmatch(r"0{3,}", text[_KEPT:]))


def _pairs(names: list[str]) -> Iterator[tuple[str, str]]:
    yield from _equal(names, lambda name: filter(None, [canonical(name)]))
    yield from _equal([name for name in names if not _in_series(name, names)], _numbers)
    yield from _times(names)
    yield from _same_days(names)
    yield from _rounded_pairs(names)


def _equal(names: list[str], keys: Callable[[str], Iterable[object]]) -> Iterator[tuple[str, str]]:
    first: dict[object, str] = {}
    for name in names:
        for key in keys(name):
            if (earlier := first.setdefault(key, name)) != name:
                yield earlier, name


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _digit(letter: re.Match[str]) -> str:
    return letter[0].translate(_LOOKALIKES)


def _numbers(name: str) -> set[Decimal]:
    """Return the numbers that a name may be: `1,234` is one and a bit, or a thousand."""
    text = _folded(name)
    found = set()
    if match := _NUMBER.fullmatch(text):
        found.add(_scaled(match[1].replace(",", "."), match[2]))
    if match := _THOUSANDS.fullmatch(text):
        whole = match["whole"].replace(match["mark"], "")
        found.add(_scaled(f"{whole}.{match['decimals'] or 0}", match["percent"]))
    return found


def _scaled(text: str, percent: str | None) -> Decimal:
    number = Decimal(text)
    return (number / 100 if percent else number).normalize()


def _in_series(name: str, names: list[str]) -> bool:
    """Return whether `name` counts upwards behind a point: 1.10 is the tenth where 1.9 is there."""
    whole, point, _ = _folded(name).partition(".")
    return bool(point) and f"{whole}.9" in names


def _times(names: list[str]) -> Iterator[tuple[str, str]]:
    """Yield times of a day with each other, and with the fraction of a day that stands for one."""
    times = {name: share for name in names if (share := _share_of_day(name)) is not None}
    yield from _equal(list(times), lambda name: [times[name]])
    shown: dict[int, dict[Decimal, list[str]]] = {}  # times, as fractions of so many decimals
    for name in names if times else ():
        for number in _numbers(name):
            places = -int(number.as_tuple().exponent)
            for decimals in {14, places} if 6 <= places <= _FRACTION else {14}:
                if decimals not in shown:
                    shown[decimals] = {}
                    for time, share in times.items():
                        shown[decimals].setdefault(round(share, decimals), []).append(time)
                yield from ((time, name) for time in shown[decimals].get(number, ()))


def _share_of_day(name: str) -> Decimal | None:
    match = _TIME.fullmatch(_folded(name))
    if match is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.groups()[:3])
    if match[4]:
        hours = hours % 12 + 12 * (match[4] == "p")
    return Decimal(hours * 3600 + minutes * 60 + seconds) / _DAY_S


def _rounded_pairs(names: list[str]) -> Iterator[tuple[str, str]]:
    long = {name: digits for name in names if _LONG.fullmatch(digits := _folded(name))}
    shown: dict[int, dict[Decimal, list[str]]] = {}  # long ones, as so many decimals show them
    for name in (name for name in names if _ROUNDED.fullmatch(_folded(name))):
        decimals = len(_folded(name).partition("e")[0]) - 2
        if decimals not in shown:
            shown[decimals] = {}
            for other, digits in long.items():
                number = Decimal(f"{Decimal(digits):.{decimals}E}")
                shown[decimals].setdefault(number, []).append(other)
        for number in _numbers(name):
            yield from ((name, other) for other in shown[decimals].get(number, ()))
    spelled: dict[str, list[str]] = {}
    for name, digits in long.items():
        spelled.setdefault(digits, []).append(name)
    for name, digits in long.items():
        kept, rest = digits[:_KEPT], "0" * len(digits[_KEPT:])
        for cut in {f"{kept}{rest}", f"{int(kept) + 1}{rest}"} if rest else ():
            yield from ((other, name) for other in spelled.get(cut, ()) if other != name)


def _same_days(names: list[str]) -> Iterator[tuple[str, str]]:
    """Yield pairs of dates that may be one day.

    Two names that can be read in one way are read in no other: 1/2/2022 is not 2/1/2022, and May-01
    is not the May of 2001 where there is May-22.
    """
    readings = {name: found for name in names if (found := days(name))}
    by_day: dict[tuple[int | None, int, int], dict[str, list[Day]]] = {}
    for name, found in readings.items():
        for day in found:
            whole = (day.year, day.month, day.day)
            by_day.setdefault(whole, {}).setdefault(name, []).append(day)
    forms = {name: {day.form for day in found} for name, found in readings.items()}
    for (year, month, number), same in by_day.items():
        undated = {} if year is None else by_day.get((None, month, number), {})
        pairs = chain(
            ((one, other, same) for one, other in combinations(same, 2)),
            ((one, other, undated) for one, other in product(same, undated) if one != other),
        )
        for one, other, of_other in pairs:
            shared = forms[one] & forms[other]
            if any(
                not shared or (day.form in shared and day[:2] == day_2[:2])
                for day, day_2 in product(same[one], of_other[other])
            ):
                yield one, other
