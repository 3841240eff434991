"""How often the ladder calls a cure what does nothing, and how often it finds a cure.

    python benchmarks/null_ladders.py [--ladders 2000] [--out docs/null-ladders.md]

Nothing is trained: each network leaves the plateau or not by a drawn number, and the ladder's own
rules (`fathom.diagnosis.looks`) say how many networks it asks for and what it calls a cure.
"""

import argparse
import sys
from collections.abc import Collection, Mapping, Sequence
from math import inf
from pathlib import Path

import numpy as np

from fathom.diagnosis.ladder import cures_in_budget
from fathom.diagnosis.looks import (
    CALLED_FOR,
    FIRST,
    LAST,
    SCREEN,
    Look,
    freed,
    in_turn,
    open_arms,
)
from fathom.ground.section import value_at

PARAMS = Path(__file__).parents[1] / "params.yaml"

SIXTH = 1 / 6  # what the plain deep network of the default study did
BASE_RATES = (0.0, 0.05, 0.1, SIXTH, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 1.0)
CURE_RATES = (0.98, 0.9, 0.75, 0.5)
CURES = (1, 4, 7, 9)
NETWORKS = (3, 6, 9, 12, 18)  # an arm, all tested at once
UNCORRECTED = 0.05
HEAD = """# Ladders whose truth is known

Written by
`python benchmarks/null_ladders.py --ladders {ladders} --out docs/null-ladders.md`.
Nothing is trained: every network leaves the plateau with a given probability, and the ladder's own
rules (`fathom.diagnosis.looks`) say how many networks it asks for and what it calls a cure.
{ladders} ladders a number, seed 0; the standard error of a share is at most {error:.3f}.
"""


FALSE_CLAIMS = """## False claims

No arm does anything. The share of ladders in which any is called a cure; in the last column, what
seven uncorrected tests at .05 and six networks an arm would call. In this table and the next three
all cures have the same part of each level.
"""
POWER = """## Power

One arm is a cure, the others do nothing. The share of ladders that find it, and in brackets the
mean number of networks that it took.
"""
WITHIN_A_BUDGET = """## Power within a budget

The {budget} networks of the default study allow {cures} cures; six are kept for the control once a
cure is shown. So many of the {cures} are cures; the share of ladders that find one of these, and in
brackets the mean number of networks.
"""
POWER_BY_NETWORKS = """## Power by networks an arm

One look at so many networks an arm, .05 shared among seven cures.
"""
WHAT_IS_CALLED_FOR = """## What a finding calls for

A finding calls for some of the cures that are allowed, here for the first ones. They share {share}
of each level and the others the rest, where both are there. One arm is a cure. The share of ladders
that find it; in the last column, the share in which any is called a cure where none is one.
"""
BUDGET = int(str(value_at(PARAMS, "diagnosis", "budget")))  # of the default study
WITHIN = cures_in_budget(BUDGET, "leaving the plateau")
SEQUENCES = """## A sequence that is fixed beforehand

Seven cures are allowed, one sixth of the base leaves, and the cures stand at the given places. The
share of ladders that find the last of them. *Shared*: the level is shared among the seven.
*Sequence*: each is tested at the full level, and the first that is not shown ends it.
"""


class Drawn:
    """The outcomes of a base and its arms, each with a probability of its own."""

    def __init__(self, rng: np.random.Generator, base: float, arms: Sequence[float]) -> None:
        self.base = (rng.random(LAST) < base).tolist()
        self.arms = {
            str(place): (rng.random(LAST) < rate).tolist() for place, rate in enumerate(arms)
        }

    def climbed(self, cures: int, budget: float = inf, called_for: int = 0) -> tuple[set[str], int]:
        """Return the arms that were called cures, and how many networks it took."""
        wanted = list(self.arms)[:called_for]
        shown, arms, base = _climbed(self.base, self.arms, cures, budget, wanted)
        return shown, arms + base

    def in_sequence(self) -> tuple[set[str], int]:
        """Test one arm after the other at the full level, up to the first that is not shown."""
        found: set[str] = set()
        bases, networks = [], 0
        for name, outcomes in self.arms.items():
            shown, spent, base = _climbed(self.base, {name: outcomes}, 1)
            networks += spent
            bases.append(base)
            if not shown:
                break
            found |= shown
        return found, networks + max(bases)


def _climbed(
    base: list[bool],
    arms: Mapping[str, list[bool]],
    cures: int,
    budget: float = inf,
    called_for: Collection[str] = (),
) -> tuple[set[str], int, int]:
    """Return the arms that were called cures, and the networks of the arms and of the base."""
    seen = base[:FIRST]
    trained = {name: outcomes[:SCREEN] for name, outcomes in arms.items()}
    while asked := open_arms(seen, trained, cures, called_for):
        for name in in_turn(asked, trained):
            more = trained | {name: arms[name][: asked[name]]}
            longer = base[: max(len(seen), asked[name])]
            # The control's six are spared once a cure is shown, as the ladder does it.
            spare = FIRST if freed(seen, trained, cures, called_for) else 0
            if _cost(longer, more) + spare <= budget:
                seen, trained = longer, more
                break
        else:
            break
    return set(freed(seen, trained, cures, called_for)), sum(map(len, trained.values())), len(seen)


def _cost(base: list[bool], arms: Mapping[str, list[bool]]) -> int:
    return len(base) + sum(map(len, arms.values()))


def called(
    rng: np.random.Generator, base: float, arms: Sequence[float], ladders: int, cures: int
) -> tuple[Mapping[str, float], float, float]:
    """Return the share of ladders that call each arm a cure, that call any, and the networks."""
    found = [Drawn(rng, base, arms).climbed(cures) for _ in range(ladders)]
    each = {
        str(place): np.mean([str(place) in one for one, _ in found]) for place in range(len(arms))
    }
    return (
        each,
        float(np.mean([bool(one) for one, _ in found])),
        float(np.mean([n for _, n in found])),
    )


def false_claims(rng: np.random.Generator, ladders: int) -> list[list[object]]:
    """Ladders in which no arm does anything, by the base's share that leaves."""
    rows = []
    for base in BASE_RATES:
        ours = [called(rng, base, [base] * cures, ladders, cures)[1] for cures in CURES]
        # One test at six networks an arm and .05 each, as a reader of a table would do it.
        naive = [
            bool(freed(one.base[:FIRST], {n: o[:FIRST] for n, o in one.arms.items()}, 1, (), ALONE))
            for one in (Drawn(rng, base, [base] * 7) for _ in range(ladders))
        ]
        rows.append([f"{base:.2f}", *(f"{one:.3f}" for one in ours), f"{np.mean(naive):.3f}"])
    return rows


CALLED = ("none", "it alone", "it and another", "it and 2 others", "2 others, not it")
ALONE = (Look(FIRST, UNCORRECTED),)


def power(rng: np.random.Generator, ladders: int) -> list[list[object]]:
    """One arm is a cure, the others do nothing."""
    rows = []
    for base in (0.0, SIXTH, 0.5):
        for rate in CURE_RATES:
            row: list[object] = [f"{base:.2f}", f"{rate:.2f}"]
            for cures in CURES:
                each, _, networks = called(rng, base, [rate] + [base] * (cures - 1), ladders, cures)
                row.append(f"{each['0']:.2f} ({networks:.0f})")
            rows.append(row)
    return rows


def within_a_budget(rng: np.random.Generator, ladders: int) -> list[list[object]]:
    """Return power with the budget of the default study, and the cures that it allows."""
    rows = []
    for base in (0.0, SIXTH):
        for rate in CURE_RATES:
            row: list[object] = [f"{base:.2f}", f"{rate:.2f}"]
            for works in (1, 2, 3):
                arms = [rate] * works + [base] * (WITHIN - works)
                found = [Drawn(rng, base, arms).climbed(WITHIN, BUDGET) for _ in range(ladders)]
                any_cure = np.mean([bool(shown & {"0", "1", "2"}) for shown, _ in found])
                row.append(f"{any_cure:.2f} ({np.mean([n for _, n in found]):.0f})")
            rows.append(row)
    return rows


def power_by_networks(rng: np.random.Generator, ladders: int) -> list[list[object]]:
    """One look at so many networks an arm, .05 shared among seven cures."""
    rows = []
    for base in (0.0, SIXTH, 0.5):
        for rate in CURE_RATES:
            row: list[object] = [f"{base:.2f}", f"{rate:.2f}"]
            for networks in NETWORKS:
                look = (Look(networks, UNCORRECTED),)
                shown = [
                    bool(
                        freed(
                            (rng.random(networks) < base).tolist(),
                            {"cure": (rng.random(networks) < rate).tolist()},
                            7,
                            (),
                            look,
                        )
                    )
                    for _ in range(ladders)
                ]
                row.append(f"{np.mean(shown):.2f}")
            rows.append(row)
    return rows


def sequences(rng: np.random.Generator, ladders: int) -> list[list[object]]:
    """Seven cures allowed, some of which do something, in an order that is fixed beforehand."""
    rows = []
    for rate in (0.98, 0.9, 0.75):
        for places in ((0,), (1,), (2,), (0, 1), (0, 1, 2)):
            arms = [rate if place in places else SIXTH for place in range(7)]
            drawn = [Drawn(rng, SIXTH, arms) for _ in range(ladders)]
            cells = [
                _found(str(places[-1]), [climb(one) for one in drawn])
                for climb in (lambda one: one.climbed(7), Drawn.in_sequence)
            ]
            rows.append([f"{rate:.2f}", ", ".join(str(place + 1) for place in places), *cells])
    return rows


def called_for(rng: np.random.Generator, ladders: int) -> list[list[object]]:
    """One arm is a cure: one of so many that a finding calls for, or a general one beside them."""
    rows = []
    for cures in (4, 7):
        for base in (SIXTH, 0.5):
            for rate in (0.98, 0.9):
                row: list[object] = [cures, f"{base:.2f}", f"{rate:.2f}"]
                for wanted, place in ((0, 0), (1, 0), (2, 0), (3, 0), (2, 2)):
                    arms = [rate if one == place else base for one in range(cures)]
                    found = [
                        Drawn(rng, base, arms).climbed(cures, called_for=wanted)[0]
                        for _ in range(ladders)
                    ]
                    row.append(f"{np.mean([str(place) in one for one in found]):.2f}")
                null = [
                    Drawn(rng, base, [base] * cures).climbed(cures, called_for=1)[0]
                    for _ in range(ladders)
                ]
                rows.append([*row, f"{np.mean([bool(one) for one in null]):.3f}"])
    return rows


def _found(arm: str, ladders: Sequence[tuple[set[str], int]]) -> str:
    share = np.mean([arm in shown for shown, _ in ladders])
    return f"{share:.2f} ({np.mean([networks for _, networks in ladders]):.0f})"


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [headings, ["---:"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def page(ladders: int) -> str:
    """Return all tables, with a sentence each."""
    rng = np.random.default_rng(0)
    allowed = [f"cures allowed: {cures}" for cures in CURES]
    networks = [f"{number} networks" for number in NETWORKS]
    parts = [
        HEAD.format(ladders=ladders, error=0.5 / np.sqrt(ladders)),
        FALSE_CLAIMS,
        table(["share of the base that leaves", *allowed, "7 tests"], false_claims(rng, ladders)),
        POWER,
        table(["base", "cure", *allowed], power(rng, ladders)),
        WITHIN_A_BUDGET.format(budget=BUDGET, cures=WITHIN),
        table(["base", "cure", "1 works", "2 work", "3 work"], within_a_budget(rng, ladders)),
        POWER_BY_NETWORKS,
        table(["base", "cure", *networks], power_by_networks(rng, ladders)),
        WHAT_IS_CALLED_FOR.format(share=CALLED_FOR),
        table(
            ["allowed", "base", "cure", *CALLED, "false, 1 called for"], called_for(rng, ladders)
        ),
        SEQUENCES,
        table(["cure", "places of cures", "shared", "sequence"], sequences(rng, ladders)),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def main() -> None:
    """Print the tables, or write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ladders", type=int, default=2000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    text = page(arguments.ladders)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
