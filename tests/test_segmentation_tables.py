import json
from pathlib import Path

import pytest
from page_tables import with_table
from segmentation import RESULTS, TABLES

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", TABLES)
def test_the_docs_have_the_tables_of_the_results(name):
    page = (ROOT / "docs" / name).read_text(encoding="utf-8")
    table = TABLES[name](json.loads(RESULTS.read_text(encoding="utf-8")))
    assert with_table(page, "segmentation", table) == page
