import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import tifffile
from conftest import draw_field
from PIL import Image
from tiny_model import PARAMS, write_model

from fathom.errors import FathomError
from fathom.imaging.segmentation import segment
from fathom.params.data import Crop, Segmentation
from fathom.scoring import predict
from fathom.scoring.onnx_model import OnnxModel
from fathom.scoring.predict import COLUMNS, predict_images

NUCLEI = 12
KINDS = ("geojson", "parquet", "png")


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module")
def colour_model_file(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "colour.onnx", channels=3)


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


def test_every_format_gives_every_file(model_file, images, tmp_path):
    out = tmp_path / "out"
    summary = predict_images(model_file, images, out)
    assert set(files(out)) == {f"{n}.{kind}" for n in "abc" for kind in KINDS} | {"summary.csv"}
    assert summary["nuclei"].tolist() == [NUCLEI] * 3
    assert summary["image"].tolist() == [image.as_posix() for image in images]
    written = pd.read_csv(out / "summary.csv", keep_default_na=False)
    assert written.columns.tolist() == summary.columns.tolist()
    assert written["remark"].tolist() == [""] * 3


def test_the_files_of_an_image_agree(model_file, images, tmp_path):
    out = tmp_path / "out"
    row = predict_images(model_file, images[:1], out).iloc[0]
    table = pd.read_parquet(out / "a.parquet")
    features = json.loads((out / "a.geojson").read_text(encoding="utf-8"))["features"]
    assert table.columns.tolist() == COLUMNS
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
    expected = {"ill": predict.POSITIVE_COLOUR, "well": predict.NEGATIVE_COLOUR}
    assert {expected[name] for name in scored["class"]} <= colours


def test_a_score_is_that_of_the_crop_cut_by_hand(tmp_path):
    crop = Crop.model_validate({**PARAMS["crop"], "crop_px": 32, "normalisation": "none"})
    model_file = write_model(tmp_path / "absolute.onnx", crop=crop)
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
    predict_images(model_file, [folder / "a.tif"], folder / "out")
    return folder / "out"


def test_the_same_call_gives_the_same_bytes(model_file, images, tmp_path):
    predict_images(model_file, images, tmp_path / "first")
    predict_images(model_file, images, tmp_path / "second")
    predict_images(model_file, images, tmp_path / "second")  # over what is there
    assert files(tmp_path / "first") == files(tmp_path / "second")


def test_a_colour_image_with_a_colour_model(colour_model_file, tmp_path):
    field, _ = draw_field(3, NUCLEI)
    grey = eight_bit(field)
    Image.fromarray(np.stack([255 - grey // 2, 255 - grey, 255 - grey // 3], axis=-1)).save(
        tmp_path / "stained.png"
    )
    model = OnnxModel(colour_model_file)
    labels = np.zeros((160, 160), dtype=np.int32)
    labels[30:50, 30:50], labels[80:100, 60:75] = 1, 2
    micrograph = np.asarray(Image.open(tmp_path / "stained.png"))
    table = predict.score_nuclei(model, micrograph, labels, "stained.png")
    predict.write_image(tmp_path / "out.d" / "x.y", micrograph, labels, table, model.card)
    assert set(files(tmp_path / "out.d")) == {f"x.y.{kind}" for kind in KINDS}
    assert table["probability"].between(0, 1).all()


def _write_truncated(path):
    tifffile.imwrite(path, np.zeros((200, 200), np.uint16))
    path.write_bytes(path.read_bytes()[:20_000])


BAD = {
    "empty.tif": (lambda path: path.write_bytes(b""), "the file is empty"),
    "truncated.tif": (_write_truncated, "cannot be read, damaged or truncated"),
    "text.png": (lambda path: path.write_bytes(b"hello"), "is not a PNG image"),
    "notes.txt": (lambda path: path.write_bytes(b"hello"), "'.txt' is not one of"),
    "folder": (lambda path: path.mkdir(), "is a folder; name the images in it"),
    "missing.tif": (lambda path: None, "there is no such file"),
    "colour.png": (
        lambda path: Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(path),
        "is a colour (RGB) image; the model",
    ),
    "one-pixel.png": (
        lambda path: Image.fromarray(np.zeros((1, 1), np.uint8)).save(path),
        "no nucleus was found",
    ),
    "dark.png": (
        lambda path: Image.fromarray(np.full((90, 90), 7, np.uint8)).save(path),
        "no nucleus was found",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_image_is_a_sentence_and_the_others_are_done(name, model_file, images, tmp_path):
    make, message = BAD[name]
    bad, out = tmp_path / name, tmp_path / "out"
    make(bad)
    with pytest.raises(FathomError) as caught:
        predict_images(model_file, [images[0], bad, images[1]], out)
    assert str(caught.value).startswith("1 of 3 images could not be scored")
    assert f"{bad}: " in str(caught.value)
    assert message in str(caught.value)
    summary = pd.read_csv(out / "summary.csv", keep_default_na=False)
    assert message in summary["remark"][1]
    found_none = message == "no nucleus was found"
    assert summary["verdict"][1] == ("undecided" if found_none else "not scored")
    whole = {f"{stem}.{kind}" for stem in ("a", "b") for kind in KINDS} | {"summary.csv"}
    # An image in which nothing was found was read and searched: its files say so.
    of_bad = {f"{bad.stem}.{kind}" for kind in KINDS} if found_none else set()
    assert set(files(out)) == whole | of_bad


def test_an_image_that_fails_while_it_is_written_leaves_nothing(
    model_file, images, tmp_path, monkeypatch
):
    def fail(*_):
        raise FathomError("the disc is full")

    monkeypatch.setattr(predict, "overlay", fail)
    with pytest.raises(FathomError, match="the disc is full"):
        predict_images(model_file, images[:1], tmp_path / "out")
    assert set(files(tmp_path / "out")) == {"summary.csv"}


def test_two_images_of_one_name_are_refused_before_any_work(model_file, images, tmp_path):
    twin = tmp_path / "other" / "a.png"
    twin.parent.mkdir()
    twin.write_bytes(images[1].read_bytes())
    with pytest.raises(FathomError, match=r"a\.tif and .*a\.png would both write 'a\.geojson'"):
        predict_images(model_file, [*images, twin], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_image_is_never_overwritten_by_its_overlay(model_file, images, tmp_path):
    before = images[1].read_bytes()
    with pytest.raises(FathomError, match=r"b\.png: is one of the images"):
        predict_images(model_file, images, tmp_path)
    assert images[1].read_bytes() == before


def test_a_folder_to_write_to_that_is_a_file(model_file, images, tmp_path):
    with pytest.raises(FathomError, match="cannot be written to"):
        predict_images(model_file, images[1:], images[0])


def test_a_model_made_with_label_images_asks_for_them(images, tmp_path):
    masks = Segmentation.model_validate({**PARAMS["segmentation"], "method": "masks"})
    model_file = write_model(tmp_path / "masks.onnx", segmentation=masks)
    with pytest.raises(FathomError, match="trained on nuclei from label images made elsewhere"):
        predict_images(model_file, images, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_prediction_needs_no_training_library(model_file, images, tmp_path):
    script = """
import sys
from pathlib import Path
for name in ("torch", "sklearn", "joblib", "matplotlib", "dvc", "onnx", "onnxscript"):
    sys.modules[name] = None
from fathom.scoring.predict import predict_images
model, *images, out = map(Path, sys.argv[1:])
predict_images(model, images, out)
"""
    out = tmp_path / "out"
    arguments = [str(path) for path in (model_file, *images, out)]
    subprocess.run([sys.executable, "-c", script, *arguments], check=True, timeout=60)
    assert len(files(out)) == 3 * len(KINDS) + 1
