import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from shapely.geometry import shape as shapely_shape
from shapely.validation import explain_validity
from skimage.measure import find_contours, points_in_poly

from fathom.results.geojson import geometry
from fathom.results.outlines import outlines
from fathom.results.outlines import signed_area as area_of

shapes = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))).filter(np.any)


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


@given(shapes)
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


@given(shapes, st.sampled_from([0.25, 0.5, 1.0, 1.37, 2.0, 7.3, 32.0]))
def test_geos_finds_every_shape_valid_at_any_scale(inside, downsample):
    outline = shapely_shape(geometry(inside, 40_000, 100_003, (downsample, downsample)))
    assert outline.is_valid, explain_validity(outline)
    assert outline.area > 0
    left, top, right, bottom = outline.bounds
    assert 100_003 * downsample - 0.01 <= left < right <= 100_012 * downsample + 0.01
    assert 40_000 * downsample - 0.01 <= top < bottom <= 40_009 * downsample + 0.01


@given(arrays(np.int8, (8, 8), elements=st.integers(0, 2)))
def test_neighbours_never_overlap(labels):
    both = [
        shapely_shape(geometry(labels == number, 0, 0, (1.37, 1.37)))
        for number in (1, 2)
        if (labels == number).any()
    ]
    assert len(both) < 2 or both[0].intersection(both[1]).area < 1e-2 * both[0].area


def without_straight(points):
    step, following = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    return points[step[:, 0] * following[:, 1] != step[:, 1] * following[:, 0]]


@given(st.lists(shapes, max_size=4))
def test_rings_are_those_of_scikit_image_in_their_order_from_the_same_point(masks):
    for found, inside in zip(outlines(masks), masks, strict=True):
        contours = find_contours(np.pad(inside, 1).astype(float), 0.5)
        rings = [without_straight(points[:-1, ::-1] - 0.5) for points in contours]
        expected = sorted(rings, key=lambda points: area_of(points) < 0)
        assert [ring.tolist() for ring in found] == [ring.tolist() for ring in expected]
