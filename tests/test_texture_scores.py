"""What planted textures score, and that the numbers of metrics say the same again."""

import json

import pytest

from fathom.ground.output import write_metrics
from fathom.reports.control_report import control_tables
from fathom.statistics.intervals import Interval
from fathom.texture.texture_scores import (
    Sought,
    read_texture,
    score_strength,
    smallest_found,
    sought_of,
    texture_numbers,
)

FOUND, MISSED = Interval(0.7, 0.6, 0.8), Interval(0.55, 0.5, 0.6)
SOUGHT = (
    Sought("a-1", 1.0, FOUND, 3, 3, 0, 0),
    Sought("a-1", 0.125, MISSED, 3, 2, 0, 1),
    Sought("b", 1.0, MISSED, 3, 0, 1, 2),
)


def test_found_is_an_interval_above_chance():
    assert [one.found for one in SOUGHT] == [True, False, False]
    assert smallest_found(SOUGHT, "a-1") == 1.0
    assert smallest_found(SOUGHT, "b") is None


def test_the_metrics_are_numbers_and_say_what_was_found(tmp_path):
    numbers = texture_numbers(SOUGHT, 6.0, 0.95)
    write_metrics(tmp_path / "texture.json", numbers)
    read = read_texture(tmp_path / "texture.json")
    assert sought_of(read) == SOUGHT
    assert read["a-1.smallest_found"] == 1.0
    assert "b.smallest_found" not in read
    assert read["a-1.0.125.found"] == 0
    assert all(isinstance(value, int | float) for value in json.loads(json.dumps(read)).values())


def test_a_strength_that_nobody_was_asked_for_has_no_scores(tmp_path):
    assert score_strength(tmp_path, 0.5, "slide", 0.95) == ()


def test_the_table_stands_alone_where_the_other_controls_are_not_scored(tmp_path):
    write_metrics(tmp_path / "texture.json", texture_numbers(SOUGHT, 6.0, 0.95))
    [table] = control_tables(tmp_path)
    assert table.rows == (
        ("a-1", "1 SD", ".700 [.600, .800]", "3 of 3", "yes"),
        ("a-1†", ".125 SD", ".550 [.500, .600]", "2 of 3", "no"),
        ("b†", "1 SD", ".550 [.500, .600]", "0 of 3", "no"),
    )
    text = " ".join(table.notes)
    assert "b does not find even 1 SD" in text
    assert "† b, 1 SD: 1 of 3 networks diverged" in text


@pytest.mark.parametrize("order", [SOUGHT, SOUGHT[::-1]])
def test_the_order_of_what_was_asked_changes_nothing(order):
    assert sought_of(texture_numbers(order, 6.0, 0.95)) == SOUGHT
