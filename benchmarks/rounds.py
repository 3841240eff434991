"""Both sides of a speed, measured in turn: ratios within a round, and how they are told."""

from collections.abc import Sequence
from statistics import median


def ratio(own: Sequence[float], beside: Sequence[float]) -> dict[str, float]:
    """Return the median, least and most of one side's speed to the other's, round by round.

    A round's two sides ran one after the other, so what else the machine did weighs on both.
    """
    ratios = [one / other for one, other in zip(own, beside, strict=True)]
    return {
        "median": round(median(ratios), 3),
        "least": round(min(ratios), 3),
        "most": round(max(ratios), 3),
    }


def in_words(found: dict[str, float], digits: int = 2) -> str:
    """Return what `ratio` did: the median, least and most in parentheses."""
    middle, least, most = (f"{found[key]:.{digits}f}" for key in ("median", "least", "most"))
    return f"{middle} ({least} to {most})"
