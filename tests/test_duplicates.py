import hypothesis.strategies as st
import pandas as pd
import pytest
from conftest import nuclei_of
from duplicate_pairs import pairs_of, reachable
from hypothesis import given, settings

from fathom.ground.errors import FathomError
from fathom.study.duplicates import bind, pair_table
from fathom.study.nuclei import Nuclei


@settings(max_examples=100)
@given(st.data())
def test_units_are_the_groups_that_pairs_reach(data):
    groups = sorted(data.draw(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=20)))
    places = st.integers(0, len(groups) - 1)
    pairs = data.draw(st.lists(st.tuples(places, places), max_size=8))
    nuclei = nuclei_of(groups, [True] * len(groups))
    bound = bind(nuclei, "patient", pair_table(pairs_of(nuclei, pairs)))
    sets = reachable(groups, pairs)
    for i, one in enumerate(groups):
        for j, other in enumerate(groups):
            assert (bound.unit[i] == bound.unit[j]) == (other in sets[one])
    assert set(bound.unit) == set(range(len(set(bound.unit))))
    joined = {tuple(sorted(one)) for one in sets.values() if len(one) > 1}
    assert bound.joined == tuple(sorted(joined))


def test_a_nucleus_without_a_crop_binds_too():
    table = nuclei_of(["a", "b", "c", "c"], [True] * 4).table
    table.loc[1, "left_out"] = "too large"
    nuclei = Nuclei(None, table, table[table["left_out"] == ""].reset_index(drop=True))
    bound = bind(nuclei, "patient", pair_table(pairs_of(nuclei, [(0, 1), (1, 2)])))
    assert bound.unit.tolist() == [0, 0, 0]
    assert bound.joined == (("a", "b", "c"),)


def test_the_table_of_pairs_has_one_order():
    written = pd.DataFrame({"second": ["b", "a", "d"], "first": ["a", "b", "c"], "distance": 1.0})
    table = pair_table(written)
    assert table.to_numpy().tolist() == [["a", "b"], ["c", "d"]]
    assert table.equals(pair_table(written.iloc[::-1]))
    assert pair_table(written.iloc[:0]).columns.tolist() == ["first", "second"]


def test_a_pair_of_a_nucleus_that_is_not_there_is_refused():
    nuclei = nuclei_of(["a", "b"], [True, False])
    pairs = pd.DataFrame({"first": [nuclei.table["nucleus"][0]], "second": ["b.tif#9"]})
    with pytest.raises(FathomError, match=r"names nucleus 'b\.tif#9', which is not"):
        bind(nuclei, "patient", pairs)


def test_a_table_without_its_columns_is_refused():
    with pytest.raises(FathomError, match="no column 'second'"):
        pair_table(pd.DataFrame({"first": ["a"]}))
