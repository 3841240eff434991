"""Dividing whole units (groups of nuclei) into parts that are alike in class and in size.

**The objective.** Part f shall hold the share s_f of everything. With n_ft the nuclei of kind t in
part f (t: negative, positive, all) and N_t those of kind t altogether, the imbalance J is

    J^2 = 1/3 sum_t sum_f s_f (n_ft / (s_f N_t) - 1)^2

the root mean square of the relative deviations from the shares: at J = .05 the parts are typically
5 % off. The rarer class counts as much as the commoner one, for it limits what can be learned and
measured; "all" is the size. Unlike a sum of absolute deviations J still prefers the most even rest
where one unit is larger than any part should be.

**The constraint.** Each part holds at least `least` units with negative and as many with positive
nuclei. It can be met if, and only if, each class stands in `least` x parts units: deal out the
units with both classes first, one a place; fill the places that are left with a unit of each class,
of which there are enough, as no other place needs them.

**The search.** Starts that meet the constraint, each improved by the best exchange of two units
between two parts, or move of one, until none helps (Kernighan & Lin 1970, Bell Syst. Tech. J.
49:291). The numbers of starts are fixed and no clock is asked: same units and generator, same
parts. `fathom.splitting.division_proof` then looks for anything better, and bounds what any
division can be.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from fathom.ground.arrays import Floats, Ints
from fathom.ground.errors import FathomError

KINDS = 3  # negative, positive, all
BROKEN = 1e6  # cost of a unit that a part lacks: more than any imbalance
ROUNDING = 1e-10  # a smaller gain in J^2 is none
EXCHANGED = 200  # units of a part that are tried against those of another, at most
STARTS = 64  # at most, and
WORK = 10_000  # units x parts in all starts together, but two starts at least


@dataclass(frozen=True)
class Units:
    """What is to be divided, and into what."""

    counts: Ints  # (units, 2): negative and positive nuclei of each unit
    shares: Floats  # (parts,): all the same, or two; their sum is 1
    least: int  # units with each class that every part must hold

    @cached_property
    def traits(self) -> Ints:
        """(units, 5): negative, positive, all nuclei; whether it has negative, positive ones."""
        return np.hstack([self.counts, self.counts.sum(1, keepdims=True), self.counts > 0])

    @cached_property
    def totals(self) -> Ints:
        """(3,): all nuclei of each kind."""
        totals: Ints = self.traits[:, :KINDS].sum(0)
        return totals

    @cached_property
    def alike(self) -> bool:
        """Whether all parts have the same share, so that they can be renamed."""
        return bool(np.ptp(self.shares) < 1e-12)

    def deviations(self, loads: Ints, part: int | slice = slice(None)) -> Floats:
        """Return n_ft / (s_f N_t) - 1 for summed traits (..., 5) of part(s) `part`: (..., 3)."""
        wanted = self.shares[part, None] * self.totals
        deviations: Floats = loads[..., :KINDS] / wanted - 1
        return deviations

    def cost(self, loads: Ints, part: int | slice = slice(None)) -> Floats:
        """Return what part(s) `part` add to J^2 (and to `BROKEN`) with summed traits (..., 5)."""
        off, lacking = self.deviations(loads, part), np.maximum(self.least - loads[..., KINDS:], 0)
        # Written out: a sum along the last axis is slower, and its order is not promised.
        square = off[..., 0] ** 2 + off[..., 1] ** 2 + off[..., 2] ** 2
        cost: Floats = self.shares[part] / KINDS * square
        return cost + BROKEN * (lacking[..., 0] + lacking[..., 1])

    def loads(self, parts: Ints) -> Ints:
        """Return the summed traits of each part, (parts, 5); units in part -1 are in none."""
        loads = np.zeros((len(self.shares), self.traits.shape[1]), dtype=np.int64)
        np.add.at(loads, parts[parts >= 0], self.traits[parts >= 0])
        return loads

    def imbalance(self, parts: Ints) -> float:
        """Return J of a division."""
        return float(np.sqrt(self.cost(self.loads(parts)).sum()))


@dataclass(frozen=True)
class Division:
    """Parts of units, how far from even they are, and how much better any others could be."""

    parts: Ints  # (units,): the part of each
    imbalance: float  # J
    bound: float  # no division that meets the constraint has a smaller J


def check_divisible(units: Units) -> None:
    """Raise `FathomError` where no division meets the constraint, and only there."""
    needed = units.least * len(units.shares)
    negative, positive = (units.counts > 0).sum(0).tolist()
    if min(negative, positive) < needed:
        raise FathomError(
            f"{len(units.counts)} units, {positive} with positive and {negative} with negative "
            f"nuclei, cannot be divided into {len(units.shares)} parts with {units.least} of each "
            f"class: {needed} of each are needed"
        )


def search(units: Units, generator: np.random.Generator) -> Division:
    """Return the best division of all starts; the generator breaks ties.

    Its bound is that of `even_bound`: it costs nothing, and where units are many it is reached.
    """
    check_divisible(units)
    bound = even_bound(units)
    best, least = np.empty(0, dtype=np.int64), np.inf
    work = len(units.counts) * len(units.shares)
    for _ in range(min(STARTS, max(2, WORK // work))):
        parts = exchange(units, _start(units, generator), generator)
        imbalance = units.imbalance(parts)
        if imbalance**2 < least**2 - ROUNDING:
            best, least = parts, imbalance
        if least**2 <= bound**2 + ROUNDING:
            break
    return Division(best, least, min(bound, least))


def exchange(units: Units, parts: Ints, generator: np.random.Generator) -> Ints:
    """Return `parts` after the best exchanges and moves between two parts, until none helps."""
    parts, loads = parts.copy(), units.loads(parts)
    traits = np.vstack([units.traits, np.zeros_like(loads[:1])])  # the last: no unit, for a move
    pairs = list(combinations(range(len(loads)), 2))
    quiet = 0  # pairs in a row without a gain
    while quiet < len(pairs):
        for a, b in pairs:
            quiet += 1
            while True:
                ours, theirs = (
                    np.append(_some(np.flatnonzero(parts == part), generator), -1)
                    for part in (a, b)
                )
                step = traits[theirs][None] - traits[ours][:, None]
                cost = units.cost(loads[a] + step, a) + units.cost(loads[b] - step, b)
                i, j = np.unravel_index(np.argmin(cost), cost.shape)
                if cost[i, j] > cost[-1, -1] - ROUNDING:
                    break
                quiet = 0
                loads[a] += step[i, j]
                loads[b] -= step[i, j]
                for unit, to in ((ours[i], b), (theirs[j], a)):
                    if unit >= 0:
                        parts[unit] = to
    return parts


def _some(members: Ints, generator: np.random.Generator) -> Ints:
    """Return all of the units of a part, or `EXCHANGED` of them by chance."""
    if len(members) <= EXCHANGED:
        return members
    return generator.permutation(members)[:EXCHANGED]


def _start(units: Units, generator: np.random.Generator) -> Ints:
    """Return a division that meets the constraint, as the proof in this module's docstring does.

    The rest goes, the largest first, where it costs least (Graham 1969, SIAM J. Appl. Math.
    17:416), with a little chance in what is large, so that starts differ.
    """
    has = units.counts > 0
    parts = np.full(len(has), -1, dtype=np.int64)
    order = generator.permutation(len(has))
    places = np.tile(generator.permutation(len(units.shares)), units.least)
    both = order[has[order].all(1)][: len(places)]
    parts[both] = places[: len(both)]
    left = places[len(both) :]
    for kind in (0, 1):
        pure = order[has[order, kind] & ~has[order, 1 - kind]][: len(left)]
        parts[pure] = left[: len(pure)] if len(both) == len(places) else left
    loads = units.loads(parts)
    large = (units.counts / units.totals[:2]).sum(1) * generator.uniform(0.5, 1, len(has))
    for unit in np.argsort(-large, kind="stable"):
        if parts[unit] < 0:
            more = loads + units.traits[unit]
            parts[unit] = np.argmin(units.cost(more) - units.cost(loads))
            loads[parts[unit]] = more[parts[unit]]
    return parts


def even_bound(units: Units) -> float:
    """Return a J that no division can beat, for nuclei and the largest units are whole.

    Of parts with the same share: a unit larger than its part should be fills one alone at best, and
    what is left is spread evenly over the others, to one nucleus. The loads of every division
    majorise these, and J is Schur-convex in them (Marshall & Olkin 1979, chapter 3). Of two parts
    with different shares: the best whole numbers of positive and negative nuclei.
    """
    if not units.alike:
        return _two_part_bound(units)
    kinds = units.traits[:, :KINDS].T
    loads = np.stack([_most_even(np.sort(sizes)[::-1], len(units.shares)) for sizes in kinds], 1)
    return float(np.sqrt((units.shares[:, None] / KINDS * units.deviations(loads) ** 2).sum()))


def _most_even(sizes: Ints, parts: int) -> Ints:
    """Return the loads that those of every division of units of `sizes` (descending) majorise."""
    loads = np.zeros(parts, dtype=np.int64)
    left, largest = int(sizes.sum()), 0
    while largest < parts - 1 and sizes[largest] * (parts - largest) > left:
        loads[largest] = sizes[largest]
        left -= int(sizes[largest])
        largest += 1
    rest = parts - largest
    loads[largest:] = left // rest + (np.arange(rest) < left % rest)
    return loads


def _two_part_bound(units: Units) -> float:
    """Return the smallest J of whole numbers of nuclei in the first of two parts.

    For each number of the rarer class near its share, the best of the commoner one is the whole
    number next to the minimum of a parabola. Farther than two from the share, the rarer class alone
    costs more than rounding both.
    """
    if len(units.shares) != 2:
        return 0.0
    totals, share = units.totals.astype(float), units.shares[0]
    rare, common = np.argsort(totals[:2])
    number = np.floor(share * totals[rare]) + np.arange(-2, 4)
    off = number - share * totals[rare]
    weight = totals[common] ** 2 / (totals[common] ** 2 + totals[2] ** 2)
    other = np.rint(share * totals[common] - weight * off) - share * totals[common]
    square = (off / totals[rare]) ** 2 + (other / totals[common]) ** 2
    square += ((off + other) / totals[2]) ** 2
    return float(np.sqrt(square.min() / (KINDS * share * (1 - share))))
