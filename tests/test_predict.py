import doctest
import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import tifffile
from conftest import draw_field
from PIL import Image
from tiny_model import PARAMS, write_model

from fathom.ground.errors import FathomError, ModelError
from fathom.ground.images import write_labels
from fathom.imaging.params import Crop, Segmentation
from fathom.imaging.segmentation import segment
from fathom.models.onnx_model import NEGATIVE, POSITIVE, OnnxModel
from fathom.results.nuclei_table import COORDINATE_COLUMNS, SCORE_COLUMNS
from fathom.results.slide_files import Formats
from fathom.scoring.predict import predict, predict_slides
from fathom.scoring.scorer import Reading

pytestmark = pytest.mark.usefixtures("one_reader")
NUCLEI = 12
KINDS = ("geojson", "parquet", "png")


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "tiny.onnx", um_per_px=None)


@pytest.fixture(scope="module")
def colour_model_file(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "colour.onnx", channels=3, um_per_px=None)


def eight_bit(field):
    return (field // 32).clip(0, 255).astype(np.uint8)


@pytest.fixture
def images(tmp_path):
    """Return one field as a 16-bit TIFF, an 8-bit PNG and a JPEG."""
    field, _ = draw_field(3, NUCLEI)
    tifffile.imwrite(tmp_path / "a.tif", field)
    Image.fromarray(eight_bit(field)).save(tmp_path / "b.png")
    Image.fromarray(eight_bit(field)).save(tmp_path / "c.jpg", quality=95)
    return [tmp_path / name for name in ("a.tif", "b.png", "c.jpg")]


def files(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("key", ["final_diverged", "final_constant"])
def test_a_network_that_failed_in_training_scores_only_if_it_is_forced_to(images, tmp_path, key):
    model = write_model(tmp_path / "failed.onnx", um_per_px=None, metrics={key: 1.0})
    with pytest.raises(ModelError, match=r"failed\.onnx: the network .*--force"):
        predict_slides(model, images[:1], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(ModelError, match="--force"):
        predict(images[0], model)
    assert len(predict(images[0], model, force=True)) == NUCLEI
    predict_slides(model, images[:1], tmp_path / "out", force=True)
    assert (tmp_path / "out/summary.csv").is_file()


def test_every_format_gives_every_file(model_file, images, tmp_path):
    out = tmp_path / "out"
    summary = predict_slides(model_file, images, out)
    assert set(files(out)) == {f"{n}.{kind}" for n in "abc" for kind in KINDS} | {"summary.csv"}
    assert summary["nuclei"].tolist() == [NUCLEI] * 3
    assert summary["image"].tolist() == [image.as_posix() for image in images]
    written = pd.read_csv(out / "summary.csv", keep_default_na=False)
    assert written.columns.tolist() == summary.columns.tolist()
    assert written["remark"].tolist() == [""] * 3


def test_the_files_of_an_image_agree(model_file, images, tmp_path):
    out = tmp_path / "out"
    row = predict_slides(model_file, images[:1], out).iloc[0]
    table = pd.read_parquet(out / "a.parquet")
    features = json.loads((out / "a.geojson").read_text(encoding="utf-8"))["features"]
    assert table.columns.tolist() == [*SCORE_COLUMNS, *COORDINATE_COLUMNS]
    scored = table[table["left_out"] == ""]
    assert row["scored"] == len(scored) > 0
    assert row["positive"] == (scored["class"] == "ill").sum()
    assert row["share_positive"] == pytest.approx((scored["probability"] >= 0.5).mean())
    assert row["mean_probability"] == pytest.approx(scored["probability"].mean())
    assert len(features) == len(table)
    for feature, nucleus in zip(features, table.to_dict("records"), strict=True):
        (ring,) = feature["geometry"]["coordinates"]
        x, y = np.transpose(ring)
        assert (x.min(), x.max()) == (nucleus["left"], nucleus["right"])
        assert (y.min(), y.max()) == (nucleus["top"], nucleus["bottom"])
        if not nucleus["left_out"]:
            assert feature["properties"]["classification"]["name"] == nucleus["class"]
    with Image.open(out / "a.png") as picture:
        assert picture.mode == "RGB"
        colours = {colour for _, colour in picture.getcolors(maxcolors=2**24)}
    expected = {"ill": POSITIVE, "well": NEGATIVE}
    assert {expected[name] for name in scored["class"]} <= colours


def test_a_score_is_that_of_the_crop_cut_by_hand(tmp_path):
    crop = Crop.model_validate({**PARAMS["crop"], "crop_px": 32, "normalisation": "none"})
    model_file = write_model(tmp_path / "absolute.onnx", crop=crop, um_per_px=None)
    field, _ = draw_field(3, NUCLEI)
    table = pd.read_parquet(_one(model_file, field, tmp_path) / "a.parquet")
    model = OnnxModel(model_file)
    labels = segment(field, model.card.segmentation)
    nucleus = table[table["left_out"] == ""].iloc[4]
    box = np.s_[nucleus["top"] : nucleus["bottom"], nucleus["left"] : nucleus["right"]]
    height, width = labels[box].shape
    square = np.zeros((1, 32, 32, 1), dtype=np.uint8)
    top, left = (32 - height) // 2, (32 - width) // 2
    square[0, top : top + height, left : left + width, 0] = np.where(
        labels[box] == nucleus["label_number"], np.rint(field[box] / 257).clip(1, 255), 0
    )
    logit, probability = model.score(square)
    assert nucleus["logit"] == pytest.approx(logit[0], abs=1e-6)
    assert nucleus["probability"] == pytest.approx(probability[0], abs=1e-6)
    assert table["probability"].nunique() == (table["left_out"] == "").sum()


def test_a_nucleus_on_the_border_is_there_but_not_scored(model_file, tmp_path):
    field, _ = draw_field(3, NUCLEI)
    top = int(pd.read_parquet(_one(model_file, field, tmp_path) / "a.parquet")["y"].min())
    table = pd.read_parquet(_one(model_file, field[top:], tmp_path) / "a.parquet")
    border = table[table["touches_border"]]
    assert len(border) > 0
    assert (border["left_out"] == "touches the border").all()
    assert border["probability"].isna().all()
    assert border["class"].isna().all()


def _one(model_file, field, folder):
    tifffile.imwrite(folder / "a.tif", field)
    predict_slides(model_file, [folder / "a.tif"], folder / "out", overwrite=True)
    return folder / "out"


def test_the_same_call_gives_the_same_bytes(model_file, images, tmp_path):
    predict_slides(model_file, images, tmp_path / "first")
    predict_slides(model_file, images, tmp_path / "second")
    predict_slides(model_file, images, tmp_path / "second", overwrite=True)
    assert files(tmp_path / "first") == files(tmp_path / "second")


def test_a_colour_image_with_a_colour_model(colour_model_file, tmp_path):
    field, _ = draw_field(3, NUCLEI)
    grey = eight_bit(field)
    Image.fromarray(np.stack([grey, grey // 2, grey // 3], axis=-1)).save(tmp_path / "stained.png")
    predict_slides(colour_model_file, [tmp_path / "stained.png"], tmp_path / "out.d")
    assert set(files(tmp_path / "out.d")) == {"summary.csv", *(f"stained.{kind}" for kind in KINDS)}
    table = pd.read_parquet(tmp_path / "out.d" / "stained.parquet")
    assert table.loc[table["left_out"] == "", "probability"].between(0, 1).all()


def test_two_images_of_one_name_are_refused_before_any_work(model_file, images, tmp_path):
    twin = tmp_path / "other" / "a.png"
    twin.parent.mkdir()
    twin.write_bytes(images[1].read_bytes())
    with pytest.raises(FathomError, match=r"a\.tif and .*a\.png would both write 'a\.geojson'"):
        predict_slides(model_file, [*images, twin], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_image_is_never_overwritten_by_its_overlay(model_file, images, tmp_path):
    before = images[1].read_bytes()
    with pytest.raises(FathomError, match=r"b\.png: is one of the images"):
        predict_slides(model_file, images, tmp_path)
    assert images[1].read_bytes() == before


def test_label_images_are_asked_for_by_a_model_of_such_and_by_no_other(
    model_file, images, tmp_path
):
    section = Segmentation.model_validate({**PARAMS["segmentation"], "method": "masks"})
    by_masks = write_model(tmp_path / "masks.onnx", segmentation=section, um_per_px=None)
    out, masks = tmp_path / "out", tmp_path / "masks"
    with pytest.raises(FathomError, match="trained on nuclei from label images made elsewhere"):
        predict_slides(by_masks, images, out)
    with pytest.raises(FathomError, match="takes no label images: leave out --masks"):
        predict_slides(model_file, images, out, masks=masks)
    with pytest.raises(FathomError, match=r"a\.tif: has no label image in .*: a with one of"):
        predict_slides(by_masks, images, out, masks=masks)
    assert not out.exists()
    write_labels(masks / "a.tif", np.ones((7, 9), np.int32))
    with pytest.raises(FathomError, match="is 160 x 160 px, and its label image 9 x 7 px"):
        predict_slides(by_masks, images[:1], out, masks=masks)
    assert files(out) == {}


def test_prediction_needs_no_training_library(model_file, images, tmp_path):
    script = """
import sys
from pathlib import Path
training = {"torch", "sklearn", "joblib", "matplotlib", "dvc", "onnx", "onnxscript"}
class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in training:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, NotInstalled())
from fathom.scoring.predict import predict_slides
model, *images, out = map(Path, sys.argv[1:])
predict_slides(model, images, out)
"""
    out = tmp_path / "out"
    arguments = [str(path) for path in (model_file, *images, out)]
    subprocess.run([sys.executable, "-c", script, *arguments], check=True, timeout=60)
    assert len(files(out)) == 3 * len(KINDS) + 1


def test_python_returns_what_the_command_writes(model_file, images, tmp_path):
    predict_slides(model_file, images[:1], tmp_path / "out")
    written = pd.read_parquet(tmp_path / "out" / "a.parquet")
    found = predict(str(images[0]), str(model_file))
    pd.testing.assert_frame_equal(found, written, check_dtype=False)
    for given in (tifffile.imread(images[0]), images[0]):
        again = predict(given, OnnxModel(model_file), tile_px=64)
        np.testing.assert_allclose(
            np.sort(again["probability"]), np.sort(written["probability"]), rtol=0, atol=1e-5
        )


def test_an_array_without_nuclei_has_an_empty_table(model_file):
    found = predict(np.full((50, 60), 7, dtype=np.uint8), model_file)
    assert found.empty
    assert found.columns.tolist() == [*SCORE_COLUMNS, *COORDINATE_COLUMNS]


def test_an_array_of_another_kind_is_refused(model_file):
    with pytest.raises(FathomError, match="is a colour"):
        predict(np.zeros((50, 60, 3), dtype=np.uint8), model_file)
    with pytest.raises(FathomError, match="float64"):
        predict(np.zeros((50, 60)), model_file)


def test_a_finer_image_is_scored_at_the_models_resolution(tmp_path):
    model_file = write_model(tmp_path / "model.onnx", um_per_px=0.5)
    field, _ = draw_field(3, NUCLEI)
    fine = np.kron(field, np.ones((2, 2), dtype=np.uint16))
    coarse = predict(field, model_file, um_per_px=0.5)
    for given in (0.25, None):
        resolution = (1e4 / 0.25, 1e4 / 0.25)
        tifffile.imwrite(
            tmp_path / "fine.tif", fine, resolution=resolution, resolutionunit="CENTIMETER"
        )
        found = predict(tmp_path / "fine.tif", model_file, um_per_px=given)
        assert len(found) == len(coarse) == NUCLEI
        np.testing.assert_allclose(np.sort(found["x"]), np.sort(coarse["x"]), atol=0.5)
        np.testing.assert_allclose(found["x_full"], 2 * found["x"] + 0.5)
        np.testing.assert_allclose(found["x_um"], (found["x"] + 0.5) * 0.5)
    np.testing.assert_allclose(
        predict(fine, model_file, um_per_px=0.25)["x"], found["x"], atol=1e-9
    )


def test_an_assumption_counts_last_and_stands_in_every_result(tmp_path):
    h5py = pytest.importorskip("h5py")
    model_file = write_model(tmp_path / "model.onnx", um_per_px=0.5)
    field, _ = draw_field(3, NUCLEI)
    tifffile.imwrite(tmp_path / "silent.tif", field)
    known = {"resolution": (1e4 / 0.4, 1e4 / 0.4), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / "known.tif", field, **known)
    slides, out = [tmp_path / "silent.tif", tmp_path / "known.tif"], tmp_path / "out"
    with pytest.raises(FathomError, match=r"silent\.tif: does not say how wide its pixels are"):
        predict_slides(model_file, slides, tmp_path / "none")
    reading, formats = Reading(assumed_um_per_px=0.6), Formats(labels=True, anndata=True)
    summary = predict_slides(model_file, slides, out, reading=reading, formats=formats)
    assert summary["um_per_px"].tolist() == [0.6, pytest.approx(0.4)]
    assert summary["um_per_px_stated_by"].tolist() == ["assumption", "file"]
    given = predict_slides(model_file, slides, tmp_path / "given", um_per_px=0.5, reading=reading)
    assert given["um_per_px_stated_by"].tolist() == ["user", "user"]

    told = json.loads(pq.read_schema(out / "silent.parquet").metadata[b"fathom"])
    assert (told["full_um_per_px"], told["um_per_px_stated_by"]) == (0.6, "assumption")
    text = "assumed: 0.6 um per px"
    for feature in json.loads((out / "silent.geojson").read_text(encoding="utf-8"))["features"]:
        assert feature["properties"]["metadata"]["Pixel width"] == text
    with tifffile.TiffFile(out / "silent.labels.ome.tif") as tiff:
        assert text in tiff.ome_metadata
    with h5py.File(out / "silent.h5ad") as file:
        assert file["uns/fathom/um_per_px_stated_by"].asstr()[()] == "assumption"
    written = [
        np.asarray(Image.open(out / f"{name}.png"))[-20:] == 0 for name in ("silent", "known")
    ]
    assert written[0].sum() > 1.3 * written[1].sum()  # black pixels of the text below the picture
    assert "assumed" not in (out / "known.geojson").read_text(encoding="utf-8")

    found = predict(field, model_file, assume_um_per_px=0.6)
    assert found.attrs["um_per_px_stated_by"] == "assumption"
    with pytest.raises(FathomError, match="array: does not say how wide its pixels are"):
        predict(field, model_file)
    with pytest.raises(FathomError, match="--assume-um-per-px is -1; the width of a pixel"):
        predict(field, model_file, assume_um_per_px=-1)


def test_all_the_files_that_can_be_asked_for(model_file, images, tmp_path):
    pytest.importorskip("h5py")
    (tmp_path / "who.csv").write_text("image,patient\na.tif,p1\nb.png,p1\n", encoding="utf-8")
    predict_slides(
        model_file,
        images[:2],
        tmp_path / "out",
        formats=Formats(gzip=True, labels=True, anndata=True),
        patients=tmp_path / "who.csv",
        reading=Reading(tile_px=64),
    )
    kinds = ("geojson.gz", "parquet", "png", "labels.ome.tif", "h5ad")
    expected = {f"{name}.{kind}" for name in "ab" for kind in kinds}
    assert set(files(tmp_path / "out")) == expected | {"summary.csv", "summary_by_patient.csv"}
    by_patient = pd.read_csv(tmp_path / "out" / "summary_by_patient.csv")
    assert by_patient["nuclei"].tolist() == [2 * NUCLEI]


def test_the_example_in_the_documentation_runs(model_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(model_file, "model.onnx")
    field, _ = draw_field(3, NUCLEI)
    tifffile.imwrite("slide.tif", np.pad(field, 20, mode="edge"))
    finder = doctest.DocTestFinder(recurse=False)
    (example,) = finder.find(predict, "predict", globs={})
    assert doctest.DocTestRunner(verbose=False).run(example) == (0, 6)
