import json
import uuid

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import points_in_poly

from fathom.scoring.geojson import detections, geometry

COLOURS = {"ill": (213, 94, 0), "well": (86, 180, 233)}


def polygons(shape):
    return [shape["coordinates"]] if shape["type"] == "Polygon" else shape["coordinates"]


def signed_area(ring):
    (x, y), n = np.transpose(ring), len(ring)
    return sum(x[i] * y[i + 1] - x[i + 1] * y[i] for i in range(n - 1)) / 2


def contains(shape, x, y):
    return any(
        points_in_poly([(x, y)], outer)[0]
        and not any(points_in_poly([(x, y)], hole)[0] for hole in holes)
        for outer, *holes in polygons(shape)
    )


def mask(*rows):
    return np.array([[character == "#" for character in row] for row in rows])


def test_one_pixel_is_a_diamond_around_its_centre():
    shape = geometry(mask("#"), top=10, left=20)
    assert shape["type"] == "Polygon"
    (ring,) = shape["coordinates"]
    assert {tuple(point) for point in ring} == {(20.5, 10), (21, 10.5), (20.5, 11), (20, 10.5)}


def test_a_square_on_the_border_of_its_box_is_closed_and_half_a_pixel_smaller():
    (ring,) = geometry(np.ones((6, 5), bool), top=0, left=0)["coordinates"]
    assert ring[0] == ring[-1]
    assert signed_area(ring) == 29.5
    assert len(ring) == 9  # four sides, four corners cut, closed: nothing in between


def test_a_hole_is_the_second_ring_and_runs_the_other_way():
    shape = geometry(mask("#####", "#...#", "#...#", "#####"), top=3, left=7)
    outer, hole = shape["coordinates"]
    assert signed_area(outer) > 0 > signed_area(hole)
    assert contains(shape, 7.5, 3.5)
    assert not contains(shape, 9.5, 4.5)


def test_pixels_that_meet_at_a_corner_are_two_parts():
    shape = geometry(mask("##..", "##..", "..##"), top=0, left=0)
    assert shape["type"] == "MultiPolygon"
    assert len(shape["coordinates"]) == 2


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))).filter(np.any))
def test_any_shape_is_outlined_validly(inside):
    shape = geometry(inside, top=2, left=5)
    rings = [ring for polygon in polygons(shape) for ring in polygon]
    for polygon in polygons(shape):
        areas = [signed_area(ring) for ring in polygon]
        assert areas[0] > 0
        assert all(area < 0 for area in areas[1:])
    for ring in rings:
        assert ring[0] == ring[-1]
        assert len({tuple(point) for point in ring}) == len(ring) - 1 >= 4  # touches itself nowhere
    holes = len(rings) - len(polygons(shape))
    area = sum(signed_area(ring) for ring in rings)
    assert area == inside.sum() - 0.5 * len(polygons(shape)) + 0.5 * holes
    for (row, column), value in np.ndenumerate(inside):
        assert contains(shape, 5 + column + 0.5, 2 + row + 0.5) == value


@pytest.fixture
def collection():
    labels = np.zeros((20, 30), dtype=np.int32)
    labels[2:8, 3:9] = 1
    labels[2:8, 9:15] = 2  # its neighbour
    labels[0:4, 20:25] = 3  # touches the border
    table = pd.DataFrame(
        {
            "nucleus": ["a.tif#1", "a.tif#2", "a.tif#3"],
            "label_number": [1, 2, 3],
            "top": [2, 2, 0],
            "left": [3, 9, 20],
            "bottom": [8, 8, 4],
            "right": [9, 15, 25],
            "area_px": [36, 36, 20],
            "left_out": ["", "", "touches the border"],
            "probability": [0.25, 0.75, np.nan],
            "class": pd.Series(["well", "ill", None], dtype="str"),
        }
    )
    return table, labels


def test_detections_as_qupath_reads_them(collection):
    text = detections(*collection, "ill", COLOURS)
    content = json.loads(text)
    assert content["type"] == "FeatureCollection"
    for feature in content["features"]:
        assert feature["type"] == "Feature"
        assert feature["properties"]["objectType"] == "detection"
        assert str(uuid.UUID(feature["id"])) == feature["id"]
    first, second, third = (feature["properties"] for feature in content["features"])
    assert first["classification"] == {"name": "well", "color": [86, 180, 233]}
    assert second["classification"] == {"name": "ill", "color": [213, 94, 0]}
    assert second["measurements"] == {"Area px^2": 36.0, "Probability ill": 0.75}
    assert "classification" not in third
    assert third["measurements"] == {"Area px^2": 20.0}
    assert third["metadata"] == {"Not scored": "touches the border"}
    assert len({feature["id"] for feature in content["features"]}) == 3
    assert text == detections(*collection, "ill", COLOURS)


def test_outlines_lie_in_the_image_and_neighbours_share_their_border(collection):
    features = json.loads(detections(*collection, "ill", COLOURS))["features"]
    rings = [np.array(feature["geometry"]["coordinates"][0]) for feature in features]
    assert rings[0][:, 0].max() == rings[1][:, 0].min() == 9
    assert rings[2][:, 1].min() == 0


def test_no_nuclei_are_an_empty_collection(collection):
    table, labels = collection
    content = json.loads(detections(table[:0], labels, "ill", COLOURS))
    assert content == {"type": "FeatureCollection", "features": []}
