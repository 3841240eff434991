import json

import pandas as pd
import pytest

from fathom.ground.output import write_json, write_metrics, write_table, written_whole


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    def fail():
        with written_whole(tmp_path / "a.txt") as part:
            part.write_text("half")
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_file_that_was_there(tmp_path):
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}


def test_metrics_are_sorted_and_rounded_and_counts_stay_whole(tmp_path):
    write_metrics(tmp_path / "m.json", {"b": 2 / 3, "a": 7})
    assert (tmp_path / "m.json").read_text() == '{\n  "a": 7,\n  "b": 0.666667\n}\n'


def test_a_table_has_the_same_bytes_twice(tmp_path):
    table = pd.DataFrame({"nucleus": ["a", "b"], "probability": [0.25, 0.5]})
    for name in ("a.parquet", "b.parquet"):
        write_table(tmp_path / name, table)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "a.parquet"), table)
