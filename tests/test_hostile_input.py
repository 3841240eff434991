"""Files and tables made to do harm: a sentence each, at once, and nothing outside is read.

What benchmarks/hostile_input.py found by chance stands here by name, with what is known to have
broken other readers: bombs, loops, paths that leave their folder, formulas, names that are markup.
"""

import json
import re
import struct
import time
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from conftest import draw_field
from model_cards import make_card
from onnx import TensorProto, numpy_helper
from pylibCZIrw import czi
from slide_files import picture, write_ome_zarr, write_pyramid_ome, write_svs, write_tiled
from tiny_onnx import graph_of, write_graph
from typer.testing import CliRunner

from fathom.arranging.arrange import propose, write
from fathom.arranging.labels import geojson_points
from fathom.baselines.params import Features
from fathom.cli import app, main
from fathom.datasets.check import check_dataset
from fathom.datasets.masks import read_mask
from fathom.datasets.spellings import alike
from fathom.datasets.tables import read_rows
from fathom.ground.csv_file import is_formula, write_csv
from fathom.ground.errors import FathomError, ModelError
from fathom.ground.images import read_micrograph
from fathom.ground.section import read_section, value_at
from fathom.models.onnx_model import OnnxModel
from fathom.scoring.predict import predict_slides, read_patients
from fathom.slides.opening import open_slide

BIG = 2**16  # px, a side


def refused_at_once(read, *arguments, match):
    """Assert that a file is refused in one sentence that says `match`, within two seconds."""
    begun = time.process_time()
    with pytest.raises(FathomError, match=match) as raised:
        read(*arguments)
    assert time.process_time() - begun < 2
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 1000


def chunk(kind, content):
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png(path, width, height, data=b""):
    """Write a PNG whose header says what it likes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    return path


# Bombs: few bytes that become many


def test_a_png_of_four_billion_pixels(tmp_path):
    path = png(tmp_path / "a.png", BIG, BIG, bytes(1000))
    for read in (read_micrograph, read_mask, open_slide):
        refused_at_once(read, path, match=r"bytes of it are 4,294,967,296 bytes of pixels")


def test_a_picture_that_is_empty_and_not_huge_is_read(tmp_path):
    """A label image of few nuclei packs a thousandfold."""
    labels = np.zeros((2000, 2000), np.uint16)
    labels[:20, :20] = 1
    tifffile.imwrite(tmp_path / "a.tif", labels, compression="zlib")
    assert labels.nbytes / (tmp_path / "a.tif").stat().st_size > 700
    assert read_mask(tmp_path / "a.tif").sum() == 400


def set_tags(path, **values):
    """Overwrite tags of the first page in place, by their names."""
    with tifffile.TiffFile(path) as tiff:
        order = tiff.byteorder
        tags = {name: tiff.pages.first.tags[name] for name in values}
        places = {
            name: (tag.valueoffset, {3: "H", 4: "I"}[int(tag.dtype)]) for name, tag in tags.items()
        }
    with path.open("r+b") as file:
        for name, value in values.items():
            file.seek(places[name][0])
            file.write(struct.pack(order + places[name][1], value))


@pytest.mark.parametrize(
    "tags",
    [
        {"ImageWidth": 60_000, "ImageLength": 60_000},
        {"TileWidth": 60_000, "TileLength": 60_000},
    ],
)
def test_a_tiff_of_billions_of_pixels(tmp_path, tags):
    path = tmp_path / "a.tif"
    write_tiled(path, picture(200, 300, 1))
    set_tags(path, **tags)
    for read in (read_micrograph, read_mask, open_slide):
        refused_at_once(read, path, match=r"a\.tif: says that [\d,]+ bytes of it are 3,600,000,000")


def test_an_svs_of_billions_of_pixels(tmp_path):
    path = tmp_path / "a.svs"
    write_svs(path, [picture(300, 300)])
    set_tags(path, ImageWidth=60_000, ImageLength=60_000)
    with pytest.raises(FathomError, match=r"bytes of it are 10,800,000,000 bytes of pixels"):
        open_slide(path, channels=3)


def test_a_czi_of_two_tiles_far_apart(tmp_path):
    path = tmp_path / "a.czi"
    with czi.create_czi(str(path)) as document:
        for corner in (0, 100_000):
            tile = picture(100, 120, 1)[..., np.newaxis]
            document.write(tile, plane={"C": 0}, location=(corner, corner))
        document.write_metadata("far apart")
    with pytest.raises(FathomError, match=r"bytes of it are 10,022,012,000 bytes of pixels"):
        open_slide(path)


def test_a_slide_of_one_tile_a_million_times(tmp_path):
    """Every tile's offset is that of one that is there: the file is whole, and the slide vast."""
    path = tmp_path / "a.tif"
    write_tiled(path, picture(64, 64, 1), tile=(64, 64))
    tile = path.read_bytes()
    with tifffile.TiffFile(path) as tiff:
        place, size = tiff.pages.first.dataoffsets[0], tiff.pages.first.databytecounts[0]
    side = 512
    table = lambda number: struct.pack("<I", number) * side**2  # noqa: E731
    tags = [(256, 64 * side), (257, 64 * side), (258, 8), (259, 8), (262, 1), (277, 1)]
    tags += [(322, 64), (323, 64)]
    start = len(tile) + len(tile) % 2
    offsets = start + 2 + 12 * (len(tags) + 2) + 4
    entries = b"".join(struct.pack("<HHII", code, 4, 1, value) for code, value in tags)
    entries += struct.pack("<HHII", 324, 4, side**2, offsets)
    entries += struct.pack("<HHII", 325, 4, side**2, offsets + 4 * side**2)
    directory = struct.pack("<H", len(tags) + 2) + entries + struct.pack("<I", 0)
    whole = bytearray(tile.ljust(start, b"\0") + directory + table(place) + table(size))
    whole[:8] = b"II*\0" + struct.pack("<I", start)
    path.write_bytes(whole)
    refused_at_once(open_slide, path, match="bytes of it are 1,073,741,824 bytes of pixels")


def test_a_zarr_of_a_terabyte_with_one_chunk(tmp_path):
    path = tmp_path / "a.zarr"
    write_ome_zarr(path, [picture(60, 70, 1)])
    told = json.loads((path / "0" / ".zarray").read_text())
    for changes in ({"shape": [1, 2**20, 2**20]}, {"chunks": [1, 2**20, 2**20]}):
        (path / "0" / ".zarray").write_text(json.dumps(told | changes))
        refused_at_once(open_slide, path, match="bytes of it are 1,099,511,627,776 bytes")


def test_a_directory_that_follows_itself(tmp_path):
    path = tmp_path / "a.tif"
    write_tiled(path, picture(64, 64, 1), tile=(64, 64))
    content = bytearray(path.read_bytes())
    first = struct.unpack_from("<I", content, 4)[0]
    (count,) = struct.unpack_from("<H", content, first)
    struct.pack_into("<I", content, first + 2 + 12 * count, first)
    path.write_bytes(content)
    begun = time.process_time()
    with suppress(FathomError):
        read_micrograph(path)
    with suppress(FathomError), open_slide(path):
        pass
    assert time.process_time() - begun < 2


def test_xml_that_grows(tmp_path):
    """Entities in entities, 10^9 letters of 1,000 bytes."""
    path = tmp_path / "a.ome.tif"
    write_pyramid_ome(path, [picture(64, 64, 1)])
    with tifffile.TiffFile(path) as tiff:
        text = tiff.ome_metadata
    entities = "".join(
        f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "aaaaaaaaaa"}">' for n in range(9)
    )
    bomb = text.replace("<OME ", f"<!DOCTYPE OME [{entities}]><OME ", 1)
    bomb = bomb.replace("</OME>", "<Description>&e8;</Description></OME>")
    tifffile.imwrite(path, picture(64, 64, 1), description=bomb, metadata=None)
    begun = time.process_time()
    with suppress(FathomError), open_slide(path):
        pass
    assert time.process_time() - begun < 5


# Files that name other files


def test_an_ome_tiff_that_names_a_file_elsewhere(tmp_path):
    secret = tmp_path / "secret" / "b.ome.tif"
    secret.parent.mkdir()
    write_pyramid_ome(secret, [picture(64, 64, 1)])
    with tifffile.TiffFile(secret) as tiff:
        text = tiff.ome_metadata
    for name in ("../secret/b.ome.tif", str(secret), "..\\secret\\b.ome.tif", "/dev/zero"):
        path = tmp_path / "mine" / "a.ome.tif"
        path.parent.mkdir(exist_ok=True)
        named = re.sub(
            r"<TiffData[^>]*/>|<TiffData[^>]*>.*?</TiffData>",
            f'<TiffData IFD="0"><UUID FileName="{name}">urn:uuid:1</UUID></TiffData>'.replace(
                "\\", r"\\"
            ),
            text,
        )
        assert name in named
        tifffile.imwrite(path, picture(64, 64, 1), description=named, metadata=None)
        for read in (open_slide, read_micrograph):
            refused_at_once(read, path, match="which lies outside of its folder")


@pytest.mark.parametrize("name", ["../../secret/0", "/secret/0", "../secret", "0/../../secret/0"])
def test_an_ome_zarr_that_names_an_array_elsewhere(tmp_path, name):
    write_ome_zarr(tmp_path / "secret", [picture(60, 70, 1)])
    path = tmp_path / "a.zarr"
    write_ome_zarr(path, [picture(60, 70, 1)])
    attributes = json.loads((path / ".zattrs").read_text())
    attributes["multiscales"][0]["datasets"][0]["path"] = name
    (path / ".zattrs").write_text(json.dumps(attributes))
    refused_at_once(open_slide, path, match=r"a\.zarr: its level .* cannot be read")


@pytest.mark.parametrize("name", ["w.bin", "../w.bin", "/etc/passwd"])
def test_a_model_whose_weights_lie_elsewhere(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path("w.bin").write_bytes(np.ones(1, np.float32).tobytes())
    offset = TensorProto(name="offset", data_type=TensorProto.FLOAT, dims=[1])
    offset.data_location = TensorProto.EXTERNAL
    for key, value in (("location", name), ("length", "4")):
        offset.external_data.add(key=key, value=value)
    path = write_graph(tmp_path / "m.onnx", graph_of(offset), make_card().properties())
    refused_at_once(OnnxModel, path, match="its weights lie in another file, which is not read")


@pytest.mark.parametrize("name", ["../b.tif", "/etc/passwd", "images/../../b.tif", "a\\..\\b.tif"])
def test_a_table_that_names_a_file_elsewhere(tmp_path, name):
    folder = tmp_path / "set"
    folder.mkdir()
    tifffile.imwrite(tmp_path / "b.tif", picture(20, 20, 1))
    (folder / "images.csv").write_text(f"image,slide,patient\n{name},s,p\n")
    (fault,) = check_dataset(folder, require_labels=False)
    assert re.search("leaves the folder|separated by '/'", fault.what)


def test_a_link_out_of_the_folder_is_followed(tmp_path):
    """DVC makes every file of a data set one (`cache.type symlink`)."""
    folder = tmp_path / "set"
    folder.mkdir()
    tifffile.imwrite(tmp_path / "b.tif", picture(20, 20, 1))
    (folder / "a.tif").symlink_to(tmp_path / "b.tif")
    (folder / "images.csv").write_text("image,slide,patient\na.tif,s,p\n")
    assert check_dataset(folder, require_labels=False) == []


# Names that are more than names

FORMULAS = ("=cmd|' /C calc'!A0", "=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3+cmd('x')", "\t=1")
NAMES = (
    "HER2+",
    "+",
    "-",
    "-ve",
    "+1",
    "-1.5",
    "a=b",
    "p-1",
    "1-2",
    "me@home",
    "(a)",
    "=".rjust(2, "a"),
)


def test_what_a_spreadsheet_would_run_is_shown_as_text(tmp_path):
    odd = [*FORMULAS, *NAMES, 'a "quoted", name', "two\nlines", "<b>", None]
    table = pd.DataFrame({"name": odd, "number": -1.5})
    write_csv(tmp_path / "a.csv", table)
    written = pd.read_csv(tmp_path / "a.csv", keep_default_na=False)["name"].tolist()
    assert written == [*(f"'{one}" for one in FORMULAS), *odd[len(FORMULAS) : -1], ""]
    write_csv(tmp_path / "b.csv", table, as_it_is=True)
    assert pd.read_csv(tmp_path / "b.csv", keep_default_na=False)["name"].tolist() == [
        *odd[:-1],
        "",
    ]


def test_a_table_without_formulas_is_written_as_it_is(tmp_path):
    table = pd.DataFrame({"name": list(NAMES), "number": range(len(NAMES)), "none": None})
    for name, options in (("a", {}), ("b", {"as_it_is": True})):
        write_csv(tmp_path / name, table, **options)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_formula_is_no_name_in_a_table_of_the_users(tmp_path):
    for name in FORMULAS[:-1]:
        (tmp_path / "images.csv").write_text(f'image,slide,patient\na.tif,"{name}",p\n')
        _, (fault,) = read_rows(tmp_path / "images.csv", ("image", "slide", "patient"))
        assert "is a formula to a spreadsheet, which would run it" in fault.what
    assert not any(map(is_formula, NAMES))


def test_a_file_whose_name_is_a_formula_gets_into_no_table(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    tifffile.imwrite(folder / "=cmd('calc').tif", picture(20, 20, 1))
    with pytest.raises(FathomError, match="rename the file or the folder; nothing was written"):
        write(propose(folder))
    assert [path.name for path in folder.iterdir()] == ["=cmd('calc').tif"]


# Text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"runs: \xff", "is not UTF-8 text"),
        (b"runs: " + b"[" * 1000, "its brackets stand too deep"),
        (b"runs: !!int x", "has a value that is not what it says it is"),
        (b"runs: 2001-99-99", "has a value that is not what it says it is"),
        (b"runs: " + b"9" * 5000, "has a value that is not what it says it is"),
        (b"runs: !!bool x", "has a value that is not what it says it is"),
    ],
)
def test_params_that_python_stumbles_over(tmp_path, monkeypatch, capsys, content, said):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_bytes(content)
    with pytest.raises(FathomError, match=said):
        value_at(Path("params.yaml"), "runs")
    monkeypatch.setattr("sys.argv", ["fathom", "runs"])
    with pytest.raises(SystemExit) as stop:
        main()
    said_there = capsys.readouterr().err
    assert stop.value.code == 2
    assert said in said_there
    assert "Traceback" not in said_there


@pytest.mark.parametrize("key", ["features", "features:\n  percentiles"])
def test_aliases_of_aliases_are_not_written_out(tmp_path, key):
    """Twenty lines stand for 10^20 numbers; the message of what is wrong with them is short."""
    names = [f"a{one}: &a{one} [{', '.join([f'*a{one - 1}'] * 10)}]" for one in range(1, 20)]
    path = tmp_path / "params.yaml"
    path.write_text("\n".join(["a0: &a0 [1]", *names, f"{key}: *a19\n"]))
    with pytest.raises(FathomError, match="'features") as raised:
        read_section(Features, path)
    assert len(str(raised.value)) < 5_000


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        json.dumps([{"geometry": {"type": "Point", "coordinates": [10**400, 1]}}]).encode(),
        json.dumps(
            [
                {
                    "geometry": {
                        "type": "Polygon",
                        "coordinates": [[[0, 0], [1e9, 0], [1e9, 1e9]]],
                    },
                    "properties": {"classification": "ill"},
                }
            ]
        ).encode(),
        json.dumps(
            [
                {
                    "geometry": {
                        "type": "Polygon",
                        "coordinates": [[[1e300, 0], [1e300, 1], [1e300, 2]]],
                    },
                    "properties": {"classification": "ill"},
                }
            ]
        ).encode(),
    ],
)
def test_geojson_that_fills_memory_or_the_stack(tmp_path, content):
    path = tmp_path / "a.geojson"
    path.write_bytes(
        content.replace(b'"geometry"', b'"properties": {"classification": "a"}, "geometry"', 1)
    )
    refused_at_once(geojson_points, path, "a.tif", match=r"a\.geojson: is not GeoJSON as QuPath")


# Models


def test_a_model_that_answers_twice_is_a_sentence(tmp_path):
    path = write_graph(tmp_path / "m.onnx", graph_of(repeats=2), make_card().properties())
    refused_at_once(OnnxModel, path, match=r"returns float32 of the shape \(4,\) for 2 crops")


def test_a_model_that_answers_no_number_leaves_the_measurement_out(tmp_path):
    """A network that exploded does: JSON has no NaN, and QuPath reads none."""
    offset = numpy_helper.from_array(np.full(1, np.nan, np.float32), "offset")
    card = make_card(um_per_px=None)
    path = write_graph(tmp_path / "m.onnx", graph_of(offset), card.properties())
    tifffile.imwrite(tmp_path / "a.tif", draw_field(3)[0])
    predict_slides(path, [tmp_path / "a.tif"], tmp_path / "out")
    features = json.loads((tmp_path / "out" / "a.geojson").read_text())["features"]
    scored = [one["properties"] for one in features if "classification" in one["properties"]]
    assert scored
    assert not any("Probability ill" in one["measurements"] for one in scored)


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, "{", "\x00"])
def test_metadata_that_are_no_json(tmp_path, text):
    properties = {**make_card().properties(), "run": text}
    path = write_graph(tmp_path / "m.onnx", graph_of(), properties)
    refused_at_once(OnnxModel, path, match="its metadata are (damaged|not what)")


def test_a_model_without_an_input(tmp_path):
    graph = graph_of()
    del graph.input[:]
    path = write_graph(tmp_path / "m.onnx", graph, make_card().properties())
    with pytest.raises(ModelError, match=r"m\.onnx: "):
        OnnxModel(path)


# Tables of a million rows


def test_names_that_are_numbers_of_a_thousand_decimals():
    assert alike(["10:30", "1e-50", "1e-999"]) == []


@pytest.mark.parametrize(
    "names",
    [
        [f"1/5/{year}" for year in range(1000, 6000)],
        [str(10**17 + 1000 * number) for number in range(5000)],
        [f"1.{number:05}E+17" for number in range(5000)] + [str(10**17)],
        [f"{n // 60}:{n % 60:02}" for n in range(2000)] + [f"0.{n:09}" for n in range(3000)],
    ],
    ids=["days", "long numbers", "rounded numbers", "times"],
)
def test_names_that_were_compared_two_by_two(names):
    """Five thousand of a kind: 25,000,000 pairs, which took 40 s."""
    begun = time.process_time()
    alike(names)
    assert time.process_time() - begun < 5


@pytest.mark.long
def test_a_million_annotations_are_read_in_seconds(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    tifffile.imwrite(folder / "a.tif", np.zeros((1000, 1000), np.uint8))
    (folder / "images.csv").write_text("image,slide,patient\na.tif,s,p\n")
    points = (f"a.tif,{n % 1000},{n // 1000},well\n" for n in range(10**6))
    (folder / "annotations.csv").write_text("image,x,y,label\n" + "".join(points))
    begun = time.process_time()
    assert check_dataset(folder, require_labels=False) == []
    assert time.process_time() - begun < 60


@pytest.mark.long
def test_a_million_patients_of_whom_500_are_asked_for(tmp_path):
    path = tmp_path / "patients.csv"
    path.write_text("image,patient\n" + "".join(f"i{n}.tif,name{n}x\n" for n in range(10**6)))
    images = [Path(f"i{n}.tif") for n in range(0, 10**6, 2000)]
    begun = time.process_time()
    assert read_patients(path, images)[1] == "name2000x"
    assert time.process_time() - begun < 60


def test_the_command_says_so_too(tmp_path):
    (tmp_path / "images.csv").write_text("image,slide,patient\n../x.tif,s,p\n")
    done = CliRunner().invoke(app, ["check", str(tmp_path), "--new-slides"])
    assert done.exit_code == 1
    assert "leaves the folder" in done.stdout
