import json
from pathlib import Path

import pytest
from segmentation import RESULTS, TABLES, with_table

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", TABLES)
def test_the_docs_have_the_tables_of_the_results(name):
    page = (ROOT / "docs" / name).read_text(encoding="utf-8")
    table = TABLES[name](json.loads(RESULTS.read_text(encoding="utf-8")))
    assert with_table(page, table) == page
