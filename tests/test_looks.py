from collections import Counter
from itertools import combinations, permutations
from math import comb

import numpy as np
import pytest
from scipy import stats

from fathom.diagnosis.looks import (
    CALLED_FOR,
    FIRST,
    LAST,
    LOOKS,
    Tally,
    _sums_of,
    earlier_p_value,
    freed,
    median_epoch,
    newcombe_interval,
    next_look,
    open_arms,
    p_value,
    part_of_level,
    tally,
)

NONE, ALL = [False] * 12, [True] * 12


def outcomes(left, networks):
    return [True] * left + [False] * (networks - left)


def test_the_looks_are_those_that_were_fixed_beforehand():
    assert [(look.networks, look.alpha) for look in LOOKS] == [(6, 0.01), (9, 0.015), (12, 0.025)]
    assert (FIRST, LAST) == (6, 12)
    assert sum(look.alpha for look in LOOKS) == pytest.approx(0.05)


def test_the_p_value_is_fishers_by_hand():
    """6 of 6 against 1 of 6: C(6,6) C(6,1) / C(12,7)."""
    assert p_value(Tally(6, 6), Tally(1, 6)) == pytest.approx(6 / comb(12, 7))
    tail = sum(comb(9, k) * comb(9, 10 - k) for k in (8, 9)) / comb(18, 10)
    assert p_value(Tally(8, 9), Tally(2, 9)) == pytest.approx(tail)
    assert p_value(Tally(1, 6), Tally(6, 6)) == 1


def test_a_cure_that_frees_all_is_shown_at_the_first_look_where_none_left_of_the_base():
    # 1 / C(12,6) = .0011 is at most .01 / 7.
    assert freed(NONE[:6], {"norm": ALL[:6]}, 7) == {"norm": 6}
    # One of six of the base: .0076 needs another look.
    base = outcomes(1, 12)
    assert freed(base[:6], {"norm": ALL[:6]}, 7) == {}
    assert freed(base[:9], {"norm": ALL[:9]}, 7) == {"norm": 9}


def test_each_look_counts_the_first_networks_of_both_arms_alone():
    """What was trained beyond a look does not change it; the base is asked at the same look."""
    assert freed(NONE, {"norm": ALL[:6]}, 7) == {"norm": 6}
    late = [*NONE[:5], *ALL[:7]]  # 1 of 6, 4 of 9 and 7 of 12
    assert freed(NONE, {"norm": late}, 7) == {"norm": 12}
    assert freed(NONE[:6], {"norm": late}, 7) == {}


def test_what_is_shown_hands_its_level_to_the_others():
    base = NONE[:6]
    # .0011 passes .01 / 9; 5 of 6 against 0 of 6, p = .0076, passes only .01 / 1.
    weak = outcomes(5, 6)
    assert freed(base, {"weak": weak}, 2) == {}
    assert freed(base, {"weak": weak, "norm": ALL[:6]}, 2) == {"weak": 6, "norm": 6}
    assert freed(base, {"weak": weak, "norm": ALL[:6]}, 3) == {"norm": 6}


def test_the_order_of_the_arms_and_an_arm_that_does_nothing_change_nothing():
    rng = np.random.default_rng(0)
    for _ in range(50):
        base = (rng.random(12) < 0.2).tolist()
        arms = {
            name: (rng.random(12) < share).tolist()
            for name, share in zip("abc", (0.9, 0.7, 0.2), strict=True)
        }
        found = freed(base, arms, 5)
        for order in permutations(arms):
            assert freed(base, {name: arms[name] for name in order}, 5) == found
        assert freed(base, arms | {"nothing": base}, 5) == found


def test_more_cures_that_were_allowed_ask_for_more():
    counts = [
        len(freed(outcomes(1, 12), {"a": outcomes(k, 12)}, m)) for m in (1, 7) for k in range(13)
    ]
    assert sum(counts[:13]) > sum(counts[13:])


@pytest.mark.parametrize("cures", [1, 2, 5, 9])
def test_the_parts_of_a_level_are_never_more_than_the_whole(cures):
    names = [f"arm {number}" for number in range(cures)]
    for called in range(cures + 1):
        for shown in range(cures):
            part = part_of_level(cures, names[:called], names[:shown])
            assert sum(map(part, names)) == pytest.approx(1)
            assert max(map(part, names)) == pytest.approx(max(map(part, names[shown:])))
    called_for = part_of_level(cures, names[:1], ())("arm 0")
    assert called_for == pytest.approx(CALLED_FOR if cures > 1 else 1)


def test_many_called_for_cures_have_no_less_than_the_others():
    part = part_of_level(10, [str(number) for number in range(9)], ())
    assert part("0") == pytest.approx(part("9")) == pytest.approx(0.1)


def test_a_called_for_cure_is_shown_where_a_general_one_is_not():
    """12 of 12 against 6 of 12, p .007: more than .025 / 4, less than .8 of .025."""
    base = outcomes(6, 12)
    assert freed(base, {"norm": ALL}, 4) == {}
    assert freed(base, {"norm": ALL}, 4, {"norm"}) == {"norm": 12}
    assert freed(base, {"norm": ALL}, 4, {"another"}) == {}
    assert open_arms(outcomes(4, 9), {"norm": ALL[:9]}, 4, {"norm"}) == {"norm": 12}
    assert open_arms(outcomes(7, 9), {"norm": ALL[:9]}, 4, {"another"}) == {}


def test_an_open_arm_goes_to_the_next_look():
    base = outcomes(1, 6)
    assert next_look(base, ALL[:6], 1 / 7) == 9
    assert next_look(outcomes(1, 9), outcomes(8, 9), 1 / 7) == 12
    assert next_look(base, [], 1 / 7) == 6


def test_an_arm_of_which_more_are_no_use_stops():
    assert next_look(NONE[:6], outcomes(3, 6), 1 / 7) is None  # half a cure
    assert next_look(NONE, ALL, 1 / 7) is None  # no look is left
    # 5 of 6 of the base left: 12 of 12 against 5 of 12 is .0023, enough for one cure alone.
    assert next_look(outcomes(5, 6), outcomes(6, 6), 1) == 9
    assert next_look(outcomes(6, 6), outcomes(6, 6), 1 / 7) is None
    assert next_look(outcomes(6, 6), [], 1 / 7) is None


def test_the_interval_of_a_share_is_exact():
    low, high = Tally(1, 6).interval(0.95)
    assert stats.binom.sf(0, 6, low) == pytest.approx(0.025)
    assert stats.binom.cdf(1, 6, high) == pytest.approx(0.025)
    assert Tally(0, 6).interval(0.95)[0] == 0
    assert Tally(0, 0).interval(0.95) == (0, 1)
    assert str(tally([True, False, True], 2)) == "1 of 2"


def test_the_interval_of_a_difference_is_newcombes():
    """Newcombe 1998, table II, example (a): 56/70 against 48/80, method 10: .0524 to .3339."""
    low, high = newcombe_interval(Tally(56, 70), Tally(48, 80), 0.95)
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert newcombe_interval(Tally(6, 6), Tally(6, 6), 0.95)[1] == pytest.approx(0.3903, abs=1e-3)


def test_the_open_arms_are_those_that_are_not_shown_and_could_be():
    base = outcomes(1, 6)
    arms = {"all": ALL[:6], "half": outcomes(3, 6), "new": [], "most": outcomes(5, 6)}
    assert open_arms(base, arms, 5) == {"all": 9, "new": 6, "most": 9}
    # Shown at the first look, and so not open.
    assert open_arms(NONE[:6], {"all": ALL[:6]}, 5) == {}
    # The base has to keep pace before more is decided.
    assert open_arms(outcomes(1, 6), {"all": ALL[:9]}, 5) == {"all": 9}


def test_the_median_epoch_counts_those_that_never_left():
    assert median_epoch([4, 8, None]) == 8
    assert median_epoch([4, None, None]) == np.inf
    assert median_epoch([4, 6]) == 5


def test_epochs_are_permuted_within_folds():
    """Two folds of two networks an arm: 6 x 6 permutations, of which one is as extreme."""
    base, arm = [30, 31, 60, 61], [10, 11, 40, 41]
    folds = [0, 0, 1, 1]
    assert earlier_p_value(base, folds, arm, folds) == pytest.approx(1 / 36)
    assert earlier_p_value(arm, folds, base, folds) == 1
    # Without regard to folds the arms overlap: the stratified test sees more.
    assert earlier_p_value([None, None], [0, 0], [5, 6], [0, 0]) == pytest.approx(1 / 6)
    assert earlier_p_value([None], [0], [None], [0]) == 1
    assert earlier_p_value([5], [0], [1], [1]) == 1


def test_sums_of_ranks_are_counted_as_if_all_choices_were_listed():
    ranks = [2, 5, 5, 7, 9, 12, 12]
    for n in range(len(ranks) + 1):
        assert _sums_of(ranks, n) == Counter(map(sum, combinations(ranks, n)))


def test_thirty_seeds_take_no_longer_than_it_takes_to_add():
    folds = [0] * 30
    late, early = list(range(31, 61)), list(range(1, 31))
    found = earlier_p_value(late, folds, early, folds)
    assert found == pytest.approx(1 / comb(60, 30))


def test_epochs_of_arms_that_do_not_differ_are_seldom_called_earlier():
    rng = np.random.default_rng(0)
    folds = [0, 1, 2] * 4
    found = [
        earlier_p_value(
            rng.integers(10, 30, 12).tolist(), folds, rng.integers(10, 30, 12).tolist(), folds
        )
        for _ in range(300)
    ]
    assert np.mean(np.array(found) <= 0.1) <= 0.14
