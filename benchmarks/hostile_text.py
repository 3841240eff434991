"""Hostile text: strategies that write what fathom reads as text, and the functions that read it.

Five kinds: images.csv, annotations.csv, sections of params.yaml, architecture lines, QuPath's
GeoJSON. A strategy gives the bytes of one file; a reader is given its path and returns True where
the file was read, False where it was refused in a sentence. `hostile_input.py` runs both.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
import yaml
from hypothesis import strategies as st

from fathom.arranging.labels import geojson_points
from fathom.audit.params import Audit
from fathom.audit.table_checks import audit_spellings
from fathom.baselines.params import Baseline, Features
from fathom.controls.params import Shortcuts
from fathom.datasets.check import check_dataset
from fathom.datasets.dataset import read_dataset
from fathom.datasets.new_slides import NewSlides
from fathom.diagnosis.case import Diagnosis
from fathom.ground.errors import FathomError
from fathom.ground.section import read_section, value_at
from fathom.imaging.annotations import nucleus_labels
from fathom.imaging.params import Classes, Crop, Segmentation
from fathom.models.abstention import AbstentionLevel
from fathom.networks.architecture import check_fits, format, parse
from fathom.networks.architecture_cost import cost
from fathom.networks.recipe import Recipe
from fathom.packaging.description import Package
from fathom.statistics.params import Comparison
from fathom.study.rows import read_controls, read_runs
from fathom.study.splits import Split

SIDE = 48  # px, of the image that the tables are about
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class TextKind:
    """One kind of text: its file's name, the bytes it may have, and who reads it."""

    name: str
    file: str
    content: st.SearchStrategy[bytes]
    read: Callable[[Path], bool]


def prepare(folder: Path) -> None:
    """Write the one image that hostile tables speak of."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for name in ("a", "b"):
        tifffile.imwrite(folder / "images" / f"{name}.tif", np.zeros((SIDE, SIDE), np.uint8))


# What has broken readers of text: spreadsheets' formulas, markup, paths, quotes, Unicode, numbers.
NASTY = (
    *("", " ", "0", "-0", "007", "1e400", "-1e-400", "nan", "inf", "-inf", "1_0", "٣", "²", "½"),
    *("1" * 400, "9" * 5000, "0x1F", "1,5", "1.5.2", "1/2/2001", "02-Jan", "10:30", "50%", "+5"),
    *("=cmd|' /C calc'!A0", "=1+1", "@SUM(1)", "+A1", "-1+cmd", "\t=1", "'", '"', '""', '"a'),
    *("a\nb", "a\rb", "a\x00b", "a\u2028b", "\ufeff", "\u202eabc", "é", "e\u0301", "\ud7ff", "🧫"),
    *("<script>alert(1)</script>", "&lt;", "]]>", "${x}", "{{7*7}}", "%s", "%(a)s", "\\", "\\\\"),
    *("../x", "../../etc/passwd", "/etc/passwd", "a/../b", "./a", "a//b", "C:\\a", "file:///a"),
    *("images/a.tif", "images/b.tif", "images/absent.tif", "images", "masks/a.tif", "con", "."),
    *("None", "null", "NaN", "#N/A", "#REF!", "true", "~", "well", "ill", "p1", "s1", "a" * 3000),
)

_WORDS = st.one_of(
    st.sampled_from(NASTY),
    st.text(max_size=12),
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(repr),
)


def _damaged(content: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Now and then with bytes that are no UTF-8, cut off, or with a byte order mark."""
    tear = st.tuples(content, st.integers(0, 400), st.binary(max_size=4)).map(
        lambda drawn: drawn[0][: drawn[1]] + drawn[2] + drawn[0][drawn[1] :]
    )
    cut = st.tuples(content, st.integers(0, 400)).map(lambda drawn: drawn[0][: drawn[1]])
    return st.one_of(
        content, content, content, tear, cut, content.map(lambda b: b"\xef\xbb\xbf" + b)
    )


def _cell(text: str) -> str:
    if any(sign in text for sign in ',"\n\r'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _table(header: st.SearchStrategy[list[str]], row: st.SearchStrategy[list[str]]):
    def written(drawn: tuple[list[str], list[list[str]], str, bool]) -> bytes:
        head, rows, ending, quoted = drawn
        write = _cell if quoted else str
        lines = [",".join(map(write, cells)) for cells in (head, *rows)]
        return ending.join(lines).encode("utf-8", "surrogatepass")

    ending = st.sampled_from(["\n", "\n", "\n", "\r\n", "\r"])
    quoted = st.sampled_from([True, True, True, False])
    return _damaged(st.tuples(header, st.lists(row, max_size=5), ending, quoted).map(written))


def _rows(*usual: Iterable[str]) -> st.SearchStrategy[list[str]]:
    """Rows of which most cells are as they should be, and some are not."""
    cells = [
        st.tuples(st.integers(0, 11), st.sampled_from(list(one)), _WORDS).map(
            lambda drawn: drawn[1 + (drawn[0] == 0)]
        )
        for one in usual
    ]
    whole = st.tuples(*cells).map(list)
    return st.one_of(whole, whole, whole, st.lists(_WORDS, max_size=7))


def _header(*columns: str) -> st.SearchStrategy[list[str]]:
    whole = st.just(list(columns))
    mixed = st.lists(st.one_of(st.sampled_from(columns), _WORDS), max_size=7)
    return st.one_of(*[whole] * 6, st.permutations(columns), mixed)


IMAGES_CSV = _table(
    _header("image", "slide", "patient", "label", "um_per_px"),
    _rows(
        ("images/a.tif", "images/b.tif"),
        ("s1", "s2", "S1", "1/2/2001", "12E3", "1.10"),
        ("p1", "p2", "p-2", "007", "7"),
        ("well", "ill", ""),
        ("0.5", "", "0.25"),
    ),
)
ANNOTATIONS_CSV = _table(
    _header("image", "x", "y", "label"),
    _rows(
        ("images/a.tif", "images/b.tif"),
        ("1", "2.5", "47.9", "48", "-1"),
        ("1", "2.5", "47.9", "0"),
        ("well", "ill"),
    ),
)


def read_images_csv(path: Path) -> bool:
    """Check the folder as `fathom check` does, read it as a stage does, compare the names."""
    faults = check_dataset(path.parent, require_labels=False)
    if any(not str(fault).strip() for fault in faults):
        raise AssertionError("a fault without words")
    try:
        dataset = read_dataset(path.parent, require_labels=False)
    except FathomError:
        if not faults:
            raise AssertionError("refused, but no fault was named") from None
        return False
    if faults:
        raise AssertionError("read in spite of faults")
    list(audit_spellings(dataset.images))
    return True


def read_annotations_csv(path: Path) -> bool:
    """Do the same, and look up the nuclei that the points lie in."""
    images = path.parent / "images.csv"
    images.write_text("image,slide,patient\nimages/a.tif,s1,p1\nimages/b.tif,s2,p2\n")
    if not read_images_csv(path):
        return False
    labels = np.ones((SIDE, SIDE), np.int32)
    nucleus_labels(labels, read_dataset(path.parent, require_labels=False).annotations)
    return True


SECTIONS = (
    *(Audit, Baseline, Features, Shortcuts, NewSlides, Diagnosis, Classes, Crop, Segmentation),
    *(AbstentionLevel, Recipe, Package, Comparison, Split),
)
_PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))

# YAML that has surprised someone: tags, anchors, times, octals, documents, merge keys.
YAML_NASTY = (
    *(
        "!!python/object/apply:os.system ['false']",
        "!!python/name:os.system",
        "!!int x",
        "!!bool x",
    ),
    *("!!float x", "!!timestamp x", "!!binary x", "!!set {a}", "!unknown 1", "2001-99-99", "1:99"),
    *("0b_", "0o9", "0x", "1_000", "~", "{}", "[]", "{a: b}", "[1, [2]]", "&a [*a]", "*nowhere"),
    *("<<: {a: 1}", "<<: 1", "? [a]", "'", '"', "|\n x", ">", "%YAML 3.0", "---", "...", "\t", "#"),
    *(".inf", "-.inf", ".nan", "yes", "no", "on", "1e3", "1e400", "9" * 5000, "[" * 900, "{" * 900),
    *("@a", "`a", "a: b: c", "- a", "{a: 1, a: 2}", "\x00", "\x07", "\ud7ff", "2001-01-01"),
)


def _params_text(drawn: tuple[object, list[tuple[int, str, str]]]) -> bytes:
    """Write one section of params.yaml with some of its lines changed."""
    section, changes = drawn
    lines = yaml.safe_dump({str(section): _PARAMS[section]}, sort_keys=False).splitlines()
    for place, how, text in changes:
        at = place % len(lines)
        key, colon, _ = lines[at].partition(":")
        match how:
            case "value":
                lines[at] = f"{key}{colon} {text}"
            case "key":
                lines[at] = f"{text}: {lines[at]}"
            case "line":
                lines[at] = text
            case "indent":
                lines[at] = "  " + lines[at]
            case "twice":
                lines.insert(at, lines[at])
            case _:
                del lines[at]
                lines = lines or [""]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


_TABLES = ("runs", "controls", "architectures")
_CHANGE = st.tuples(
    st.integers(0, 60),
    st.sampled_from(["value", "value", "value", "key", "line", "indent", "twice", "gone"]),
    st.one_of(st.sampled_from(YAML_NASTY), _WORDS),
)
PARAMS_YAML = _damaged(
    st.tuples(
        st.sampled_from([*(one.key for one in SECTIONS if one.key in _PARAMS), *_TABLES]),
        st.lists(_CHANGE, max_size=3),
    ).map(_params_text)
)


def read_params(path: Path) -> bool:
    """Read whichever section is there, as a stage and as `fathom runs` do."""
    try:
        _read_sections(path)
    except FathomError:
        return False
    return True


def _read_sections(path: Path) -> None:
    text = path.read_bytes()
    found = [one for one in SECTIONS if text.startswith(f"{one.key}:".encode())]
    if found:
        read_section(found[0], path)
    elif text.startswith(b"runs:"):
        read_runs(path)
    elif text.startswith(b"controls:"):
        read_controls(path)
    else:
        value_at(path, "architectures")


_NUMBERS = st.one_of(
    st.sampled_from(["1", "2", "3", "8", "32", "0", "65537", "007", "٣", "9" * 50])
)
_LAYER = st.one_of(
    st.tuples(_NUMBERS, _NUMBERS).map(lambda n: f"{n[0]}conv{n[1]}x{n[1]}"),
    st.sampled_from(
        ["32conv3x3", "mp2x2", "fc32", "gap", "o", "16conv3x3/2", "mp2x3", "conv", "res"]
    ),
    _NUMBERS.map(lambda n: f"fc{n}"),
    _NUMBERS.map(lambda n: f"mp{n}x{n}"),
    _WORDS,
)
_LINES = st.recursive(
    st.lists(_LAYER, min_size=1, max_size=5).map(" - ".join),
    lambda inner: st.one_of(
        inner.map(lambda text: f"res({text})"),
        st.tuples(_NUMBERS, inner).map(lambda drawn: f"{drawn[0]}*({drawn[1]})"),
        st.tuples(inner, inner).map(" - ".join),
        inner.map(lambda text: text + ")"),
        inner.map(lambda text: "(" * 40 + text),
    ),
    max_leaves=6,
)
ARCHITECTURE = st.one_of(
    _LINES,
    _LINES.map(lambda text: f"{text} - o"),
    _LINES.map(lambda text: f"8conv3x3 - {text} - o"),
).map(lambda text: text.encode("utf-8", "surrogatepass"))


def read_architecture(path: Path) -> bool:
    """Parse a line, print it again, and count what it costs."""
    line = path.read_bytes().decode("utf-8", "surrogatepass")
    try:
        layers = parse(line)
        if format(layers) != line:
            raise AssertionError("a second spelling")
        check_fits(layers, SIDE)
        cost(layers, 1, SIDE, "batch")
    except FathomError:
        return False
    return True


_COORDINATES = st.one_of(
    st.floats(0, 100),
    st.integers(0, 100),
    st.sampled_from(
        [1e6, 1e9, 1e300, -1e300, 10**400, None, "1", True, [], float("nan"), float("inf")]
    ),
)
_POSITION = st.lists(_COORDINATES, min_size=2, max_size=2) | st.lists(_COORDINATES, max_size=3)
_RING = st.lists(_POSITION, max_size=6)
_GEOMETRY = st.one_of(
    st.fixed_dictionaries({"type": st.just("Point"), "coordinates": _POSITION}),
    st.fixed_dictionaries({"type": st.just("MultiPoint"), "coordinates": _RING}),
    st.fixed_dictionaries({"type": st.just("Polygon"), "coordinates": st.lists(_RING, max_size=2)}),
    st.fixed_dictionaries(
        {
            "type": st.just("MultiPolygon"),
            "coordinates": st.lists(st.lists(_RING, max_size=2), max_size=2),
        }
    ),
    st.fixed_dictionaries({"type": _WORDS, "coordinates": _WORDS}),
    st.sampled_from([None, 1, "Point", []]),
)
_CLASS = st.one_of(
    _WORDS,
    _WORDS.map(lambda name: {"name": name}),
    st.lists(_WORDS, max_size=2).map(lambda names: {"names": names}),
    st.sampled_from([None, 1, [], {"name": 1}, {"names": 1}, {"names": [1]}, {"name": {}}]),
)
_FEATURE = st.fixed_dictionaries(
    {"type": st.just("Feature"), "geometry": _GEOMETRY},
    optional={
        "properties": st.one_of(
            st.just(None), _WORDS, st.fixed_dictionaries({"classification": _CLASS})
        )
    },
)
_DOCUMENT = st.one_of(
    st.lists(_FEATURE, max_size=4).map(
        lambda all_: {"type": "FeatureCollection", "features": all_}
    ),
    st.lists(_FEATURE, max_size=3),
    _FEATURE,
    st.sampled_from([{}, [], None, 1, {"features": 1}, {"features": {"a": 1}}, [[]], [1]]),
).map(lambda content: json.dumps(content).encode())
GEOJSON = _damaged(st.one_of(*[_DOCUMENT] * 9, st.integers(1, 5000).map(lambda n: b"[" * n)))


def read_geojson(path: Path) -> bool:
    """Read the points as `fathom new` does."""
    try:
        points, without = geojson_points(path, "a.tif")
    except FathomError:
        return False
    if without < 0 or any(not np.isfinite([point.x, point.y]).all() for point in points):
        raise AssertionError("a point that is no place")
    return True


KINDS = (
    TextKind("images.csv", "images.csv", IMAGES_CSV, read_images_csv),
    TextKind("annotations.csv", "annotations.csv", ANNOTATIONS_CSV, read_annotations_csv),
    TextKind("params.yaml", "params.yaml", PARAMS_YAML, read_params),
    TextKind("architecture lines", "line.txt", ARCHITECTURE, read_architecture),
    TextKind("GeoJSON", "a.geojson", GEOJSON, read_geojson),
)
