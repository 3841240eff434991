"""Small networks for property tests: valid lines whose numbers stay small enough to build."""

from hypothesis import strategies as st

from fathom.networks.layers import (
    Convolution,
    Dense,
    GlobalAveragePool,
    Layer,
    MaxPool,
    Output,
    Repeat,
    Residual,
)

CONVOLUTIONS = st.builds(
    Convolution,
    st.sampled_from([1, 2, 2, 3]),
    st.sampled_from([1, 3, 5]),
    st.sampled_from([1, 1, 1, 2, 3]),
)


def _repeated(leaf: st.SearchStrategy[Layer]) -> st.SearchStrategy[Layer]:
    content = st.lists(leaf, min_size=1, max_size=3).map(tuple)
    return leaf | st.builds(Repeat, st.integers(1, 3), content)


RESIDUALS = st.lists(_repeated(CONVOLUTIONS), min_size=1, max_size=3).map(
    lambda content: Residual(tuple(content))
)
MAPPED = CONVOLUTIONS | RESIDUALS | st.builds(MaxPool, st.integers(2, 3))
NETWORKS = st.tuples(
    st.lists(_repeated(_repeated(MAPPED)), max_size=6),
    st.lists(st.just(GlobalAveragePool()), max_size=1),
    st.lists(_repeated(st.builds(Dense, st.integers(1, 5))), max_size=2),
).map(lambda parts: (*parts[0], *parts[1], *parts[2], Output()))
