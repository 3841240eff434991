"""No code from data: no pickle is read from a file, in the library or in a benchmark.

The first half looks for the calls that would, in the source; the second puts files in place of
fathom's own that would leave a mark if anything in them were run.
"""

import ast
import hashlib
import io
import json
import pickle
import re
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from model_cards import LINE, RECIPE, make_card
from simulated_crops import cell_of
from tiny_onnx import graph_of, write_graph

from fathom.ground.errors import FathomError
from fathom.ground.image_store import KIND, open_store
from fathom.ground.section import value_at
from fathom.models.export import load_graph
from fathom.models.onnx_model import OnnxModel
from fathom.networks.interventions import Plan
from fathom.study.nuclei import Nuclei
from fathom.training.store import DIGEST, FINISHED, Store

ROOT = Path(__file__).parents[1]
SOURCE = sorted(
    path for part in ("src", "stages", "benchmarks") for path in (ROOT / part).rglob("*.py")
)

# Modules of which `load` and `loads` run what they read, and calls that do.
RUN_WHAT_THEY_LOAD = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve"}
CALLS = {
    *("joblib.load", "pandas.read_pickle", "pd.read_pickle", "yaml.load", "yaml.load_all"),
    *("yaml.unsafe_load", "yaml.full_load", "yaml.unsafe_load_all", "yaml.full_load_all"),
    *("eval", "exec", "os.system", "os.popen", "torch.hub.load", "torch.jit.load"),
}
LOOKED_AT = re.compile(
    r"pickle|dill|marshal|shelve|\bload|_load|eval\(|exec\(|system|popen|shell|extract|unpack_"
)
UNPACK = {"extractall", "extract", "unpack_archive"}  # they write where the archive says


def dotted(node):
    """Return `a.b.c` of an expression that is a name, else ""."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{dotted(value)}.{name}"
        case _:
            return ""


def faults_of(text):
    """Return the calls and imports of a module that would run what they read, by line."""
    found = []
    for node in ast.walk(ast.parse(text)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        if RUN_WHAT_THEY_LOAD & {name.partition(".")[0] for name in names}:
            found.append((node.lineno, names[0]))
        if not isinstance(node, ast.Call):
            continue
        called = dotted(node.func)
        given = {word.arg: getattr(word.value, "value", "?") for word in node.keywords}
        if called == "yaml.load" and ast.unparse(node).endswith("Loader=yaml.CSafeLoader)"):
            continue
        if (
            called in CALLS
            or called.rpartition(".")[2] in UNPACK
            or (called == "torch.load" and given.get("weights_only") is not True)
            or (called in ("np.load", "numpy.load") and given.get("allow_pickle", False))
            or given.get("shell", False)
        ):
            found.append((node.lineno, called))
    return found


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from pickle import load",
        "import cloudpickle as c",
        "np.load(path, allow_pickle=True)",
        "numpy.load(path, allow_pickle=flag)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "pd.read_pickle(path)",
        "joblib.load(path)",
        "yaml.load(text, Loader=yaml.Loader)",
        "eval(text)",
        "subprocess.run(line, shell=True)",
        "ZipFile(path).extractall(folder)",
    ],
)
def test_the_look_for_it_finds(text):
    assert len(faults_of(text)) == 1


def test_the_source_reads_nothing_that_is_run():
    assert len(SOURCE) > 200
    texts = {path: path.read_text(encoding="utf-8") for path in SOURCE}
    found = {
        f"{path.relative_to(ROOT)} {what}"
        for path, text in texts.items()
        if LOOKED_AT.search(text)  # parsing all takes seconds
        for _, what in faults_of(text)
    }
    # What processes of one call, or of a cluster that is trusted, say to each other: of no file.
    assert found == {"src/fathom/ground/workers.py pickle"}


class Poison:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.fixture
def mark(tmp_path):
    return tmp_path / "run"


@pytest.fixture
def poison(mark):
    """Return a pickle that works, and the array that holds it in NumPy's own format."""
    pickled = pickle.dumps(Poison(mark))
    pickle.loads(pickled)
    assert mark.is_file()
    mark.unlink()
    saved = io.BytesIO()
    np.save(saved, np.array([Poison(mark)]), allow_pickle=True)
    return pickled, saved.getvalue()


def test_a_cell_that_is_a_pickle_is_trained_again(tmp_path, poison, mark, capsys):
    key = 64 * "a"
    store = Store(tmp_path / "cells")
    store.folder.mkdir()
    for content in poison:
        digest = hashlib.sha256(FINISHED.encode() + key.encode() + content).digest()
        for kind in (FINISHED, ".unfinished"):
            (store.folder / f"{key[:32]}{kind}").write_bytes(digest[:DIGEST] + content)
        assert store.finished(key) is None
        assert store.at(key, cell_of(104)).load() is None
        assert [entry.what for entry in store.entries()] == ["damaged", "damaged"]
    assert not mark.exists()


def test_an_image_store_that_holds_objects_is_made_again(tmp_path, mark, capsys):
    store, key = open_store(tmp_path / "images"), 64 * "a"
    for content in (_archive(mark), pickle.dumps(Poison(mark))):
        digest = hashlib.sha256(key.encode() + content).digest()
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / f"{key}{KIND}").write_bytes(digest + content)
        assert store.kept(key) is None
    assert "is not of fathom's: what it held is made again" in capsys.readouterr().err
    assert not mark.exists()


def _archive(mark):
    file = io.BytesIO()
    np.savez(file, notes=np.array([Poison(mark)], dtype=object))
    return file.getvalue()


def test_crops_that_are_objects_are_not_read(tmp_path, poison, mark):
    (tmp_path / "a.npy").write_bytes(poison[1])
    table = pd.DataFrame({"shard": ["a.npy"], "row": [0], "left_out": [""]})
    with pytest.raises(ValueError, match=r"allow_pickle|Python objects|memory-map"):
        Nuclei(tmp_path, table, table).crops()[:]
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["pickle", "npy", "metadata"])
def test_a_model_that_is_a_pickle_is_a_sentence(tmp_path, poison, mark, kind):
    path = tmp_path / "m.onnx"
    if kind == "metadata":
        write_graph(path, graph_of(), {**make_card(um_per_px=None).properties(), "run": "\x80\x04"})
    else:
        path.write_bytes(poison[kind == "npy"])
    with pytest.raises(FathomError, match=r"m\.onnx: "):
        OnnxModel(path)
    assert not mark.exists()


def test_yaml_tags_make_no_objects(tmp_path, mark):
    path = tmp_path / "params.yaml"
    for tag in ("!!python/object/apply:pathlib.Path.touch", "!!python/object/new:pathlib.Path"):
        path.write_text(f"a: {tag} [{json.dumps(str(mark))}]\n")
        with pytest.raises(FathomError, match="could not determine a constructor for the tag"):
            value_at(path, "a")
    assert not mark.exists()


def test_weights_that_are_a_pickle_are_not_exported(tmp_path, poison, mark):
    weights = tmp_path / "final.safetensors"
    for content in poison:
        weights.write_bytes(content)
        with pytest.raises(FathomError, match="does not hold the weights"):
            load_graph(weights, Plan(LINE, RECIPE), 1, 32)
    assert not mark.exists()


def test_the_graph_that_the_tests_write_is_one(tmp_path):
    path = tmp_path / "m.onnx"
    write_graph(path, graph_of(), make_card(um_per_px=None).properties())
    onnx.checker.check_model(onnx.load(path))
    assert OnnxModel(path).score(np.full((3, 32, 32, 1), 255, np.uint8))[0].tolist() == [255.0] * 3
