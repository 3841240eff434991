import json

import numpy as np
import onnx
import pytest
from tiny_model import make_card, make_crops, write_model

from fathom.ground.errors import FathomError, ModelError
from fathom.models.onnx_model import BATCH, ModelCard, OnnxModel


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module")
def model(model_file):
    return OnnxModel(model_file)


def altered(model_file, tmp_path, **properties):
    """Write a copy of a model file with other metadata; None takes a key away."""
    proto = onnx.load(model_file)
    held = {prop.key: prop.value for prop in proto.metadata_props} | properties
    del proto.metadata_props[:]
    for key, value in held.items():
        if value is not None:
            proto.metadata_props.add(key=key, value=value)
    path = tmp_path / "altered.onnx"
    onnx.save(proto, path)
    return path


def test_the_card_comes_back_as_it_was_written(model):
    assert model.card == make_card()


@pytest.mark.parametrize("um_per_px", [None, 0.5])
def test_a_card_survives_its_properties(tmp_path, um_per_px):
    card = make_card(um_per_px=um_per_px, positive="Zellkern – abnorm")
    assert ModelCard.from_properties(card.properties(), tmp_path) == card


def test_logit_and_probability_belong_together(model):
    logit, probability = model.score(make_crops(5))
    assert logit.dtype == probability.dtype == np.float32
    assert len(np.unique(logit)) == 5
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-logit)), rtol=1e-6)


def test_many_crops_are_scored_in_batches_and_keep_their_order(model):
    crops = make_crops(BATCH + 3)
    logit, _ = model.score(crops)
    one_by_one = np.concatenate([model.score(crops[i : i + 1])[0] for i in range(len(crops))])
    np.testing.assert_allclose(logit, one_by_one, atol=1e-6)


def test_the_same_crops_give_the_same_bytes(model_file):
    crops = make_crops(64)
    first, second = (OnnxModel(model_file).score(crops)[0] for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_no_crops_give_no_scores(model):
    logit, probability = model.score(make_crops(0))
    assert logit.shape == probability.shape == (0,)


@pytest.mark.parametrize(
    "crops",
    [make_crops(2, channels=3), make_crops(2)[:, :16, :16], make_crops(2).astype(np.float32)],
    ids=["channels", "size", "type"],
)
def test_other_crops_are_refused(model, crops):
    with pytest.raises(FathomError, match=r"takes uint8 crops of 32 x 32 px and 1 channels"):
        model.score(crops)


def test_a_colour_image_does_not_fit_a_model_of_grey_ones(model, tmp_path):
    with pytest.raises(FathomError, match=r"a\.png: is a colour .* trained on grey ones"):
        model.check_channels(np.zeros((4, 4, 3), np.uint8), tmp_path / "a.png")
    model.check_channels(np.zeros((4, 4), np.uint16), tmp_path / "a.png")


def test_a_missing_file(tmp_path):
    with pytest.raises(FathomError, match=r"none\.onnx: there is no such model file"):
        OnnxModel(tmp_path / "none.onnx")


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x00" * 64])
def test_a_file_that_is_not_onnx(tmp_path, content):
    path = tmp_path / "text.onnx"
    path.write_bytes(content)
    with pytest.raises(FathomError, match=r"text\.onnx: is not an ONNX file, or a damaged one"):
        OnnxModel(path)


def test_a_truncated_file(model_file, tmp_path):
    path = tmp_path / "cut.onnx"
    path.write_bytes(model_file.read_bytes()[:2000])
    with pytest.raises(FathomError, match="damaged"):
        OnnxModel(path)


def test_an_onnx_file_of_somebody_else(model_file, tmp_path):
    path = altered(model_file, tmp_path, format=None)
    with pytest.raises(FathomError, match="is an ONNX file, but not one of fathom's"):
        OnnxModel(path)


def test_a_newer_format(model_file, tmp_path):
    path = altered(model_file, tmp_path, format="9", fathom_version='"9.0"', novelty="1")
    with pytest.raises(FathomError, match=r"format 9 \(written by fathom 9\.0\).*Update fathom"):
        OnnxModel(path)


def test_a_file_of_the_first_format_is_read_and_has_no_band(model_file, tmp_path):
    path = altered(model_file, tmp_path, format="1", abstention=None)
    card = OnnxModel(path).card
    assert card.format == 1
    assert card.abstention is None


def test_a_file_that_says_the_crops_side_twice_is_read(model_file, tmp_path):
    card = OnnxModel(altered(model_file, tmp_path, format="2", crop_px="32")).card
    assert (card.format, card.crop.crop_px) == (2, 32)


@pytest.mark.parametrize(
    ("properties", "fault"),
    [
        ({"threshold": None}, "'threshold': Field required"),
        ({"threshold": "1.5"}, "'threshold': Input should be less than or equal to 1"),
        ({"crop": json.dumps({"crop_px": 32})}, "'crop.normalisation': Field required"),
        ({"extra": "1"}, "'extra': Extra inputs are not permitted"),
    ],
)
def test_metadata_that_are_not_as_expected(model_file, tmp_path, properties, fault):
    path = altered(model_file, tmp_path, **properties)
    with pytest.raises(FathomError, match="metadata are not what this fathom expects") as caught:
        OnnxModel(path)
    assert fault in str(caught.value)


def test_metadata_that_are_not_json(model_file, tmp_path):
    path = altered(model_file, tmp_path, run="{")
    with pytest.raises(FathomError, match="its metadata are damaged"):
        OnnxModel(path)


@pytest.mark.parametrize("text", [b"fathom_version", b"positive", b"probability"])
def test_texts_that_are_no_utf8(model_file, tmp_path, text):
    """Of metadata and of the graph: ONNX Runtime reads the file, and fails when it is asked."""
    path = tmp_path / "damaged.onnx"
    path.write_bytes(model_file.read_bytes().replace(text, b"\xbd" + text[1:]))
    with pytest.raises(ModelError, match=r"damaged\.onnx: is not an ONNX file, or a damaged one"):
        OnnxModel(path)


def test_a_graph_that_is_not_the_one_of_the_metadata(model_file, tmp_path):
    path = altered(model_file, tmp_path, channels="3")
    with pytest.raises(FathomError, match="graph is not the one its metadata describe"):
        OnnxModel(path)
