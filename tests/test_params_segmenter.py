from pathlib import Path

import pytest
import yaml
from segmenter_networks import DEFAULTS

from fathom.ground.errors import FathomError
from fathom.imaging.params import NetworkSegmentation, Segmentation, read_segmentation

ROOT = Path(__file__).parents[1]
PROJECT = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def written(tmp_path, section):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({"segmentation": section}), encoding="utf-8")
    return path


def test_each_method_has_its_own_keys(tmp_path):
    assert isinstance(read_segmentation(written(tmp_path, DEFAULTS)), NetworkSegmentation)
    for method in ("threshold", "masks"):
        section = {**PROJECT["segmentation"], "method": method}
        found = read_segmentation(written(tmp_path, section))
        assert isinstance(found, Segmentation)
        assert found.method == method


@pytest.mark.parametrize("section", [{"method": "onxx"}, {"stain": "fluorescence"}, [1], "onnx"])
def test_a_method_that_there_is_not(tmp_path, section):
    with pytest.raises(FathomError, match=r"must be one of threshold, masks, onnx"):
        read_segmentation(written(tmp_path, section))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"gamma": 0.5}, r"'segmentation\.gamma' = 0\.5: Extra inputs"),
        ({"threshold": 1.0}, r"'segmentation\.threshold' = 1\.0"),
        ({"network_sha256": "abc"}, r"'segmentation\.network_sha256' = 'abc'"),
        ({"halo_px": 64}, "two halo_px must be less than window_px"),
        ({"low_percentile": 99.9}, "low_percentile must be below"),
        ({"boundary_channel": 0}, "must differ"),
    ],
)
def test_a_key_that_cannot_be(tmp_path, changes, fault):
    with pytest.raises(FathomError, match=fault):
        read_segmentation(written(tmp_path, {**DEFAULTS, **changes}))


def test_the_section_in_the_documentation_is_whole(tmp_path):
    page = (ROOT / "docs" / "own-segmenter.md").read_text(encoding="utf-8")
    block = page.split("```yaml\n")[1].split("```")[0]
    path = tmp_path / "params.yaml"
    path.write_text(block, encoding="utf-8")
    assert isinstance(read_segmentation(path), NetworkSegmentation)


def test_no_key_has_a_default():
    assert all(field.is_required() for field in NetworkSegmentation.model_fields.values())
