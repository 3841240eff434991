"""The variants of the default study's verdict: what each changes, and what the table says."""

import json

import pytest
import verdict_stability
import yaml
from page_tables import with_table


@pytest.mark.parametrize("name", verdict_stability.NAMES)
def test_a_variant_changes_one_thing(name):
    text = (verdict_stability.ROOT / "params.yaml").read_text(encoding="utf-8")
    before, after = yaml.safe_load(text), verdict_stability.changed(yaml.safe_load(text), name)
    value = int(name.split()[1])
    before["diagnosis" if "budget" in name else "recipe"] |= (
        {"budget": value} if "budget" in name else {"seeds": [value]}
    )
    assert after == before


def test_the_row_of_the_study_is_its_verdict():
    """Variant `budget 45` changes nothing: it says what is committed."""
    written = json.loads((verdict_stability.ROOT / "verdicts" / "verdicts.json").read_text())
    results = json.loads(verdict_stability.RESULTS.read_text())["variants"]
    [found] = written.values()
    row = verdict_stability.summary(found)
    assert results["budget 45"].items() >= row.items()
    assert row["left"] in verdict_stability.table({"variants": {"one": results["budget 45"]}})


def test_the_page_has_the_table_of_the_results():
    page = verdict_stability.PAGE.read_text(encoding="utf-8")
    table = verdict_stability.table(json.loads(verdict_stability.RESULTS.read_text()))
    assert with_table(page, "verdict_stability", table) == page
