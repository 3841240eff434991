"""Stage `crop`: square crops of labelled nuclei, background 0, one shard a slide and one table."""

from pathlib import Path

import fathom.ground.stage
from fathom.datasets.dataset import read_dataset
from fathom.ground.image_store import open_store
from fathom.ground.output import write_metrics
from fathom.ground.section import read_section
from fathom.imaging.crop_dataset import crop_dataset
from fathom.imaging.params import Classes, Crop
from fathom.study.accounts import totals, write_accounts


def crop(
    dataset: Path, labels: Path, store: Path, out: Path, accounts: Path, metrics: Path
) -> None:
    """Cut the nuclei of `dataset` with the label images in `labels`; account for all of it."""
    made = open_store(store)
    found = read_dataset(dataset, store=made)
    classes, params = read_section(Classes), read_section(Crop)
    account = crop_dataset(found, labels, classes, params, out, made)
    write_accounts(accounts, account)
    write_metrics(metrics, totals(account))


if __name__ == "__main__":
    fathom.ground.stage.run(crop)
