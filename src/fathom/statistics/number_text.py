"""Numbers between -1 and 1 as tables and pictures print them: `.656 [.601, .712]`."""

from collections.abc import Mapping


def decimal(value: float, digits: int = 3) -> str:
    """Return `.656`, `-.034` or `1.000`."""
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("0.", ".", 1) if abs(float(text)) < 1 else text


def signed(value: float) -> str:
    """Return `+.034` or `-.034`; a difference that rounds to nothing has no sign."""
    text = decimal(value)
    return text if text.startswith("-") or float(text) == 0 else f"+{text}"


def with_interval(numbers: Mapping[str, float], name: str) -> str:
    """Return the number called `name` with its interval: `.656 [.601, .712]`."""
    low, high = (decimal(numbers[f"{name}_{end}"]) for end in ("low", "high"))
    return f"{decimal(numbers[name])} [{low}, {high}]"


def difference(numbers: Mapping[str, float], name: str) -> str:
    """Return the difference called `name`: `+.034 [-.021, +.090]`; `*` where it is claimed."""
    low, high = numbers[f"{name}_low"], numbers[f"{name}_high"]
    mark = "*" if numbers[f"{name}_claim"] else ""
    return f"{signed(numbers[name])} [{signed(low)}, {signed(high)}]{mark}"
