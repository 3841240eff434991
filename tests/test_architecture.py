from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fathom.ground.errors import FathomError
from fathom.networks.architecture import check_fits, expand, format, parse, shapes
from fathom.networks.layers import (
    Convolution,
    Dense,
    GlobalAveragePool,
    Layer,
    MaxPool,
    Output,
    Repeat,
    Residual,
    Shape,
)

LINES = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["architectures"]
COUNTS = st.integers(1, 65_536)
CONVOLUTIONS = st.builds(
    Convolution, COUNTS, st.integers(0, 30).map(lambda k: 2 * k + 1), st.integers(1, 9)
)


def _in_brackets(leaf: st.SearchStrategy[Layer]) -> st.SearchStrategy[Layer]:
    """Return layers that are `leaf`, or repeats of them, up to a few brackets deep."""
    return st.recursive(
        leaf,
        lambda inner: st.builds(
            Repeat, st.integers(1, 3), st.lists(inner, min_size=1, max_size=3).map(tuple)
        ),
        max_leaves=6,
    )


RESIDUALS = st.lists(_in_brackets(CONVOLUTIONS), min_size=1, max_size=3).map(
    lambda content: Residual(tuple(content))
)
POOLS = st.builds(MaxPool, st.integers(2, 99))
NETWORKS = st.tuples(
    st.lists(_in_brackets(CONVOLUTIONS | POOLS | RESIDUALS), max_size=5),
    st.lists(st.just(GlobalAveragePool()), max_size=1),
    st.lists(_in_brackets(st.builds(Dense, COUNTS)), max_size=3),
).map(lambda parts: (*parts[0], *parts[1], *parts[2], Output()))


@given(NETWORKS)
def test_a_network_survives_being_written_and_read(layers):
    assert parse(format(layers)) == layers


@given(NETWORKS, st.data())
def test_no_text_is_ignored(layers, data):
    line = format(layers)
    place = data.draw(st.integers(0, len(line)))
    extra = data.draw(st.sampled_from([*"0123x*/-() \n.o", " - ", "mp2x2", "()", "２"]))
    changed = line[:place] + extra + line[place:]
    try:
        read = parse(changed)
    except FathomError:
        return
    assert format(read) == changed


def test_the_students_network_is_read_as_written():
    assert parse(LINES["shallow"]) == (
        Convolution(32, 3),
        MaxPool(2),
        Convolution(32, 3),
        MaxPool(2),
        Convolution(64, 5),
        MaxPool(2),
        Dense(32),
        Dense(32),
        Output(),
    )


@pytest.mark.parametrize("name", LINES)
def test_every_line_of_params_is_canonical_and_fits_the_crops(name):
    layers = parse(LINES[name])
    assert format(layers) == LINES[name]
    check_fits(layers, 48)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("8conv3x3 - mp2x3 - o", "layer 2 of 3, 'mp2x3', is not one of <n>conv"),
        ("8conv3x3 - o ", "layer 2 of 2, 'o ', is not one of"),
        ("8conv3x3 -mp2x2 - o", "layer 1 of 2, '8conv3x3 -mp2x2', is not one of"),
        ("8conv3x3 - - o", "layer 2 of 2, '- o', is not one of"),
        ("", "layer 1 of 1, '', is not one of"),
        ("8conv3x5 - o", "'8conv3x5', .*kernel that is not square"),
        ("8conv4x4 - o", "'8conv4x4', .*even kernel"),
        ("8conv3x3/1 - o", "'8conv3x3/1', .*leave out '/1'"),
        ("8conv3x3/0 - o", "'8conv3x3/0', .*holds 0"),
        ("0conv3x3 - o", "'0conv3x3', .*holds 0: numbers go from 1 to 65536"),
        ("08conv3x3 - o", "holds 08"),
        ("fc65537 - o", "holds 65537"),
        ("fc" + "9" * 5000 + " - o", "numbers go from 1 to 65536"),
        ("mp1x1 - o", "changes nothing"),
        ("8conv3x3 - res(8conv3x3 - 8conv2) - o", "layer 2 of 2 inside layer 2 of 3, '8conv2'"),
        ("2*(3*(8conv3x3 - x)) - o", "layer 2 of 2 inside layer 1 of 1 inside layer 1 of 2, 'x'"),
        ("res(8conv3x3 - mp2x2) - o", "layer 1 of 2, 'res.*', holds 'mp2x2'"),
        ("res(res(8conv3x3)) - o", "holds 'res.8conv3x3.'"),
        ("8conv3x3 - mp2x2", "last layer, 'mp2x2', is not the output"),
        ("1*(o)", "last layer, '1.*', is not the output"),
        ("o - 8conv3x3 - o", "layer 1 of 3, 'o', is the output, which stands once"),
        ("2*(o) - o", "layer 1 of 1 inside layer 1 of 2, 'o', is the output"),
        ("fc8 - 8conv3x3 - o", "layer 2 of 3, '8conv3x3', needs maps, which 'fc8'"),
        ("fc8 - gap - o", "'gap', needs maps, which 'fc8'"),
        ("gap - mp2x2 - o", "'mp2x2', needs maps, which 'gap'"),
        ("2*(8conv3x3 - fc8) - o", "layer 1 of 2 inside layer 1 of 2, '8conv3x3', needs maps"),
        ("res() - o", "layer 1 of 1 inside layer 1 of 2, '', is not"),
        ("0*(8conv3x3) - o", "holds 0"),
        ("2*(8conv3x3 - o", r"'\(' is never closed"),
        ("8conv3x3) - o", r"'\)' after '8conv3x3' closes no bracket"),
        ("res(8conv3x3)(o) - o", "closes no bracket"),
        ("(8conv3x3) - o", r"'\(8conv3x3\)', is not one of"),
        ("1*(" * 20 + "fc1" + ")" * 20 + " - o", "more than 8 deep"),
        ("9999*(9999*(9999*(fc1))) - o", "it has 999700030000 layers"),
    ],
)
def test_an_error_names_the_place_and_the_text(line, message):
    with pytest.raises(FathomError, match=message):
        parse(line)


def test_repeats_are_written_out_in_order():
    layers = parse("2*(8conv3x3 - res(2*(8conv3x3))) - gap - o")
    block = (Convolution(8, 3), Residual((Convolution(8, 3), Convolution(8, 3))))
    assert expand(layers) == (*block, *block, GlobalAveragePool(), Output())


def test_shapes_follow_strides_and_pools_of_odd_maps():
    layers = parse("4conv3x3/2 - mp2x2 - res(6conv1x1/2 - 6conv3x3) - fc5 - o")
    assert shapes(layers, channels=3, crop_px=27) == (
        Shape(4, 14),
        Shape(4, 7),
        Shape(6, 4),
        Shape(5, 1),
        Shape(1, 1),
    )


def test_pooling_below_one_pixel_is_named_before_training():
    layers = parse("2*(8conv3x3 - mp4x4) - mp2x2 - mp2x2 - o")
    check_fits(layers, 64)
    with pytest.raises(FathomError, match="layer 3 of 4, 'mp2x2', would pool a map of 1 x 1"):
        check_fits(layers, 63)  # 63 px become 15, 3 and 1
    with pytest.raises(FathomError, match="layer 2 of 4, 'mp2x2', would pool a map of 1 x 1"):
        check_fits(layers, 31)
    with pytest.raises(FathomError, match=r"layer 2 of 2 inside layer 1 of 4, 'mp4x4'.* of 15 px"):
        check_fits(layers, 15)


def test_a_kernel_larger_than_its_map_is_allowed():
    check_fits(parse("mp16x16 - 8conv5x5 - o"), 16)
