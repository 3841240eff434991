import hashlib
import json
from dataclasses import replace

import pandas as pd
import pytest
from conftest import nuclei_of

from fathom.ground.errors import FathomError
from fathom.splitting.folds import write_splits
from fathom.study.duplicates import Duplicates
from fathom.study.splits import Split, read_splits

PARAMS = Split(group="patient", folds=3, validation_share=0.25, seed=0)


@pytest.fixture
def nuclei():
    groups = [f"p{i:02d}" for i in range(12) for _ in range(8)]
    return nuclei_of(groups, [i % 5 < 2 for i in range(len(groups))])


@pytest.fixture
def duplicates(nuclei):
    ids = nuclei.table["nucleus"]
    pairs = pd.DataFrame({"first": [ids[0], ids[20]], "second": [ids[90], ids[41]]})
    return Duplicates(pairs, {"method": "correlation", "at_least": 0.95})


@pytest.fixture
def folder(tmp_path, nuclei, duplicates):
    write_splits(nuclei, PARAMS, tmp_path, duplicates)
    return tmp_path


def certificate(folder):
    return json.loads((folder / "certificate.json").read_text())


def edit(folder, change):
    content = certificate(folder)
    change(content)
    (folder / "certificate.json").write_text(json.dumps(content))


def test_it_says_what_was_checked_and_how(folder, nuclei):
    content = certificate(folder)
    assert content["duplicates"] == {
        "how": {"method": "correlation", "at_least": 0.95},
        "pairs": 2,
        "bound_together": [["p00", "p11"], ["p02", "p05"]],
    }
    assert content["params"] == PARAMS.model_dump()
    assert "no patient stands in two parts of a fold" in content["checked"]
    assert all(content["checked"].values())
    assert [one["of"] for one in content["divisions"]] == ["test parts"] + [
        f"training and validation part of fold {fold}" for fold in (-1, 0, 1, 2)
    ]
    assert all(one["bound"] <= one["imbalance"] < 0.5 for one in content["divisions"])
    assert content["divisions"][0]["units"] == 10


def test_its_counts_are_those_of_the_table(folder, nuclei):
    splits = pd.read_parquet(folder / "splits.parquet")
    positive = dict(zip(nuclei.kept["nucleus"], nuclei.kept["positive"], strict=True))
    patient = dict(zip(nuclei.kept["nucleus"], nuclei.kept["patient"], strict=True))
    parts = certificate(folder)["parts"]
    assert len(parts) == 2 + 3 * 3
    for part in parts:
        here = splits[(splits["fold"] == part["fold"]) & (splits["part"] == part["part"])]
        ill = sum(positive[name] for name in here["nucleus"])
        assert part["nuclei"] == len(here)
        assert (part["positive"], part["negative"]) == (ill, len(here) - ill)
        assert part["kept"] == here["kept"].sum()
        assert part["groups"] == sorted({patient[name] for name in here["nucleus"]})


def test_its_hashes_are_those_of_the_files(folder):
    sha256 = certificate(folder)["sha256"]
    for name in ("splits", "duplicates"):
        content = (folder / f"{name}.parquet").read_bytes()
        assert sha256[name] == hashlib.sha256(content).hexdigest()


def test_the_same_split_has_the_same_bytes(folder, nuclei, duplicates, tmp_path):
    shuffled = replace(duplicates, pairs=duplicates.pairs.iloc[::-1])
    write_splits(nuclei, PARAMS, tmp_path / "again", shuffled)
    for name in ("splits.parquet", "duplicates.parquet", "certificate.json"):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_what_was_written_is_read(folder, nuclei, duplicates):
    assert len(read_splits(folder, nuclei)) == 4 * len(nuclei.kept)
    read_splits(folder, nuclei, duplicates.pairs.iloc[::-1])


@pytest.mark.parametrize("column", ["nucleus", "image", "slide", "patient", "label", "positive"])
def test_other_nuclei_are_refused(folder, nuclei, column):
    table = nuclei.table.copy()
    table.loc[0, column] = True if column == "positive" else "another"
    if column == "positive":
        table["positive"] = ~nuclei.table["positive"]
    with pytest.raises(FathomError, match="was made from other nuclei"):
        read_splits(folder, replace(nuclei, table=table, kept=table))


def test_a_nucleus_less_is_refused(folder, nuclei):
    table = nuclei.table.iloc[1:].reset_index(drop=True)
    with pytest.raises(FathomError, match="was made from other nuclei"):
        read_splits(folder, replace(nuclei, table=table, kept=table))


def test_another_table_of_splits_is_refused_though_it_keeps_every_promise(
    folder, nuclei, duplicates, tmp_path
):
    write_splits(nuclei, PARAMS.model_copy(update={"seed": 1}), tmp_path / "other", duplicates)
    (tmp_path / "other" / "splits.parquet").replace(folder / "splits.parquet")
    with pytest.raises(FathomError, match=r"splits\.parquet has changed since"):
        read_splits(folder, nuclei)


def test_other_duplicates_are_refused(folder, nuclei, duplicates):
    with pytest.raises(FathomError, match=r"other duplicates \(2 pairs, now 1\)"):
        read_splits(folder, nuclei, duplicates.pairs.iloc[1:])
    duplicates.pairs.iloc[1:].to_parquet(folder / "duplicates.parquet")
    with pytest.raises(FathomError, match=r"duplicates\.parquet has changed since"):
        read_splits(folder, nuclei)


def test_an_edited_certificate_is_refused(folder, nuclei):
    # As an image is never larger than a patient, the other promises would still be kept.
    edit(folder, lambda content: content["params"].update(group="image"))
    with pytest.raises(FathomError, match=r"certificate\.json has changed since"):
        read_splits(folder, nuclei)


@pytest.mark.parametrize("name", ["splits.parquet", "duplicates.parquet", "certificate.json"])
def test_a_missing_file_is_named(folder, nuclei, name):
    (folder / name).unlink()
    with pytest.raises(FathomError, match=f"{name} is missing: run the stage 'split' first"):
        read_splits(folder, nuclei)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"sha256": 3}', '{"nuclei_sha256": "ab"}'])
def test_what_is_no_certificate_is_refused(folder, nuclei, text):
    (folder / "certificate.json").write_text(text)
    with pytest.raises(FathomError, match="not a certificate of this version"):
        read_splits(folder, nuclei)
