"""benchmarks/soak.py, short: memory stays flat, and broken files of a queue are named."""

import pytest
import tifffile
from conftest import draw_field
from soak import WARM_UP, grown, predictions, scored, write_queue
from tiny_model import write_model


@pytest.mark.long
def test_memory_does_not_grow_with_the_number_of_predictions(tmp_path):
    model = write_model(tmp_path / "tiny.onnx", um_per_px=None)
    tifffile.imwrite(tmp_path / "slide.tif", draw_field(0)[0])
    memory = predictions(model, tmp_path / "slide.tif", WARM_UP + 80)
    assert grown(memory)["grown_share"] < 0.05


@pytest.mark.long
def test_of_a_queue_every_good_file_is_done_and_every_broken_one_named(tmp_path):
    model = write_model(tmp_path / "tiny.onnx", um_per_px=None)
    broken = write_queue(tmp_path / "slides", 60)
    found = scored(tmp_path, model)
    assert len(broken) == 3
    assert set(found["named"]) == broken
    assert len(found["done"]) == 57
    assert found["left_in_part"] == []
    assert found["exit"] != 0


def test_growth_is_told():
    flat, growing = [100e6] * 50, [100e6 + 1e6 * number for number in range(50)]
    assert grown(flat)["grown_share"] == 0
    assert grown(growing)["grown_share"] > 0.4
