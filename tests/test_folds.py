import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from conftest import nuclei_of
from duplicate_pairs import pairs_of, reachable
from hypothesis import event, given, settings
from made_splits import make_splits
from sklearn.model_selection import StratifiedGroupKFold

from fathom.ground.errors import FathomError
from fathom.splitting.folds import write_splits
from fathom.study.duplicates import NOT_LOOKED_FOR, Duplicates, pair_table
from fathom.study.nuclei import read_nuclei, write_nuclei
from fathom.study.splits import FINAL, Split, check_splits, part_rows, read_splits

NO_PAIRS = NOT_LOOKED_FOR.pairs


def params(folds=3, share=0.25, seed=0):
    return Split(group="patient", folds=folds, validation_share=share, seed=seed)


def cohort(patients=12, each=10, seed=0):
    rng = np.random.default_rng(seed)
    groups = [f"p{i}" for i in range(patients) for _ in range(each)]
    return nuclei_of(groups, (rng.random(len(groups)) < 0.4).tolist())


@settings(max_examples=6)
@given(st.data())
def test_splits_keep_every_promise_or_refuse_with_the_reason(data):
    keep_or_refuse(data)


@pytest.mark.long
@settings(max_examples=60)
@given(st.data())
def test_many_more_splits_keep_every_promise_or_refuse_with_the_reason(data):
    keep_or_refuse(data)


def keep_or_refuse(data):
    group = st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(any)
    number = data.draw(st.integers(1, 14))
    counts = data.draw(st.lists(group, min_size=number, max_size=number))
    groups = [f"p{i:02d}" for i, count in enumerate(counts) for _ in range(sum(count))]
    positive = [label for ill, well in counts for label in [True] * ill + [False] * well]
    nuclei = nuclei_of(groups, positive)
    places = st.integers(0, len(groups) - 1)
    pairs = data.draw(st.lists(st.tuples(places, places), max_size=3))
    chosen = params(
        data.draw(st.integers(2, 6)),
        data.draw(st.sampled_from([0.05, 0.25, 0.5, 0.9])),
        data.draw(st.integers(0, 3)),
    )
    sets = reachable(groups, pairs)
    units = {True: set(), False: set()}
    for group, label in zip(groups, positive, strict=True):
        units[label].add(frozenset(sets[group]))
    needed = 4 if chosen.folds == 2 else chosen.folds
    possible = min(map(len, units.values())) >= needed
    event(f"possible: {possible}")
    duplicates = Duplicates(pairs_of(nuclei, pairs), {"method": "drawn"})
    if not possible:
        reason = f"each class must stand in at least {needed} patients, and there are "
        reason += f"{len(units[True])} patients with positive nuclei and {len(units[False])}"
        with pytest.raises(FathomError, match=reason):
            make_splits(nuclei, chosen, duplicates)
        return
    splits = make_splits(nuclei, chosen, duplicates)
    check_splits(splits, nuclei, "patient", duplicates.pairs)
    assert_promises(splits, groups, positive, pairs, chosen.folds)


def assert_promises(splits, groups, positive, pairs, folds):
    """Check every promise once more, from the rows alone."""
    n = len(groups)
    assert list(splits["fold"]) == [fold for fold in (FINAL, *range(folds)) for _ in range(n)]
    parts = splits["part"].to_numpy().reshape(folds + 1, n)
    kept = splits["kept"].to_numpy().reshape(folds + 1, n)
    assert ((parts == "test").sum(0) == 1).all()
    assert not (parts[0] == "test").any()
    for row, (part, keep) in enumerate(zip(parts, kept, strict=True)):
        assert set(part) == {"train", "validation"} | ({"test"} if row else set())
        assert len(set(zip(groups, part, strict=True))) == len(set(groups))
        assert all(part[first] == part[second] for first, second in pairs)
        for name in set(part):
            here = part == name
            assert {positive[i] for i in np.flatnonzero(here)} == {True, False}
            labels = [positive[i] for i in np.flatnonzero(here & keep)]
            assert keep[here].all() if name == "test" else 2 * sum(labels) == len(labels) > 0


def test_groups_stay_whole_and_every_nucleus_is_tested_once():
    nuclei = cohort()
    splits = make_splits(nuclei, params())
    groups = dict(zip(nuclei.kept["nucleus"], nuclei.kept["patient"], strict=True))
    for _, fold in splits.groupby("fold"):
        parts = fold.assign(group=fold["nucleus"].map(groups)).groupby("group")["part"].nunique()
        assert (parts == 1).all()
    tested = splits[splits["part"] == "test"]
    assert sorted(tested["nucleus"]) == sorted(nuclei.kept["nucleus"])


def test_training_and_validation_are_balanced_and_the_test_part_is_left_as_it_is():
    nuclei = cohort()
    splits = make_splits(nuclei, params())
    positive = nuclei.kept["positive"].to_numpy()
    for fold in (0, 1, 2, FINAL):
        for part in ("train", "validation"):
            rows = part_rows(nuclei, splits, fold, part)
            assert len(rows) > 0
            assert positive[rows].mean() == 0.5
    assert splits.loc[splits["part"] == "test", "kept"].all()


def test_the_validation_part_is_near_its_share():
    nuclei = cohort(patients=40)
    splits = make_splits(nuclei, params(share=0.2))
    for fold in range(3):
        here = splits[(splits["fold"] == fold) & (splits["part"] != "test")]
        assert (here["part"] == "validation").mean() == pytest.approx(0.2, abs=0.05)


def test_same_seed_same_bytes_and_another_seed_others(tmp_path):
    nuclei = cohort()
    written = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_splits(nuclei, params(seed=seed), tmp_path / name)
        written.append((tmp_path / name / "splits.parquet").read_bytes())
    assert written[0] == written[1] != written[2]


def test_more_folds_do_not_change_what_is_taken_out_of_the_final_split():
    nuclei = cohort()
    three, four = (make_splits(nuclei, params(folds=folds)) for folds in (3, 4))
    pd.testing.assert_frame_equal(three[three["fold"] == FINAL], four[four["fold"] == FINAL])


def test_too_few_groups_says_how_many_there_are():
    with pytest.raises(FathomError, match=r"at least 5 patients, and there are 3 .*\(3 in all\)"):
        make_splits(cohort(patients=3), params(folds=5))


def test_the_hardest_groups_that_can_be_divided_are():
    # Each class stands in three patients, two of them the same; there is one way to divide them.
    nuclei = nuclei_of(["a", "a", "b", "b", "c", "d"], [False, True, False, True, False, True])
    splits = make_splits(nuclei, params(folds=3))
    check_splits(splits, nuclei, "patient", NO_PAIRS)
    tested = splits[splits["part"] == "test"].set_index("nucleus")["fold"]
    assert tested.iloc[4] == tested.iloc[5]


def test_duplicates_that_leave_too_few_groups_say_so():
    nuclei = cohort(patients=4)
    duplicates = Duplicates(pairs_of(nuclei, [(0, 10), (11, 20)]), {"method": "drawn"})
    with pytest.raises(FathomError, match=r"\(4 in all, 2 once those that duplicates"):
        make_splits(nuclei, params(folds=3), duplicates)


def test_groups_that_duplicates_bind_stand_on_one_side():
    nuclei = cohort()
    alone = make_splits(nuclei, params())
    part = alone[alone["fold"] == 0].reset_index()["part"]
    across = [(0, int(np.flatnonzero(part != part[0])[0]))]  # a pair that whole groups part
    pairs = pair_table(pairs_of(nuclei, across))
    with pytest.raises(FathomError, match=r"fold \S+: the patients p0, p\d+, which dup"):
        check_splits(alone, nuclei, "patient", pairs)
    bound = make_splits(nuclei, params(), Duplicates(pairs, {"method": "drawn"}))
    check_splits(bound, nuclei, "patient", pairs)


def test_folds_are_more_alike_than_those_of_stratified_group_k_fold():
    rng = np.random.default_rng(0)
    sizes = np.maximum(2, rng.lognormal(2.5, 1, 15)).astype(int)
    groups = np.repeat([f"p{i:02d}" for i in range(15)], sizes)
    positive = rng.random(len(groups)) < np.repeat(rng.beta(0.5, 0.5, 15), sizes)
    nuclei = nuclei_of(groups.tolist(), positive.tolist())
    splits = make_splits(nuclei, params(folds=3))
    ours = [
        nuclei.kept["nucleus"].isin(
            splits.loc[(splits["fold"] == fold) & (splits["part"] == "test"), "nucleus"]
        )
        for fold in range(3)
    ]
    reference = StratifiedGroupKFold(3, shuffle=True, random_state=0)
    divided = reference.split(groups, positive, groups)
    theirs = [np.isin(np.arange(len(groups)), test) for _, test in divided]

    def unevenness(tests):
        return [np.std([test[kind].sum() for test in tests]) for kind in (positive, ~positive)]

    assert (np.array(unevenness(ours)) < unevenness(theirs)).all()


@pytest.fixture
def broken():
    """Return sound splits for a test to break, and their nuclei."""
    nuclei = cohort()
    return make_splits(nuclei, params()), nuclei


def move(splits, fold, part, to, rows=1):
    chosen = splits.index[(splits["fold"] == fold) & (splits["part"] == part)][:rows]
    splits.loc[chosen, "part"] = to


def test_a_group_on_two_sides_is_caught(broken):
    splits, nuclei = broken
    here = splits.index[(splits["fold"] == 0) & (splits["part"] == "train") & ~splits["kept"]]
    splits.loc[here[:1], "part"] = "validation"
    with pytest.raises(FathomError, match=r"fold 0: patient 'p\d+' stands in more than one part"):
        check_splits(splits, nuclei, "patient", NO_PAIRS)


def test_a_nucleus_tested_twice_is_caught(broken):
    splits, nuclei = broken
    move(splits, 0, "train", "test")
    with pytest.raises(FathomError, match="exactly one test fold"):
        check_splits(splits, nuclei, "patient", NO_PAIRS)


def test_a_missing_nucleus_is_caught(broken):
    splits, nuclei = broken
    with pytest.raises(FathomError, match="does not hold every nucleus"):
        check_splits(splits.iloc[1:], nuclei, "patient", NO_PAIRS)


def test_an_unbalanced_part_is_caught(broken):
    splits, nuclei = broken
    splits.loc[splits["part"] == "train", "kept"] = True
    with pytest.raises(FathomError, match="train part: keeps"):
        check_splits(splits, nuclei, "patient", NO_PAIRS)


def test_a_test_part_with_a_hole_is_caught(broken):
    splits, nuclei = broken
    splits.loc[splits.index[splits["part"] == "test"][:1], "kept"] = False
    with pytest.raises(FathomError, match="test part: a nucleus was taken out"):
        check_splits(splits, nuclei, "patient", NO_PAIRS)


def test_a_part_out_of_balance_in_the_final_split_is_caught():
    nuclei = nuclei_of([f"p{i}" for i in range(6)], [True, False] * 3)
    parts = ["train", "train", "validation", "validation", "test", "test"]
    splits = pd.DataFrame(
        {"nucleus": nuclei.kept["nucleus"], "fold": 0, "part": parts, "kept": True}
    )
    others = [
        splits.assign(fold=1, part=parts[2:] + parts[:2]),
        splits.assign(fold=2, part=parts[4:] + parts[:4]),
        splits.assign(
            fold=FINAL, part=["train"] * 4 + ["validation"] * 2, kept=[True] * 5 + [False]
        ),
    ]
    with pytest.raises(FathomError, match="fold -1, validation part: keeps 1 positive"):
        check_splits(pd.concat([splits, *others]), nuclei, "patient", NO_PAIRS)


def test_training_refuses_splits_of_other_nuclei(tmp_path):
    def nuclei_in(folder, seed):
        table = cohort(seed=seed).table
        columns = dict.fromkeys(("y", "x", "top", "left", "bottom", "right", "area_px"), 0)
        more = {"touches_border": False, "focus": 1.0, "shard": "0.npy"}
        table = table.assign(**columns, **more, row=range(len(table)))
        write_nuclei(folder, table, {"0.npy": np.zeros((len(table), 8, 8, 1), np.uint8)})
        return read_nuclei(folder)

    first, second = nuclei_in(tmp_path / "first", 0), nuclei_in(tmp_path / "second", 1)
    write_splits(first, params(), tmp_path / "splits")
    assert len(read_splits(tmp_path / "splits", first)) == 4 * len(first.kept)
    with pytest.raises(FathomError, match="made from other nuclei"):
        read_splits(tmp_path / "splits", second)
