"""Pairs of nuclei that bind groups together, and which groups they reach: an oracle."""

import pandas as pd

from fathom.study.nuclei import Nuclei


def pairs_of(nuclei: Nuclei, positions: list[tuple[int, int]]) -> pd.DataFrame:
    """Return the table of the pairs of nuclei at these positions."""
    ids = nuclei.table["nucleus"]
    return pd.DataFrame(
        [(ids[first], ids[second]) for first, second in positions], columns=["first", "second"]
    )


def reachable(groups: list[str], pairs: list[tuple[int, int]]) -> dict[str, set[str]]:
    """Return each group's set by following pairs until nothing is added."""
    sets = {group: {group} for group in groups}
    for _ in groups:
        for first, second in pairs:
            both = sets[groups[first]] | sets[groups[second]]
            for group in both:
                sets[group] = sets[group] | both
    return sets
