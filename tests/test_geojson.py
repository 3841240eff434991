import gzip
import json
import uuid

import numpy as np
import pytest
from nuclei_batches import ended, grid_batches, make_batch
from shapely.geometry import shape as shapely_shape

from fathom.results.coordinates import PixelGrid
from fathom.results.geojson import GeoJsonWriter

COLOURS = {"ill": (213, 94, 0), "well": (86, 180, 233)}
GRID = PixelGrid(100, 100)


def written(path, *batches, grid=GRID, **options):
    with ended(GeoJsonWriter(path, grid, "ill", COLOURS, **options)) as writer:
        for batch in batches:
            writer.add(batch)
    return path


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def batch():
    square = np.ones((6, 6), bool)
    corners = [(2, 3), (2, 9), (0, 20)]
    return make_batch([square] * 3, corners, left_out=[2], probabilities=[0.25, 0.75, 0])


def test_detections_as_qupath_writes_and_reads_them(batch, tmp_path):
    content = read(written(tmp_path / "a.geojson", batch))
    assert list(content) == ["type", "features"]
    assert content["type"] == "FeatureCollection"
    for feature in content["features"]:
        assert list(feature) == ["type", "id", "geometry", "properties"]
        assert feature["type"] == "Feature"
        assert feature["properties"]["objectType"] == "detection"
        assert str(uuid.UUID(feature["id"])) == feature["id"]
        assert all(type(v) is float for v in feature["properties"]["measurements"].values())
    first, second, third = (feature["properties"] for feature in content["features"])
    assert first["classification"] == {"name": "well", "color": [86, 180, 233]}
    assert second["classification"] == {"name": "ill", "color": [213, 94, 0]}
    assert second["measurements"] == {"Area px^2": 36.0, "Probability ill": 0.75}
    assert "classification" not in third
    assert third["measurements"] == {"Area px^2": 36.0}
    assert third["metadata"] == {"Not scored": "touches the border"}
    assert len({feature["id"] for feature in content["features"]}) == 3


def test_outlines_lie_in_the_image_and_neighbours_share_their_border(batch, tmp_path):
    features = read(written(tmp_path / "a.geojson", batch))["features"]
    rings = [np.array(feature["geometry"]["coordinates"][0]) for feature in features]
    assert rings[0][:, 0].max() == rings[1][:, 0].min() == 9
    assert rings[2][:, 1].min() == 0


def test_a_reduced_view_gives_coordinates_and_areas_of_the_full_image(batch, tmp_path):
    grid = PixelGrid(100, 100, um_per_px=0.5, downsample=4.0)
    first = read(written(tmp_path / "a.geojson", batch, grid=grid))["features"][0]
    # Rows 2..8 and columns 3..9 of the view are 8..32 and 12..36 of the image, to the pixel's edge.
    assert shapely_shape(first["geometry"]).bounds == (12, 8, 36, 32)
    assert first["properties"]["measurements"]["Area px^2"] == 36 * 16
    assert first["properties"]["measurements"]["Area µm^2"] == 9


def test_batches_leave_no_trace_and_no_nuclei_are_an_empty_collection(tmp_path):
    batches, _ = grid_batches(200)
    together = written(tmp_path / "a.geojson", *batches)
    assert len(read(together)["features"]) == sum(len(batch.table) for batch in batches) == 16
    again = written(tmp_path / "b.geojson", *batches[:2], make_batch([], []), *batches[2:])
    assert again.read_bytes() == together.read_bytes()
    empty = {"type": "FeatureCollection", "features": []}
    assert read(written(tmp_path / "c.geojson")) == empty
    assert read(written(tmp_path / "d.geojson", make_batch([], []))) == empty


def test_gzip_is_asked_for_and_has_the_same_content_and_always_the_same_bytes(batch, tmp_path):
    plain = written(tmp_path / "a.geojson", batch).read_bytes()
    one = written(tmp_path / "a.geojson.gz", batch, compress=True).read_bytes()
    assert gzip.decompress(one) == plain
    assert written(tmp_path / "b.geojson.gz", batch, compress=True).read_bytes() == one


def test_every_outline_of_many_is_valid(tmp_path):
    batches, labels = grid_batches(400)
    features = read(written(tmp_path / "a.geojson", *batches))["features"]
    shapes = [shapely_shape(feature["geometry"]) for feature in features]
    assert all(shape.is_valid for shape in shapes)
    areas = np.bincount(labels.ravel())[1:]
    assert [shape.area for shape in shapes] == list(areas - 0.5)


def test_nothing_is_finished_after_an_error(batch, tmp_path):
    def write_and_fail():
        with ended(GeoJsonWriter(tmp_path / "a.geojson", GRID, "ill", COLOURS)) as writer:
            writer.add(batch)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    with pytest.raises(json.JSONDecodeError):
        read(tmp_path / "a.geojson")
