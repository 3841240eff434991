"""How even folds of whole groups are: fathom against scikit-learn's StratifiedGroupKFold.

    python benchmarks/folds.py

prints two Markdown tables (docs/folds.md), from seed 0, in about ten minutes. 200 hard instances:
10 to 40 groups, sizes from a Pareto distribution with an exponent from 1 to 3, 2 % to 98 % of the
nuclei positive, four groups in ten of one class only, 3 or 5 folds. Drawn until 200 can be divided
so that every fold holds both classes; those that cannot, so that every division breaks that
promise, are counted apart. J is the imbalance of fathom.splitting.division, computed here from its
equation. Times are of the processor, one thread. `--ablation 60` prints what the mixed-integer
program brings beyond the search, on the first 60.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from fathom.ground.arrays import Ints
from fathom.ground.errors import FathomError
from fathom.ground.progress import track
from fathom.splitting.division import Division, Units, search
from fathom.splitting.division_proof import CLOSE, divide, prove

INSTANCES = 200
SEED = 0
TIE = 0.01  # a difference in J, %, that is none: fathom looks for nothing closer
DRAWS = 100  # of scikit-learn's shuffles, of which the best is taken
Divide = Callable[[Ints, int, int], Ints]  # counts (groups, 2), folds, seed -> fold of each group


@dataclass(frozen=True)
class Instance:
    counts: Ints  # (groups, 2): negative and positive nuclei
    folds: int
    possible: bool  # can every fold hold both classes?


def draw(generator: np.random.Generator) -> Instance:
    """Return an instance with 2 % to 98 % positive nuclei."""
    while True:
        groups, folds = generator.integers(10, 41), int(generator.choice([3, 5]))
        tail = generator.uniform(1, 3)
        sizes = np.minimum(5 * (1 + generator.pareto(tail, groups)), 2000).astype(np.int64)
        odds = generator.uniform(np.log(0.02 / 0.98), np.log(0.98 / 0.02))
        share, alike = 1 / (1 + np.exp(-odds)), generator.uniform(0.5, 5)
        shares = generator.beta(share * alike, (1 - share) * alike, groups)
        one_class = generator.random(groups) < 0.4
        shares[one_class] = generator.random(one_class.sum()) < share
        positive = generator.binomial(sizes, shares)
        if 0.02 <= positive.sum() / sizes.sum() <= 0.98:
            counts = np.stack([sizes - positive, positive], axis=1)
            return Instance(counts, folds, bool(((counts > 0).sum(0) >= folds).all()))


def fathom(counts: Ints, folds: int, seed: int) -> Division:
    return divide(Units(counts, np.full(folds, 1 / folds), 1), np.random.default_rng(seed))


def scikit(counts: Ints, folds: int, seed: int, shuffle: bool = True) -> Ints:
    groups = np.repeat(np.arange(len(counts)), counts.sum(1))
    positive = np.concatenate([np.repeat([0, 1], count) for count in counts])
    splitter = StratifiedGroupKFold(folds, shuffle=shuffle, random_state=seed if shuffle else None)
    parts = np.empty(len(counts), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a class with fewer nuclei than folds
        for fold, (_, test) in enumerate(splitter.split(groups, positive, groups)):
            parts[groups[test]] = fold
    return parts


def scikit_best(counts: Ints, folds: int, seed: int) -> Ints:
    """Return the best of `DRAWS` shuffles: no broken promise if possible, then the smallest J."""
    drawn = [scikit(counts, folds, DRAWS * seed + number) for number in range(DRAWS)]
    figures = [measured(counts, folds, parts) for parts in drawn]
    return drawn[min(range(DRAWS), key=lambda i: (figures[i]["broken"], figures[i]["J"]))]


REFERENCES: dict[str, Divide] = {
    "StratifiedGroupKFold": partial(scikit, shuffle=False),
    "StratifiedGroupKFold, shuffled": scikit,
    f"the best of {DRAWS} shuffles": scikit_best,
}


def measured(counts: Ints, folds: int, parts: Ints) -> dict[str, float]:
    """Return how uneven a division is; shares in per cent."""
    inside = np.stack([np.bincount(parts, column, minlength=folds) for column in counts.T], axis=1)
    kinds = np.column_stack([inside, inside.sum(1)])
    off = kinds / (kinds.sum(0) / folds) - 1
    share = inside[:, 1] / np.maximum(inside.sum(1), 1)
    return {
        "J": 100 * np.sqrt((off**2).mean()),
        "class": 100 * np.sqrt((off[:, :2] ** 2).mean()),
        "size": 100 * np.sqrt((off[:, 2] ** 2).mean()),
        # What scikit-learn's own search goes by.
        "spread": 100 * (inside / inside.sum(0)).std(0).mean(),
        "points": 100 * np.abs(share - counts[:, 1].sum() / counts.sum()).max(),
        "broken": float((inside == 0).any()),
    }


def compare(instances: list[Instance]) -> pd.DataFrame:
    """Return one row an instance and method."""
    rows = []
    for number, one in enumerate(track(instances, "instances", len(instances))):
        times, divisions = [time.process_time()], {}
        found = fathom(one.counts, one.folds, number)
        times.append(time.process_time())
        divisions["fathom"] = found.parts
        for name, method in REFERENCES.items():
            divisions[name] = method(one.counts, one.folds, number)
            times.append(time.process_time())
        for (name, parts), seconds in zip(divisions.items(), np.diff(times), strict=True):
            figures = measured(one.counts, one.folds, parts)
            figures |= {"above": figures["J"] - 100 * found.bound, "seconds": float(seconds)}
            rows.append({"instance": number, "method": name, **figures})
    return pd.DataFrame(rows)


def print_comparison(table: pd.DataFrame) -> None:
    by_name = {
        name: table[table["method"] == name].set_index("instance")
        for name in ("fathom", *REFERENCES)
    }
    against = {name: rows["J"] - by_name["fathom"]["J"] for name, rows in by_name.items()}
    lines: dict[str, Callable[[str, pd.DataFrame], str]] = {
        "class: off by, %": lambda _, rows: f"{rows['class'].median():.2f}",
        "size: off by, %": lambda _, rows: f"{rows['size'].median():.2f}",
        "J, %": lambda _, rows: f"{rows['J'].median():.2f}",
        "J above the bound that is proven, %": lambda _, rows: f"{rows['above'].median():.3f}",
        "J, %, 90th percentile": lambda _, rows: f"{rows['J'].quantile(0.9):.1f}",
        "share of positives, points off in the worst fold": (
            lambda _, rows: f"{rows['points'].median():.2f}"
        ),
        "scikit-learn's own measure, %": lambda _, rows: f"{rows['spread'].median():.2f}",
        "instances with a class missing in a fold": (
            lambda _, rows: f"{int(rows['broken'].sum())} of {len(rows)}"
        ),
        "instances with a J larger than fathom's": (
            lambda name, _: f"{int((against[name] > TIE).sum())}"
        ),
        "instances with a J smaller than fathom's": (
            lambda name, _: f"{int((against[name] < -TIE).sum())}"
        ),
        "of these, with both classes in every fold": (
            lambda name, rows: f"{int(((against[name] < -TIE) & (rows['broken'] == 0)).sum())}"
        ),
        "seconds, median": lambda _, rows: f"{rows['seconds'].median():.3f}",
        "seconds, largest": lambda _, rows: f"{rows['seconds'].max():.2f}",
    }
    print("| median over instances | " + " | ".join(by_name) + " |")
    print("| --- |" + " ---: |" * len(by_name))
    for what, cell in lines.items():
        print(f"| {what} | " + " | ".join(cell(*one) for one in by_name.items()) + " |")


def refusals(instances: list[Instance]) -> int:
    """Return how many instances fathom refuses."""
    refused = 0
    for one in instances:
        try:
            fathom(one.counts, one.folds, SEED)
        except FathomError:
            refused += 1
    return refused


def print_growth() -> None:
    print(
        "| groups | nuclei | folds | fathom: J, % | proven bound of J, % | seconds | "
        "StratifiedGroupKFold: J, % | seconds |"
    )
    print("|" + " ---: |" * 8)
    for groups in (23, 200, 2000, 10_000):
        generator = np.random.default_rng([SEED, groups])
        sizes = np.minimum(5 * (1 + generator.pareto(1, groups)), 2000).astype(np.int64)
        positive = generator.binomial(sizes, generator.beta(0.5, 1.5, groups))
        counts = np.stack([sizes - positive, positive], axis=1)
        for folds in (3, 5, 10):
            start = time.process_time()
            found = fathom(counts, folds, SEED)
            middle = time.process_time()
            theirs = measured(counts, folds, scikit(counts, folds, SEED, shuffle=False))["J"]
            end = time.process_time()
            print(
                f"| {groups:,} | {counts.sum():,} | {folds} | {100 * found.imbalance:.4f} | "
                f"{100 * found.bound:.4f} | {middle - start:.1f} | {theirs:.4f} | "
                f"{end - middle:.1f} |"
            )


def possible(instances: int) -> list[Instance]:
    """Return the first instances of seed `SEED` that can be divided."""
    generator, found = np.random.default_rng(SEED), []
    while len(found) < instances:
        if (one := draw(generator)).possible:
            found.append(one)
    return found


def print_ablation(instances: list[Instance]) -> None:
    """Print what the program finds and proves beyond the search."""
    better, proven, seconds = [], np.zeros(2, dtype=int), []
    for number, one in enumerate(track(instances, "ablation", len(instances))):
        units = Units(one.counts, np.full(one.folds, 1 / one.folds), 1)
        generator, start = np.random.default_rng(number), time.process_time()
        alone = search(units, generator)
        middle = time.process_time()
        both = prove(units, alone, generator)
        seconds.append((middle - start, time.process_time() - middle))
        if both.imbalance < alone.imbalance * (1 - 1e-9):
            better.append(1 - both.imbalance / alone.imbalance)
        proven += [d.bound**2 >= d.imbalance**2 * (1 - 1.01 * CLOSE) for d in (alone, both)]
    print(f"{len(instances)} instances: the program is more even than the search in {len(better)}")
    print(f"by (share of J): {', '.join(f'{gain:.2%}' for gain in better) or 'nothing'}")
    print(f"proven that nothing is better: {proven[0]} by the search's bound, {proven[1]} by both")
    search_s, program_s = np.median(seconds, axis=0)
    print(f"seconds, median: {search_s:.2f} the search, {program_s:.2f} the program")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ablation", type=int, metavar="INSTANCES")
    if instances_of_ablation := parser.parse_args().ablation:
        print_ablation(possible(instances_of_ablation))
        return
    generator = np.random.default_rng(SEED)
    instances: list[Instance] = []
    while sum(one.possible for one in instances) < INSTANCES:
        instances.append(draw(generator))
    impossible = [one for one in instances if not one.possible]
    print_comparison(compare([one for one in instances if one.possible]))
    refused = refusals(impossible)
    print(
        f"\nOf {len(instances)} instances drawn, {len(impossible)} cannot be divided: a class "
        f"stands in fewer groups than there are folds. fathom refuses {refused} of these.\n"
    )
    print_growth()


if __name__ == "__main__":
    main()
