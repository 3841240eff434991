"""A row as all tables and pictures print it: its numbers, and the mark of networks that failed.

Numbers between -1 and 1 stand without their 0: `.656 [.601, .712]`.

A network diverged where no epoch had a finite validation loss: its weights are the initial ones. It
is constant where it gives every nucleus the same answer. Neither says anything of what it was
trained for, whatever it scores.
"""

from collections.abc import Iterator, Mapping

from fathom.study.rows import short

Numbers = Mapping[str, float]

SILENT, UNUSABLE = "†", "‡"  # some of the folds' networks failed; the final one did


def failed(numbers: Numbers) -> int:
    """Return how many of the folds' networks failed at least, by the metrics of a row.

    A network that diverged may be constant as well, so that the two are not added.
    """
    return int(max(numbers.get("constant_cells", 0), numbers.get("diverged_cells", 0)))


def final_failed(numbers: Numbers) -> bool:
    """Return whether the final network of a row failed, by its metrics."""
    return bool(numbers.get("final_diverged") or numbers.get("final_constant"))


def mark(numbers: Numbers) -> str:
    """Return what stands behind the name of a row in every table and picture, by its metrics."""
    return SILENT * bool(failed(numbers)) + UNUSABLE * final_failed(numbers)


def marked(name: str, numbers: Numbers) -> str:
    """Return a name as tables and pictures print it, with its `mark`."""
    return short(name) + mark(numbers)


def mark_notes(name: str, numbers: Numbers) -> Iterator[str]:
    """Yield what the mark of a row means, a sentence each."""
    cells = numbers["cells"] if failed(numbers) else 0
    if numbers.get("constant_cells"):
        yield (
            f"{SILENT} {short(name)}: {numbers['constant_cells']} of {cells} networks say the same "
            "of every nucleus."
        )
    if numbers.get("diverged_cells"):
        yield (
            f"{SILENT} {short(name)}: {numbers['diverged_cells']} of {cells} networks diverged, "
            "and kept the weights they began with."
        )
    if final_failed(numbers):
        how = "diverged" if numbers.get("final_diverged") else "says the same of every nucleus"
        yield (
            f"{UNUSABLE} {short(name)}: the final network {how}. It is not chosen as the best, "
            "and `fathom predict` refuses it."
        )


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


def with_interval(numbers: Numbers, name: str) -> str:
    """Return the number called `name` with its interval: `.656 [.601, .712]`."""
    low, high = (decimal(numbers[f"{name}_{end}"]) for end in ("low", "high"))
    return f"{decimal(numbers[name])} [{low}, {high}]"


def signed_interval(estimate: float, low: float | None, high: float | None) -> str:
    """Return a difference with its interval, `+.034 [-.021, +.090]`; alone where it has none."""
    if low is None or high is None:
        return signed(estimate)
    return f"{signed(estimate)} [{signed(low)}, {signed(high)}]"


def signed_with_interval(numbers: Numbers, name: str) -> str:
    """Return the difference called `name` with its interval: `+.034 [-.021, +.090]`."""
    return signed_interval(numbers[name], numbers[f"{name}_low"], numbers[f"{name}_high"])


def difference(numbers: Numbers, name: str) -> str:
    """Return the difference called `name` as tables print it: with `*` where it is claimed."""
    return signed_with_interval(numbers, name) + "*" * bool(numbers[f"{name}_claim"])
