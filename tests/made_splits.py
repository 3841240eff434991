"""Splits without a file: what `fathom.splitting.folds.write_splits` writes."""

import pandas as pd

from fathom.splitting.folds import make_folds
from fathom.study.duplicates import NOT_LOOKED_FOR, Duplicates, pair_table
from fathom.study.nuclei import Nuclei
from fathom.study.splits import Split


def make_splits(
    nuclei: Nuclei, params: Split, duplicates: Duplicates = NOT_LOOKED_FOR
) -> pd.DataFrame:
    """Return the table of splits (see `fathom.study.splits`)."""
    return make_folds(nuclei, params, pair_table(duplicates.pairs)).table
