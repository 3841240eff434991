from itertools import product

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given, settings

from fathom.ground.errors import FathomError
from fathom.splitting import division_proof
from fathom.splitting.division import Division, Units, even_bound, exchange, search
from fathom.splitting.division_proof import CLOSE, divide, prove

UNITS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=3, max_size=8)
SHARES = st.sampled_from([(0.5, 0.5), (1 / 3, 1 / 3, 1 / 3), (0.8, 0.2), (0.9, 0.1)])


def heavy_tailed(number, seed):
    rng = np.random.default_rng(seed)
    sizes = np.maximum(1, rng.lognormal(3, 1.2, number)).astype(int)
    positive = rng.binomial(sizes, rng.beta(0.5, 0.5, number))
    return np.stack([sizes - positive, positive], axis=1)


def equal(counts, parts, least=1):
    return Units(np.asarray(counts, dtype=np.int64), np.full(parts, 1 / parts), least)


def j_of(counts, shares, parts):
    """Compute J from its equation, one term at a time."""
    square = 0.0
    for part, share in enumerate(shares):
        for kind in ([1, 0], [0, 1], [1, 1]):
            inside = sum(
                np.dot(count, kind) for count, at in zip(counts, parts, strict=True) if at == part
            )
            everything = sum(np.dot(count, kind) for count in counts)
            square += share * (inside / (share * everything) - 1) ** 2 / 3
    return square**0.5


def keeps_the_constraint(counts, number, least, parts):
    return all(
        sum(count[kind] > 0 for count, at in zip(counts, parts, strict=True) if at == part) >= least
        for part in range(number)
        for kind in (0, 1)
    )


def best_of_all(counts, shares, least):
    """Try every division; return the smallest J, or None where none meets the constraint."""
    return min(
        (
            j_of(counts, shares, parts)
            for parts in product(range(len(shares)), repeat=len(counts))
            if keeps_the_constraint(counts, len(shares), least, parts)
        ),
        default=None,
    )


@settings(max_examples=30)
@given(UNITS, SHARES, st.sampled_from([1, 1, 2]), st.integers(0, 3))
def test_nothing_is_better_where_every_division_can_be_tried(counts, shares, least, seed):
    assume(len(shares) ** len(counts) <= 2200)
    units = Units(np.array(counts, dtype=np.int64), np.array(shares), least)
    best = best_of_all(counts, shares, least)
    if best is None:
        with pytest.raises(FathomError, match="cannot be divided"):
            divide(units, np.random.default_rng(seed))
        return
    found = divide(units, np.random.default_rng(seed))
    assert keeps_the_constraint(counts, len(shares), least, found.parts)
    assert found.imbalance == pytest.approx(j_of(counts, shares, found.parts), abs=1e-9)
    assert found.imbalance**2 <= best**2 * (1 + 2 * CLOSE) + 1e-9
    assert even_bound(units) <= best + 1e-9
    assert found.bound <= best + 1e-6


@pytest.mark.parametrize("parts", [2, 3])
def test_the_program_alone_finds_the_best_from_the_worst(parts):
    # Without the search: from a bad division in hand, and it proves what it found.
    counts = heavy_tailed(9 if parts == 2 else 7, seed=4)
    units = equal(counts, parts)
    shares = [1 / parts] * parts
    bad = np.array([*range(parts), *[0] * (len(counts) - parts)])
    start = Division(bad, j_of(counts, shares, bad), 0.0)
    found = prove(units, start, np.random.default_rng(0))
    best = best_of_all(counts.tolist(), shares, 1)
    assert start.imbalance > 1.2 * best
    assert found.imbalance == pytest.approx(best, rel=1e-3)
    assert found.bound == pytest.approx(best, rel=1e-3)


def test_the_program_finds_what_the_search_misses():
    """Six groups, a tenth of the nuclei to validate on: the best is two groups, of a class each."""
    counts = [(4, 0), (3, 9), (9, 2), (7, 9), (0, 3), (4, 12)]
    units = Units(np.array(counts, dtype=np.int64), np.array([0.9, 0.1]), 1)
    alone = search(units, np.random.default_rng(1))
    both = prove(units, alone, np.random.default_rng(1))
    best = best_of_all(counts, (0.9, 0.1), 1)
    assert alone.imbalance > 3 * best
    assert both.imbalance == pytest.approx(best)


def test_a_program_that_is_too_large_is_not_tried(monkeypatch):
    units = equal(heavy_tailed(30, 0), 5)
    start = Division(np.arange(30) % 5, 1.0, 0.0)
    monkeypatch.setattr(division_proof, "BINARIES", 149)
    assert prove(units, start, np.random.default_rng(0)) is start


def test_a_unit_larger_than_its_part_stands_alone_and_the_rest_is_even():
    # A sum of absolute deviations would not mind the rest being uneven.
    counts = [(50, 50)] + [(5, 5)] * 8
    found = divide(equal(counts, 5), np.random.default_rng(0))
    sizes = np.bincount(found.parts, [sum(count) for count in counts])
    assert sorted(sizes) == [20, 20, 20, 20, 100]
    assert found.bound == pytest.approx(found.imbalance)


def test_the_bound_of_one_large_unit_is_that_of_hand_computation():
    units = equal([(30, 30)] + [(1, 1)] * 15, 3)
    # Of each class 45 in all: 30, and 7 and 8 of the rest; of both 60, 15, 15.
    square = 2 * ((30 / 15 - 1) ** 2 + (7 / 15 - 1) ** 2 + (8 / 15 - 1) ** 2)
    square += (60 / 30 - 1) ** 2 + 2 * (15 / 30 - 1) ** 2
    assert even_bound(units) == pytest.approx(np.sqrt(square / 9))


@pytest.mark.parametrize("parts", [2, 3, 5, 10])
@pytest.mark.parametrize("number", [30, 400])
def test_search_and_exchange_keep_the_constraint(number, parts):
    counts = heavy_tailed(number, seed=parts)
    counts[: number // 2, 0] = 0
    counts[number // 2 :, 1] = 0
    counts[[0, number - 1]] = 1
    has = (counts > 0).sum(0)
    least = int(min(has) // parts)  # as much as can be asked for
    found = search(equal(counts, parts, least), np.random.default_rng(0))
    assert keeps_the_constraint(counts, parts, least, found.parts)


def test_no_exchange_or_move_helps_any_more():
    counts = heavy_tailed(12, seed=1)
    units = equal(counts, 3)
    parts = exchange(units, np.arange(12) % 3, np.random.default_rng(0))
    shares = [1 / 3] * 3
    reached = j_of(counts, shares, parts)
    assert reached < j_of(counts, shares, np.arange(12) % 3)
    for unit, other in product(range(12), repeat=2):
        swapped, moved = parts.copy(), parts.copy()
        swapped[[unit, other]] = parts[[other, unit]]
        moved[unit] = parts[other]
        for changed in (swapped, moved):
            if keeps_the_constraint(counts, 3, 1, changed):
                assert j_of(counts, shares, changed) > reached - 1e-6


def test_many_units_are_divided_as_evenly_as_whole_nuclei_allow():
    counts = heavy_tailed(2000, seed=0)
    found = divide(equal(counts, 5), np.random.default_rng(0))
    for kind in (0, 1):
        loads = np.bincount(found.parts, counts[:, kind])
        assert np.ptp(loads) <= 1
    assert found.imbalance == pytest.approx(found.bound, abs=1e-6)


def test_same_seed_same_parts_and_another_seed_others():
    units = equal(heavy_tailed(12, seed=0), 5)
    first, again, other = (divide(units, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert (first.parts == again.parts).all()
    assert (first.parts != other.parts).any()
    assert first.imbalance == pytest.approx(other.imbalance, rel=0.02)


def test_a_class_in_too_few_units_is_refused_with_the_numbers():
    units = equal([(3, 0), (3, 0), (3, 0), (2, 2), (0, 9)], 3)
    with pytest.raises(FathomError, match=r"5 units, 2 with positive and 4 .*into 3 parts .* 3 of"):
        search(units, np.random.default_rng(0))
