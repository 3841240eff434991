"""What is gathered for the page: tables of networks, crops, outlines, each on a study made here."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import simulated_runs as simulated
import tifffile
from conftest import nuclei_of
from PIL import Image

from fathom.diagnosis.evidence import CellEvidence, Evidence
from fathom.ground.section import read_section
from fathom.networks.interventions import Plan
from fathom.networks.recipe import Recipe
from fathom.page import files, network_tables
from fathom.page.crop_pictures import write_crops
from fathom.page.field_pictures import MOST, write_pictures
from fathom.page.network_tables import BINS, MOST_EPOCHS, Row
from fathom.statistics.scores import read_cells, study_of
from fathom.study.nuclei import Nuclei

PARAMS = Path(__file__).parents[1] / "params.yaml"
PLATEAU, BELOW = [0.693] * 6, [0.693, 0.69, 0.6, 0.55, 0.5, 0.5]


def cell(fold, losses):
    numbers = dict.fromkeys(CellEvidence.__dataclass_fields__, 0.0)
    own = {"fold": fold, "seed": 0, "losses": tuple(losses), "majority": 0.5}
    return CellEvidence(**(numbers | own | {"constant": losses is PLATEAU, "only_left": False}))


def row(folder, losses, epochs=6):
    folder.mkdir(parents=True, exist_ok=True)
    simulated.history(epochs).to_parquet(folder / "history.parquet")
    probes = pd.DataFrame(
        [
            {"fold": fold, "epoch": epoch, "place": place, "layer": f"{place} conv",
             "between_samples": (place + 1) * (1 + fold) / (1 + epoch), "readability": np.nan}
            for fold in range(3) for epoch in (0, 6) for place in range(3)
        ]
    )  # fmt: skip
    plan = Plan("8conv3x3 - gap - o", read_section(Recipe, PARAMS))
    cells = tuple(cell(fold, one) for fold, one in enumerate(losses))
    return Row(folder, Evidence("a", plan, 3, cells), probes)


def test_each_network_says_whether_and_when_it_left(tmp_path):
    table = network_tables.networks({"a": row(tmp_path / "a", [PLATEAU, BELOW, PLATEAU])})
    assert table["run"].tolist() == ["a"] * 3
    assert table["left_at"].isna().tolist() == [True, False, True]
    assert table["left_at"].iloc[1] == 3  # the mean of the first three epochs is below
    assert table["constant"].tolist() == [1, 0, 1]
    assert table["epochs"].tolist() == [6] * 3


def test_curves_keep_each_network_and_thin_long_trainings(tmp_path):
    rows = {"a": row(tmp_path / "a", [BELOW]), "long": row(tmp_path / "long", [BELOW], 300)}
    table = network_tables.curves(rows)
    assert (table["fold"] >= 0).all()  # the final network is no part of the comparison
    short = table[(table["run"] == "a") & (table["fold"] == 1)]
    assert short["epoch"].tolist() == list(range(1, 7))
    assert short["loss"].iloc[0] == pytest.approx(0.65)
    kept = table[(table["run"] == "long") & (table["fold"] == 0)]["epoch"].tolist()
    assert len(kept) == MOST_EPOCHS
    assert (kept[0], kept[-1]) == (1, 300)


def test_layers_are_medians_at_the_start_and_at_the_end(tmp_path):
    table = network_tables.layers({"a": row(tmp_path / "a", [BELOW])})
    assert table["place"].tolist() == [0, 1, 2]
    assert table["start"].tolist() == [2, 4, 6]  # of folds 0, 1, 2: the middle one
    assert table["end"].tolist() == pytest.approx([2 / 7, 4 / 7, 6 / 7], rel=1e-3)
    assert table["layer"].tolist() == ["0 conv", "1 conv", "2 conv"]


def test_calibration_counts_every_test_nucleus_once(tmp_path):
    study = simulated.study()
    simulated.predictions(study, 1.0).to_parquet(tmp_path / "a.parquet")
    table = network_tables.calibration({"a": read_cells(tmp_path / "a.parquet", study)}, 0.95)
    assert table["nuclei"].sum() == len(study.nucleus)
    assert len(table) <= BINS
    assert (table["low"] <= table["observed"]).all()
    assert (table["observed"] <= table["high"]).all()
    found = (table["observed"] * table["nuclei"]).sum()
    assert found == pytest.approx(study.positive.sum(), abs=0.01)


def with_crops(folder, channels, side=8):
    """Return the simulated study's nuclei with crops on disk, each of a grey value of its own."""
    bare = simulated.nuclei()
    grey = np.arange(len(bare.kept), dtype=np.uint8)
    crops = np.repeat(grey, side * side * channels).reshape(-1, side, side, channels)
    np.save(folder / "0.npy", crops)
    table = bare.table.assign(shard="0.npy", row=range(len(grey)))
    return Nuclei(folder, table, table)


@pytest.mark.parametrize("channels", [1, 3])
def test_crops_are_those_of_the_networks_and_the_surest_come_first(tmp_path, channels):
    nuclei = with_crops(tmp_path, channels)
    study = study_of(nuclei, "slide")
    simulated.predictions(study, 2.0).to_parquet(tmp_path / "a.parquet")
    simulated.predictions(study, 0.0).to_parquet(tmp_path / "none.parquet")
    paths = {name: tmp_path / f"{name}.parquet" for name in ("a", "none")}
    everyone = {name: read_cells(path, study) for name, path in paths.items()}
    write_crops(tmp_path, nuclei, paths, everyone)
    crops, surest = (pd.read_csv(tmp_path / name) for name in (files.CROPS, files.SUREST))
    with Image.open(tmp_path / files.ATLAS) as picture:
        atlas = np.asarray(picture)
    for one in crops.to_dict("records"):
        top, left = 8 * (one["cell"] // files.ATLAS_ACROSS), 8 * (one["cell"] % files.ATLAS_ACROSS)
        place = nuclei.kept.index[nuclei.kept["nucleus"] == one["nucleus"]][0]
        assert (atlas[top : top + 8, left : left + 8] == place).all()
    sample = crops[crops["sample"] == 1]
    assert sample["label"].value_counts().min() >= 10
    assert set(surest["run"]) == {"a"}  # the other one says the same of every nucleus
    predictions = pd.read_parquet(paths["a"])
    tests = predictions[predictions["part"] == "test"].set_index("nucleus")["probability"]
    positive = nuclei.kept.set_index("nucleus")["positive"]
    named = crops.set_index("cell")["nucleus"]
    for kind, own in surest.groupby("kind"):
        nuclei_of_kind = named.loc[own["cell"]]
        assert set(positive.loc[nuclei_of_kind]) == {kind.endswith("positive")}
        assert own["probability"].tolist() == pytest.approx(
            tests.loc[nuclei_of_kind].tolist(), abs=1e-4
        )
    hits = surest[surest["kind"] == "hit-positive"]["probability"]
    misses = surest[surest["kind"] == "miss-positive"]["probability"]
    assert hits.min() > misses.max()


def test_the_same_crops_give_the_same_bytes(tmp_path):
    nuclei = with_crops(tmp_path, 1)
    study = study_of(nuclei, "slide")
    simulated.predictions(study, 1.0).to_parquet(tmp_path / "a.parquet")
    written = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        path = {"a": tmp_path / "a.parquet"}
        write_crops(tmp_path / name, nuclei, path, {"a": read_cells(path["a"], study)})
        written.append({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()})
    assert written[0] == written[1]
    assert len(written[0]) == 3


@pytest.fixture
def fields(tmp_path):
    """Return a data set of eight images, one nucleus of each label and one left out a field."""
    names = [f"s{number}" for number in range(8)]
    (tmp_path / "dataset" / "images").mkdir(parents=True)
    (tmp_path / "labels").mkdir()
    labels = np.zeros((100, 200), dtype=np.uint16)
    labels[10:30, 20:60], labels[50:80, 100:140], labels[90:100, 0:10] = 1, 2, 3
    tables = []
    for name in names:
        tifffile.imwrite(tmp_path / "dataset" / "images" / f"{name}.tif", labels * 1000)
        tifffile.imwrite(tmp_path / "labels" / f"{name}.tif", labels)
        table = nuclei_of([name] * 3, [True, False, False]).table
        table["nucleus"] = [f"images/{name}.tif#{number}" for number in (1, 2, 3)]
        table["left_out"] = ["", "", "touches the border"]
        table["label"] = ["ill", "well", None]
        tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    return tmp_path, Nuclei(tmp_path, table, table[table["left_out"] == ""])


def test_outlines_lie_where_the_nuclei_are_and_say_their_kind(fields):
    folder, nuclei = fields
    out = folder / "out"
    out.mkdir()
    write_pictures(
        out, folder / "dataset", folder / "labels", nuclei, folder / "audit", folder / "none"
    )
    told = json.loads((out / files.PICTURES).read_text())
    assert told["images"] == 8
    assert len(told["micrographs"]) == MOST
    assert told["new_slides"] == told["audit"] == []
    one = told["micrographs"][0]
    assert (one["width"], one["height"]) == (200, 100)
    with Image.open(out / one["file"]) as picture:
        assert picture.size == (200, 100)
    kinds = [(nucleus["positive"], nucleus["left_out"]) for nucleus in one["nuclei"]]
    assert kinds == [(True, ""), (False, ""), (False, "touches the border")]
    points = np.array([p.split(",") for p in one["nuclei"][0]["points"].split()], dtype=int)
    assert np.abs(points.min(0) - [20, 10]).max() <= 1
    assert np.abs(points.max(0) - [60, 30]).max() <= 1


def test_new_slides_are_shown_as_they_were_scored(fields):
    folder, nuclei = fields
    scored = folder / "scored"
    (scored / "p1").mkdir(parents=True)
    Image.new("RGB", (1300, 700)).save(scored / "p1" / "a.png")
    rows = [("images/p1/a.tif", 5, 2, "undecided"), ("images/b.tif", 0, 0, "")]
    pd.DataFrame(rows, columns=["image", "scored", "positive", "verdict"]).to_csv(
        scored / "summary.csv", index=False
    )
    out = folder / "out"
    out.mkdir()
    write_pictures(out, folder / "dataset", folder / "labels", nuclei, folder / "audit", scored)
    told = json.loads((out / files.PICTURES).read_text())
    assert told["new_images"] == 2
    [one] = told["new_slides"]  # the other one has no picture
    assert (one["image"], one["scored"], one["verdict"]) == ("images/p1/a.tif", 5, "undecided")
    assert max(one["width"], one["height"]) == 640
