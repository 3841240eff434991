"""Which cures free a network from its plateau: exact tests at looks that are fixed beforehand.

An arm is a network under one recipe, trained as many times as there are (seed, fold) units. Arms
are compared with the base at 6, 9 and 12 networks by the share that left the plateau, with Fisher's
exact test, one-sided. An arm of which no more than half left is not continued: after 3 networks
that parts what does nothing from what may be a cure, and nothing else is said there. The alphas of
the looks add up to .05, each is shared among all cures that the budget allows, and what is rejected
hands its part to the others. The cures that the network's own findings call for have the larger
part (`CALLED_FOR`). That is the closed test of Marcus, Peritz & Gabriel 1976 with Bonferroni's
bound over looks and cures (Holm 1979 at each look, with weights): a cure that does nothing is
called one in at most 5 % of ladders, whatever is trained in which order, and the order of the arms
does not matter. benchmarks/null_ladders.py measures it.

Beside it stands when networks left: medians, and an exact test of arms of one rate and budget. It
decides nothing.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import inf, sqrt

import numpy as np
from scipy import stats

from fathom.statistics.metrics import wilson_interval

Epochs = Sequence[int | None]  # of each network; None: it did not leave


@dataclass(frozen=True)
class Look:
    """So many networks an arm, tested at this level."""

    networks: int
    alpha: float


LOOKS = (Look(6, 0.01), Look(9, 0.015), Look(12, 0.025))
FIRST, SECOND, LAST = (look.networks for look in LOOKS)
SCREEN = 3  # networks of an arm before its first look; nothing is claimed of them
# Alpha is shared: among more, not even six that all left against six of which none did were shown.
MOST_CURES = 9
# Of each level, to share among the cures that a finding calls for; the others share the rest. A
# general cure that works where the called-for ones do not leaves the network unexplained.
CALLED_FOR = 0.8
TINY = 1e-9  # rounding


@dataclass(frozen=True)
class Tally:
    """How many of an arm's networks left the plateau."""

    left: int
    networks: int

    def __str__(self) -> str:
        return f"{self.left} of {self.networks}"

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the exact interval of the share that leaves (Clopper & Pearson 1934)."""
        if not self.networks:
            return 0.0, 1.0
        found = stats.binomtest(self.left, self.networks).proportion_ci(confidence, "exact")
        return float(found.low), float(found.high)


def tally(outcomes: Sequence[bool], networks: int | None = None) -> Tally:
    """Count the first `networks` outcomes, or all."""
    counted = outcomes[:networks]
    return Tally(sum(map(bool, counted)), len(counted))


@cache
def p_value(cured: Tally, base: Tally) -> float:
    """Return the one-sided p value of Fisher's exact test: more leave in `cured`."""
    table = np.array([[one.left, one.networks - one.left] for one in (cured, base)])
    return float(stats.fisher_exact(table, alternative="greater").pvalue)


def freed(
    base: Sequence[bool],
    arms: Mapping[str, Sequence[bool]],
    cures: int,
    called_for: Collection[str] = (),
    looks: Sequence[Look] = LOOKS,
) -> dict[str, int]:
    """Return the arms that free the network, and with how many networks an arm that was shown.

    `base` and `arms` are the outcomes, in the order of the units. `cures` is the number of arms
    that were allowed before the first was trained, at least as many as there are; `called_for` are
    those that a finding called for then.
    """
    found: dict[str, int] = {}
    while new := _rejected(base, arms, part_of_level(cures, called_for, found), looks):
        found |= new
    return found


Part = Callable[[str], float]


def part_of_level(cures: int, called_for: Collection[str], shown: Collection[str]) -> Part:
    """Return which part of a look's level is that of an arm, by name; 0 of one that was shown."""
    wanted = min(len(called_for), cures)
    others = cures - wanted
    together = max(CALLED_FOR, wanted / cures) if wanted and others else wanted / cures

    def weight(name: str) -> float:
        return together / wanted if name in called_for else (1 - together) / max(others, 1)

    unshown = 1 - sum(map(weight, shown))
    return lambda name: 0.0 if name in shown else min(1.0, weight(name) / max(unshown, TINY))


def _rejected(
    base: Sequence[bool],
    arms: Mapping[str, Sequence[bool]],
    part: Part,
    looks: Sequence[Look],
) -> dict[str, int]:
    found = {}
    for name, outcomes in arms.items():
        for look in looks:
            n = look.networks
            if name in found or min(len(outcomes), len(base)) < n:
                continue
            if p_value(tally(outcomes, n), tally(base, n)) <= look.alpha * part(name):
                found[name] = n
    return found


def next_look(base: Sequence[bool], outcomes: Sequence[bool], part: float) -> int | None:
    """Return how many networks an open arm should have next, or None where more are no use.

    None: all looks are done; or no more than half of its networks left, for a half cure is never
    shown by twelve; or it could not be shown if all further networks of the arm left and none of
    the base did. `part` of each look's level is the arm's.
    """
    ahead = [look for look in LOOKS if look.networks > len(outcomes)]
    if not ahead or (outcomes and 2 * sum(outcomes) <= len(outcomes)):
        return None
    for look in ahead:
        n = look.networks
        best = Tally(n - len(outcomes) + sum(outcomes), n)
        worst = Tally(sum(base[:n]), n)
        if p_value(best, worst) <= look.alpha * part:
            return ahead[0].networks
    return None


def open_arms(
    base: Sequence[bool],
    arms: Mapping[str, Sequence[bool]],
    cures: int,
    called_for: Collection[str] = (),
) -> dict[str, int]:
    """Return the arms that are neither shown nor hopeless, and how many networks they ask for.

    The base is to have as many. An arm that is ahead of the base waits for it.
    """
    part = part_of_level(cures, called_for, freed(base, arms, cures, called_for))
    asked = {
        name: next_look(base, outcomes[: len(base)], part(name)) for name, outcomes in arms.items()
    }
    return {name: networks for name, networks in asked.items() if networks}


def in_turn(asked: Mapping[str, int], arms: Mapping[str, Sequence[bool]]) -> list[str]:
    """Return the arms that `open_arms` asks for, the one first of which most left.

    One at a time goes on, as far as there are networks: a budget that is spread over all decides
    none. Ties go to the earlier arm.
    """
    return sorted(asked, key=lambda name: -float(np.mean(arms[name])))


def newcombe_interval(one: Tally, other: Tally, confidence: float) -> tuple[float, float]:
    """Return the interval of the difference of two shares, `one` minus `other`.

    The hybrid score interval (Newcombe 1998, Stat. Med. 17:873, method 10).
    """
    p, q = one.left / one.networks, other.left / other.networks
    (low_p, high_p), (low_q, high_q) = (
        wilson_interval(each.left, each.networks, confidence) for each in (one, other)
    )
    low = p - q - sqrt((p - low_p) ** 2 + (high_q - q) ** 2)
    high = p - q + sqrt((high_p - p) ** 2 + (q - low_q) ** 2)
    return low, high


def median_epoch(epochs: Epochs) -> float:
    """Return the median epoch at which networks left; infinite where the median never did."""
    return float(np.median(_ordered(epochs))) if epochs else inf


def earlier_p_value(
    base: Epochs, base_folds: Sequence[int], arm: Epochs, arm_folds: Sequence[int]
) -> float:
    """Return the one-sided p value that the arm leaves earlier than the base, by ranks.

    An exact permutation of the ranks within folds: networks of one fold share their nuclei. A
    network that did not leave comes last, tied with its like. Only arms of the same learning rate
    and number of epochs may be compared. 1 where no fold has networks of both.
    """
    sums, observed = Counter({0: 1}), 0
    for fold in sorted(set(base_folds) & set(arm_folds)):
        before = [epoch for epoch, one in zip(base, base_folds, strict=True) if one == fold]
        after = [epoch for epoch, one in zip(arm, arm_folds, strict=True) if one == fold]
        # Twice the ranks: whole numbers, ties included.
        ranks = (2 * stats.rankdata([*_ordered(after), *_ordered(before)])).astype(int).tolist()
        observed += sum(ranks[: len(after)])
        sums = _added(sums, _sums_of(ranks, len(after)))
    total = sum(sums.values())
    return sum(number for value, number in sums.items() if value <= observed) / total


def _sums_of(ranks: Sequence[int], chosen: int) -> Counter[int]:
    """Count the sums of all choices of so many ranks, without listing the choices."""
    sums = [Counter({0: 1}), *(Counter[int]() for _ in range(chosen))]  # by how many were chosen
    for rank in ranks:
        for n in range(chosen, 0, -1):
            for total, number in sums[n - 1].items():
                sums[n][total + rank] += number
    return sums[chosen]


def _added(one: Counter[int], other: Counter[int]) -> Counter[int]:
    """Return the counts of the sums of two independent counts."""
    found: Counter[int] = Counter()
    for a, n in one.items():
        for b, m in other.items():
            found[a + b] += n * m
    return found


def _ordered(epochs: Epochs) -> list[float]:
    return [inf if epoch is None else float(epoch) for epoch in epochs]
