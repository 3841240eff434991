import json
import subprocess
import sys
from hashlib import sha256

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from tiny_model import (
    LINE,
    PARAMS,
    RECIPE,
    ROOT,
    export_model,
    make_card,
    make_crops,
    make_graph,
    write_model,
)

from fathom.ground.errors import FathomError
from fathom.ground.streams import Streams
from fathom.imaging.params import Crop, Segmentation
from fathom.models import export as exporting
from fathom.models.abstention import Abstention
from fathom.models.export import (
    Graph,
    check_parity,
    common_um_per_px,
    export,
    export_run,
    load_graph,
)
from fathom.models.onnx_model import OnnxModel
from fathom.networks.architecture import parse
from fathom.networks.interventions import Plan
from fathom.networks.network import build
from fathom.study.nuclei import NUCLEUS_COLUMNS, data_sha256, read_nuclei, write_nuclei

RES = "4conv3x3 - 2*(res(4conv3x3 - 4conv3x3)) - res(8conv3x3/2 - 8conv3x3) - gap - o"


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    return export_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.mark.parametrize("n", [1, 2, 7, 64, 300])
def test_the_file_computes_what_torch_computes(model_file, n):
    crops = make_crops(n, seed=n)
    logit, probability = OnnxModel(model_file).score(crops)
    with torch.inference_mode():
        expected, share = make_graph()(torch.from_numpy(crops))
    np.testing.assert_allclose(logit, expected.numpy(), atol=1e-5)
    np.testing.assert_allclose(probability, share.numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("line", "changes", "channels"),
    [(RES, {}, 3), (LINE, {"input_scale": "byte", "norm": "none", "precision": "bfloat16"}, 1)],
)
def test_other_networks_are_exported(tmp_path, line, changes, channels):
    recipe = RECIPE.changed(changes, "test")
    graph = Graph(build(parse(line), recipe, channels, 32, Streams(1)), recipe).eval()
    crops = make_crops(9, channels)
    export(graph, make_card(channels=channels), crops, tmp_path / "m.onnx")
    with torch.inference_mode():
        expected = graph(torch.from_numpy(crops))[0].numpy()
    found, _ = OnnxModel(tmp_path / "m.onnx").score(crops)
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(found, expected, atol=1e-4 * max(1, np.abs(expected).max()))


@pytest.mark.long
def test_another_process_writes_the_same_bytes(model_file, tmp_path):
    script = "import sys; from pathlib import Path; from tiny_model import export_model; "
    script += "export_model(Path(sys.argv[1]))"
    path = tmp_path / "again" / "other-name.onnx"
    subprocess.run(
        [sys.executable, "-c", script, str(path)], check=True, timeout=600, cwd=ROOT / "tests"
    )
    assert path.read_bytes() == model_file.read_bytes()


def test_the_file_that_other_tests_take_is_the_exported_one(tmp_path):
    changes = {"threshold": 0.4, "um_per_px": None}
    written = write_model(tmp_path / "written.onnx", **changes)
    exported = export_model(tmp_path / "exported.onnx", **changes)
    assert written.read_bytes() == exported.read_bytes()


def test_the_file_names_no_path_of_this_machine(model_file):
    content = model_file.read_bytes()
    for trace in (str(ROOT).encode(), b"site-packages", b".py", b"File "):
        assert trace not in content
    proto = onnx.load(model_file)
    assert not any(node.metadata_props or node.doc_string for node in proto.graph.node)


def violated(graph):
    """Return `graph` with a network that computes something else once it has been exported."""
    export_graph = exporting._onnx_graph

    def then_change(*arguments):
        proto = export_graph(*arguments)
        with torch.no_grad():
            graph.network.layers[-1][1].bias += 1e-3
        return proto

    return then_change


def test_a_file_that_differs_from_torch_is_refused_and_not_left(tmp_path, monkeypatch):
    graph = make_graph()
    monkeypatch.setattr(exporting, "_onnx_graph", violated(graph))
    with pytest.raises(FathomError, match=r"differ by 0\.001 in the logits of a batch of 1"):
        export(graph, make_card(), make_crops(9), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_explodes_is_exported(tmp_path):
    graph = make_graph()
    with torch.no_grad():
        graph.network.layers[-1][1].weight *= 1e6
    crops = make_crops(9)
    export(graph, make_card(), crops, tmp_path / "m.onnx")
    logit, probability = OnnxModel(tmp_path / "m.onnx").score(crops)
    assert np.abs(logit).max() > 1e5
    assert set(probability) <= {0, 1}


@pytest.mark.parametrize("bias", [torch.nan, torch.inf])
def test_a_network_without_numbers_is_exported_and_refused_where_the_file_has_some(
    model_file, tmp_path, bias
):
    graph = make_graph()
    with torch.no_grad():
        graph.network.layers[-1][1].bias.fill_(bias)
    export(graph, make_card(), make_crops(9), tmp_path / "m.onnx")
    assert not np.isfinite(OnnxModel(tmp_path / "m.onnx").score(make_crops(9))[0]).any()
    with pytest.raises(FathomError, match=r"differ by inf"):
        check_parity(graph, OnnxModel(model_file), make_crops(9))


def test_weights_of_another_architecture(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "final.safetensors")
    with pytest.raises(FathomError, match=r"final\.safetensors: does not hold the weights of"):
        load_graph(tmp_path / "final.safetensors", Plan(LINE, RECIPE), 1, 32)
    with pytest.raises(FathomError, match=r"none\.safetensors: does not hold the weights"):
        load_graph(tmp_path / "none.safetensors", Plan(LINE, RECIPE), 1, 32)


@pytest.mark.parametrize(
    ("scales", "expected"),
    [
        ([0.325, 0.325, 0.3249, 0.3251], 0.325),
        ([0.325, np.nan, 0.325], None),  # the other may be of another scale
        ([np.nan, np.nan], None),
        ([0.25, 0.5], None),  # their median is a scale that no image has
    ],
)
def test_um_per_px_is_that_of_all_images_or_unknown(scales, expected):
    assert common_um_per_px(pd.DataFrame({"um_per_px": scales})) == expected


@pytest.fixture
def study(tmp_path):
    """Write nuclei and what the stages `train` and `compare` write of a run; return the paths."""
    n = 12
    positive = np.arange(n) % 2 == 0
    rest = dict.fromkeys(NUCLEUS_COLUMNS, 0) | {"left_out": "", "shard": "00000.npy"}
    table = pd.DataFrame({**rest, "nucleus": [f"a.tif#{i}" for i in range(n)], "row": range(n)})
    table["positive"], table["label"] = positive, np.where(positive, "ill", "well")
    write_nuclei(tmp_path / "nuclei", table, {"00000.npy": make_crops(n)})
    trained = tmp_path / "trained"
    trained.mkdir()
    # Even numbers are positive. The threshold lies between .7 and .8; the other rows say otherwise.
    rows = [
        *((f"a.tif#{i}", -1, 0, "validation", p) for i, p in {0: 0.8, 1: 0.7}.items()),
        *((f"a.tif#{i}", -1, 0, "train", p) for i, p in {2: 0.3, 3: 0.1, 4: 0.4, 5: 0.2}.items()),
        *((f"a.tif#{i}", 0, 0, "validation", p) for i, p in {0: 0.2, 1: 0.1, 2: 0.3}.items()),
    ]
    columns = ["nucleus", "fold", "seed", "part", "probability"]
    pd.DataFrame(rows, columns=columns).to_parquet(trained / "predictions.parquet")
    weights = make_graph().network.state_dict()
    save_file({k: v.contiguous() for k, v in weights.items()}, trained / "final.safetensors")
    (tmp_path / "run.json").write_text(json.dumps({"balanced_accuracy": 0.6, "nuclei": 12}))
    return tmp_path


def export_study(study, out):
    export_run(
        "shallow",
        Plan(LINE, RECIPE),
        Segmentation.model_validate(PARAMS["segmentation"]),
        Crop.model_validate({**PARAMS["crop"], "crop_px": 32}),
        group="slide",
        confidence=0.9,
        nuclei=read_nuclei(study / "nuclei"),
        images=pd.DataFrame({"um_per_px": [0.5]}),
        trained=study / "trained",
        metrics=study / "run.json",
        out=out,
    )


def test_a_run_becomes_a_model_file_that_says_what_it_is(study, tmp_path):
    out = tmp_path / "models" / "shallow.onnx"
    export_study(study, out)
    model = OnnxModel(out)
    card = model.card
    assert (card.run, card.negative, card.positive) == ("shallow", "well", "ill")
    assert card.threshold == pytest.approx(0.75)
    assert (card.crop.crop_px, card.channels, card.um_per_px) == (32, 1, 0.5)
    assert card.recipe == RECIPE.model_dump(mode="json")
    assert card.segmentation.model_dump() == PARAMS["segmentation"]
    # Both of the final model's validation nuclei are of one slide: its error cannot be measured.
    assert card.abstention == Abstention(confidence=0.9, group="slide", groups=1, band=None)
    assert card.metrics == {"balanced_accuracy": 0.6, "nuclei": 12}
    with torch.inference_mode():
        expected = make_graph()(torch.from_numpy(make_crops(5)))[0].numpy()
    np.testing.assert_allclose(model.score(make_crops(5))[0], expected, atol=1e-5)
    digests = [
        sha256((study / "nuclei" / name).read_bytes()).digest()
        for name in ("nuclei.parquet", "00000.npy")
    ]
    assert card.data_sha256 == sha256(b"".join(digests)).hexdigest()


def test_the_data_hash_changes_with_one_pixel(study):
    before = data_sha256(read_nuclei(study / "nuclei"))
    path = study / "nuclei" / "00000.npy"
    crops = np.load(path)
    crops[3, 4, 5, 0] ^= 1
    np.save(path, crops)
    assert data_sha256(read_nuclei(study / "nuclei")) != before
