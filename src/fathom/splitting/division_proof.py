"""A mixed-integer program that finds a better division, or proves that there is none, or a bound.

J^2 of `fathom.splitting.division` is a sum of squares of numbers that are linear in who is where.
The program replaces each square by the largest of its tangents, so that it sees J^2 from below:
what it cannot reach, no division can. Where it reaches something, tangents are added there and it
is solved again: outer approximation (Duran & Grossmann 1986, Math. Program. 36:307). Each solution
is HiGHS' branch and bound (Huangfu & Hall 2018, Math. Program. Comput. 10:119).

The program asks only for what beats the division in hand, in whose J everything is measured: HiGHS
has absolute tolerances. It stops after a number of nodes, never after a time: a slower machine must
not find other parts.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, OptimizeResult, milp

from fathom.ground.arrays import Floats
from fathom.splitting.division import KINDS, Division, Units, exchange, search

BINARIES = 400  # units x parts of the largest program that is tried: a node of a larger one is slow
NODES = 50_000  # of branch and bound in all rounds, over units x parts
ROUNDS = 8  # solutions of the program
CLOSE = 1e-4  # of J^2: what is better by less is not looked for
# Where squares have their first tangents, in J of the division in hand.
TANGENTS = np.concatenate([[-16, -8, -5], np.arange(-3, 3.1, 0.4), [5, 8, 16]])
INFEASIBLE = 2  # HiGHS' word for "nothing is better", by scipy's number


def divide(units: Units, generator: np.random.Generator) -> Division:
    """Return the best division that search and program find; the generator breaks ties."""
    division = prove(units, search(units, generator), generator)
    if not units.alike:
        return division
    return replace(division, parts=generator.permutation(len(units.shares))[division.parts])


def prove(units: Units, division: Division, generator: np.random.Generator) -> Division:
    """Return the division with a better bound, or a better division with its bound."""
    size = len(units.counts) * len(units.shares)
    if size > BINARIES:
        return division
    nodes, touched = NODES // size, [np.full((len(units.shares), KINDS), at) for at in TANGENTS]
    touched = [at * division.imbalance for at in touched]
    for _ in range(ROUNDS):
        if nodes <= 0 or division.bound**2 >= division.imbalance**2 * (1 - CLOSE):
            break
        program = _Program(units, division.imbalance, touched)
        found = program.solve(nodes)
        nodes -= max(1, found.mip_node_count or 0)
        division = replace(division, bound=max(division.bound, program.bound(found)))
        if found.x is None:
            break
        parts = found.x[:size].reshape(-1, len(units.shares)).argmax(1)
        touched.append(units.deviations(units.loads(parts)))
        parts = exchange(units, parts, generator)
        imbalance = units.imbalance(parts)
        if imbalance < division.imbalance:
            division = Division(parts, imbalance, min(division.bound, imbalance))
    return division


@dataclass(frozen=True)
class _Program:
    """Variables: whether unit u is in part f (u by u), then each kind's squares (kind by kind)."""

    units: Units
    one: float  # J of the division in hand: the program's unit of J
    touched: list[Floats]  # deviations (parts, 3) at which the squares have tangents

    def solve(self, nodes: int) -> OptimizeResult:
        """Return scipy's result: status, x, mip_dual_bound, mip_node_count."""
        weights = np.tile(self.units.shares / KINDS, KINDS)
        binaries = len(self.units.counts) * len(self.units.shares)
        cost = np.concatenate([np.zeros(binaries), weights])
        better = LinearConstraint(cost[None], -np.inf, 1 - CLOSE)
        return milp(
            cost,
            integrality=(cost == 0).astype(int),
            bounds=self._bounds(),
            constraints=[better, *self._whole(), *self._tangents()],
            options={"node_limit": nodes, "mip_rel_gap": 0.0},
        )

    def bound(self, found: OptimizeResult) -> float:
        """Return the J that no division beats, given the program's solution."""
        square = 1 - CLOSE if found.status == INFEASIBLE else (found.mip_dual_bound or 0.0)
        # Never more than was asked for: a division as good as that in hand was not.
        return self.one * float(np.sqrt(np.clip(square, 0, 1 - CLOSE)))

    def _bounds(self) -> Bounds:
        """Bounds of the variables; parts of the same share are numbered by their largest unit."""
        upper = np.ones((len(self.units.counts), len(self.units.shares)))
        if self.units.alike:
            large = np.argsort(-(self.units.counts / self.units.totals[:2]).max(1), kind="stable")
            for rank, unit in enumerate(large[: len(self.units.shares)]):
                upper[unit, rank + 1 :] = 0
        squares = np.full(len(self.units.shares) * KINDS, np.inf)
        return Bounds(0, np.concatenate([upper.ravel(), squares]))

    def _whole(self) -> Iterator[LinearConstraint]:
        """Each unit in one part; in each part the fewest units with each class."""
        units, parts = len(self.units.counts), len(self.units.shares)
        once = sparse.kron(sparse.eye_array(units), np.ones((1, parts)))
        yield LinearConstraint(_padded(once, units, parts * KINDS), 1, 1)
        has = (self.units.counts > 0).T.astype(float)
        held = sparse.kron(has, sparse.eye_array(parts))
        yield LinearConstraint(_padded(held, 2 * parts, parts * KINDS), self.units.least, np.inf)

    def _tangents(self) -> Iterator[LinearConstraint]:
        """Each square is at least 2 at x - at^2, for x the deviation in the program's unit."""
        shares = np.tile(self.units.shares, KINDS)
        amounts = (self.units.traits[:, :KINDS] / self.units.totals).T
        loads = sparse.kron(amounts, sparse.eye_array(len(self.units.shares)))
        filled = sparse.diags_array(1 / shares) @ loads  # the deviation plus 1
        for deviations in self.touched:
            at = deviations.T.ravel() / self.one
            slope = sparse.diags_array(-2 * at / self.one)
            square = sparse.eye_array(len(at))
            least = -2 * at / self.one - at**2
            yield LinearConstraint(sparse.hstack([slope @ filled, square]), least, np.inf)


def _padded(left: sparse.sparray, rows: int, columns: int) -> sparse.sparray:
    """Return `left` with zeros beside it: constraints that leave the squares alone."""
    return sparse.hstack([left, sparse.coo_array(np.zeros((rows, columns)))])
