import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from conftest import draw_field
from segmenter_networks import network_params, write_network
from tiny_model import PARAMS, write_model

from fathom.datasets.dataset import labels_path, read_dataset
from fathom.ground.errors import FathomError
from fathom.ground.images import read_labels, write_picture
from fathom.imaging.find_nuclei import finder, network_file
from fathom.imaging.params import Segmentation
from fathom.imaging.segment_dataset import segment_dataset
from fathom.imaging.segmentation import segment
from fathom.imaging.segmentation_score import agreement, score
from fathom.models.onnx_model import OnnxModel
from fathom.scoring.predict import predict, predict_slides
from fathom.simulation.simulated_slides import DEFAULT_FIELD, simulate_slide, write_dataset
from fathom.simulation.simulation import DEFAULT

SIMULATION = replace(DEFAULT, patients=2, nuclei_per_patient=30)
FIELD = replace(DEFAULT_FIELD, field_px=400)


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return write_network(tmp_path_factory.mktemp("network") / "net.onnx")


def test_threshold_is_the_segmentation_as_it_was():
    params = Segmentation.model_validate(PARAMS["segmentation"])
    field, _ = draw_field(0)
    np.testing.assert_array_equal(finder(params)(field), segment(field, params))


def test_a_network_finds_the_nuclei_of_a_simulated_slide(net):
    slide = simulate_slide(SIMULATION, FIELD, 0, 0, 0)
    find = finder(network_params(net))
    assert score(find(slide.micrograph), slide.labels).f1_iou50 > 0.9
    np.testing.assert_array_equal(find(slide.micrograph), find(slide.micrograph))


def test_a_whole_data_set_is_segmented_by_a_network(net, tmp_path):
    write_dataset(tmp_path / "data", SIMULATION, FIELD, seed=0)
    dataset = read_dataset(tmp_path / "data")
    segment_dataset(dataset, network_params(net), tmp_path / "labels")
    measured = agreement(dataset, tmp_path / "labels")
    assert measured["nuclei_true"] == 60
    assert measured["f1_iou50"] > 0.9
    image = dataset.images["image"].iloc[0]
    slide = simulate_slide(SIMULATION, FIELD, 0, 0, 0)
    expected = finder(network_params(net))(slide.micrograph)
    np.testing.assert_array_equal(read_labels(labels_path(tmp_path / "labels", image)), expected)


def test_a_network_that_is_missing_is_named_before_any_work(tmp_path):
    write_dataset(tmp_path / "data", SIMULATION, FIELD, seed=0)
    params = network_params(network=str(tmp_path / "none.onnx"))
    with pytest.raises(FathomError, match=r"none\.onnx: there is no such segmenter network"):
        segment_dataset(read_dataset(tmp_path / "data"), params, tmp_path / "labels")
    assert not (tmp_path / "labels").exists()


def test_where_the_network_is_looked_for(net, tmp_path):
    params = network_params(net, network="somewhere/net.onnx")
    assert network_file(params, Path("given.onnx"), net.parent) == Path("given.onnx")
    assert network_file(params, None, net.parent) == net
    assert network_file(params, None, tmp_path) == Path("somewhere/net.onnx")


@pytest.fixture(scope="module")
def model(net, tmp_path_factory):
    params = network_params(net, network="data/net.onnx")
    return write_model(tmp_path_factory.mktemp("model") / "m.onnx", segmentation=params)


@pytest.fixture
def travelled(model, tmp_path):
    """Return the folder of a model whose nuclei a network found, and an image to score."""
    shutil.copy(model, tmp_path)
    field, _ = draw_field(3)
    write_picture(tmp_path / "a.png", (field // 32).clip(0, 255).astype(np.uint8))
    return tmp_path


def test_the_card_carries_the_section(travelled, net):
    section = OnnxModel(travelled / "m.onnx").card.segmentation
    assert section == network_params(net, network="data/net.onnx")


@pytest.mark.parametrize("beside", [True, False])
def test_new_slides_are_segmented_by_the_network_of_the_model(travelled, net, beside):
    model, out = travelled / "m.onnx", travelled / "out"
    if beside:
        shutil.copy(net, travelled)
    given = None if beside else net
    predict_slides(model, [travelled / "a.png"], out, um_per_px=0.325, segmenter=given)
    assert len(pd.read_parquet(out / "a.parquet")) == 12
    assert len(json.loads((out / "a.geojson").read_text(encoding="utf-8"))["features"]) == 12


def test_the_size_of_tiles_changes_no_nucleus_of_a_network(travelled, net):
    def nuclei(tile_px):
        found = predict(
            travelled / "a.png",
            travelled / "m.onnx",
            um_per_px=0.325,
            tile_px=tile_px,
            segmenter=net,
        )
        measured = ["y", "x", "top", "left", "bottom", "right", "area_px", "probability"]
        return found[measured].sort_values(["top", "left"], ignore_index=True)

    whole = nuclei(1024)
    assert len(whole) == 12
    for tile_px in (100, 64):
        pd.testing.assert_frame_equal(nuclei(tile_px), whole, check_exact=False, atol=1e-5, rtol=0)


def test_new_slides_without_the_network_are_refused(travelled):
    with pytest.raises(FathomError, match=r"data/net\.onnx: there is no such.*--segmenter FILE"):
        predict_slides(travelled / "m.onnx", [travelled / "a.png"], travelled / "out")
    assert not (travelled / "out").exists()


def test_a_segmenter_for_a_model_that_has_none(net, travelled):
    proto = onnx.load(travelled / "m.onnx")
    for held in proto.metadata_props:
        if held.key == "segmentation":
            held.value = json.dumps(PARAMS["segmentation"])
    onnx.save(proto, travelled / "threshold.onnx")
    with pytest.raises(FathomError, match=r"takes no segmenter: leave out --segmenter"):
        predict_slides(
            travelled / "threshold.onnx", [travelled / "a.png"], travelled, segmenter=net
        )
