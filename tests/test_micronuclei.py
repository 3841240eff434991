"""The fetch stage, on a tiny wheel with the real one's layout, and on the real one where it is."""

import hashlib
import os
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import tifffile
from PIL import Image

from fathom.datasets.dataset import read_dataset
from fathom.default_data import wheels
from fathom.default_data.micronuclei import WHEEL, lay_out
from fathom.default_data.micronuclei_masks import deepest_points, read_nuclei_masks
from fathom.default_data.wheels import download
from fathom.ground.errors import FathomError
from fathom.ground.images import read_labels, read_micrograph
from fetch import fetch

ROOT = Path(__file__).parents[1]
REAL = Path(os.environ.get("FATHOM_WHEEL", ROOT / ".downloads" / WHEEL.file_name))
HEIGHT, WIDTH = 60, 80
METAMORPH = (
    '<MetaData><PlaneInfo><prop id="spatial-calibration-x" type="float" value="0.645"/>'
    '<prop id="spatial-calibration-units" type="string" value="um"/></PlaneInfo></MetaData>'
)
COPY = "test-data/2023-05-31_misc/images/1"


def drawing(*squares):
    """Return an RGBA mask with opaque squares (top, left, side, colour) on nothing."""
    mask = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    for top, left, side, colour in squares:
        mask[top : top + side, left : left + side] = (*colour, 255)
    return mask


# An affected nucleus at the border, an intact one and a micronucleus of nobody.
NUCLEI = drawing((0, 0, 12, (255, 188, 1)), (30, 40, 14, (255, 188, 2)))
MICRONUCLEI = drawing((14, 2, 3, (255, 9, 1)), (50, 70, 3, (255, 9, 77)))


def png(mask):
    content = BytesIO()
    Image.fromarray(mask).save(content, format="PNG")
    return content.getvalue()


def tif(number, **options):
    content = BytesIO()
    pixels = np.full((HEIGHT, WIDTH), number, np.uint16)
    tifffile.imwrite(content, pixels, **({"metadata": None} | options))
    return content.getvalue()


def field(name, number, **options):
    """Return the files of one micrograph, by their path in the wheel."""
    metamorph = {"description": METAMORPH, "software": "MetaSeries"}
    return {
        f"mnfinder/{name}.tif": tif(number, **(options or metamorph)),
        f"mnfinder/{name}.png": png(np.zeros((2, 2), np.uint8)),
        f"mnfinder/{name.replace('/images/', '/nucleus_masks/')}.png": png(NUCLEI),
        f"mnfinder/{name.replace('/images/', '/mn_masks/')}.png": png(MICRONUCLEI),
    }


def wheel_files():
    info = f"mnfinder-{WHEEL.version}.dist-info"
    imagej = {
        "imagej": True,
        "resolution": (4.0, 4.0),
        "metadata": {"unit": "micron", "Labels": ["c:2/2 z:5/9 - HeLa H2B-GFP"]},
    }
    return {
        "mnfinder/test-data/image-info.csv": (
            b"image,dataset,cell_type\nHFF 1.lif.tif,2023-05-31_misc,HFF\n1.tif,2022-10-14_U2OS,X\n"
        ),
        **field("training-data/2022-03-18_RPE1/images/3", 3),
        **field("training-data/2022-10-14_U2OS/images/1", 4),
        **field("validation-data/2022-10-14_U2OS/images/1", 5),
        **field(COPY, 3),
        **field("test-data/2023-05-31_misc/images/HFF 1.lif", 6, metadata=None),
        **field("training-data/2023-05-31_misc/images/1", 7, metadata=None),
        **field("training-data/2023-05-31_misc/images/5", 8, **imagej),
        **field("training-data/2022-03-18_RPE1/images/../../../../evil", 9),
        f"{info}/licenses/LICENSE.py": b"MIT, they say",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: mnfinder\nVersion: {WHEEL.version}\n"
        "Requires-Python: <3\nRequires-Dist: tensorflow\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }


def pack(path, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return replace(WHEEL, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that pip takes for the only index there is, with the tiny wheel in it."""
    folder = tmp_path / "index"
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder, pack(folder / WHEEL.file_name, wheel_files())


@pytest.fixture
def laid_out(tmp_path):
    pack(tmp_path / "x.whl", wheel_files())
    lay_out(tmp_path / "x.whl", tmp_path / "data/study", tmp_path / "data/new")
    return tmp_path / "data"


def contents(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


# Layout


def test_study_and_new_slides(laid_out):
    study, new = read_dataset(laid_out / "study"), read_dataset(laid_out / "new")
    names = ["2022-03-18_RPE1_3", "2022-10-14_U2OS_1_training", "2022-10-14_U2OS_1_validation"]
    assert study.images["image"].tolist() == [f"images/{name}.tif" for name in names]
    assert study.images["slide"].tolist() == names
    assert study.images["patient"].tolist() == ["2022-03-18", "2022-10-14", "2022-10-14"]
    assert study.images["um_per_px"].tolist() == [0.645] * 3
    assert new.images["slide"].tolist() == [
        "2023-05-31_misc_1",
        "2023-05-31_misc_5",
        "2023-05-31_misc_HFF_1_lif",
    ]
    assert new.images["patient"].tolist() == ["2023-05-31_misc_1", "HeLa", "HFF"]
    assert new.images["um_per_px"].fillna(0).tolist() == [0, 0.25, 0]
    for dataset, numbers in ((study, [3, 4, 5]), (new, [7, 8, 6])):
        pixels = [read_micrograph(dataset.path(image))[0, 0] for image in dataset.images["image"]]
        assert pixels == numbers  # 3 once more would be the copy


def test_a_row_a_nucleus_with_its_class_inside_its_mask(laid_out):
    study = read_dataset(laid_out / "study")
    assert study.classes == ("intact", "micronucleated")
    for image, nuclei in study.annotations.groupby("image"):
        labels = read_labels(study.mask_path(image))
        assert nuclei["label"].tolist() == ["micronucleated", "intact"]
        points = nuclei[["y", "x"]].astype(int).to_numpy()
        assert labels[points[:, 0], points[:, 1]].tolist() == [1, 2]
        assert np.array_equal(labels > 0, NUCLEI[..., 3] > 0)


def test_the_micronuclei_are_the_pixels_that_the_label_is_about(laid_out):
    study = read_dataset(laid_out / "study")
    for image in study.images["image"]:
        pixels = read_labels(study.label_mask_path(image))
        assert np.array_equal(pixels > 0, MICRONUCLEI[..., 3] > 0)


def test_source_and_licence_lie_beside_the_data(laid_out):
    for folder in ("study", "new"):
        readme = (laid_out / folder / "README.md").read_text()
        assert WHEEL.sha256 in readme
        assert f"mnfinder/{COPY}.tif" in readme
        assert (laid_out / folder / "LICENSE").read_text() == "MIT, they say"


def test_nothing_else_is_written(laid_out):
    top = {path.split("/")[0] for path in contents(laid_out / "study")}
    tables = {"images.csv", "annotations.csv"}
    assert top == {"images", "masks", "label_masks", *tables, "README.md", "LICENSE"}
    assert not list(laid_out.parent.rglob("*evil*"))
    assert sorted(path.name for path in laid_out.iterdir()) == ["new", "study"]


def test_same_bytes_each_time(laid_out, tmp_path):
    lay_out(tmp_path / "x.whl", tmp_path / "again/study", tmp_path / "again/new")
    assert contents(tmp_path / "again") == contents(laid_out)


# Nothing half-written, nothing of the user's removed


def test_failure_leaves_neither_folder(tmp_path):
    files = wheel_files()
    del files["mnfinder/training-data/2023-05-31_misc/mn_masks/5.png"]  # the last field but one
    pack(tmp_path / "x.whl", files)
    with pytest.raises(KeyError):
        lay_out(tmp_path / "x.whl", tmp_path / "data/study", tmp_path / "data/new")
    assert list((tmp_path / "data").iterdir()) == []


def test_what_a_killed_run_left_is_cleared(tmp_path):
    pack(tmp_path / "x.whl", wheel_files())
    (tmp_path / "data/.study.part/images").mkdir(parents=True)
    (tmp_path / "data/.study.part/images/half.tif").write_bytes(b"")
    lay_out(tmp_path / "x.whl", tmp_path / "data/study", tmp_path / "data/new")
    assert not (tmp_path / "data/study/images/half.tif").exists()
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["new", "study"]


def test_folder_with_something_in_it_is_left_alone(tmp_path):
    pack(tmp_path / "x.whl", wheel_files())
    (tmp_path / "study").mkdir()  # empty: as good as absent
    (tmp_path / "new").mkdir()
    (tmp_path / "new/mine.txt").write_text("mine")
    with pytest.raises(FathomError, match="new is there already: delete or rename it"):
        lay_out(tmp_path / "x.whl", tmp_path / "study", tmp_path / "new")
    assert contents(tmp_path / "new") == {"mine.txt": b"mine"}
    assert list((tmp_path / "study").iterdir()) == []
    assert not list(tmp_path.glob(".*.part"))


# Download


def test_fetch_downloads_checks_and_lays_out(index, tmp_path, monkeypatch):
    monkeypatch.setattr("fetch.WHEEL", index[1])
    monkeypatch.chdir(tmp_path)
    fetch(Path("downloads"), Path("data/study"), Path("data/new"))
    assert list(contents(tmp_path / "downloads")) == [WHEEL.file_name]
    assert len(read_dataset(tmp_path / "data/study").images) == 3
    assert len(read_dataset(tmp_path / "data/new").images) == 3


def test_wheel_that_is_there_is_not_downloaded_again(index, tmp_path, monkeypatch):
    folder, wheel = index
    first = download(wheel, tmp_path / "downloads")
    (folder / WHEEL.file_name).unlink()
    assert download(wheel, tmp_path / "downloads") == first


def test_wrong_bytes_that_were_found_are_named_and_left(tmp_path):
    found = tmp_path / WHEEL.file_name
    found.write_bytes(b"mine")
    with pytest.raises(FathomError) as caught:
        download(WHEEL, tmp_path)
    assert WHEEL.sha256 in str(caught.value)
    assert hashlib.sha256(b"mine").hexdigest() in str(caught.value)
    assert contents(tmp_path) == {WHEEL.file_name: b"mine"}


def test_wrong_bytes_from_the_index_are_not_kept(index, tmp_path):
    _, wheel = index
    with pytest.raises(FathomError) as caught:
        download(WHEEL, tmp_path / "downloads")
    assert WHEEL.sha256 in str(caught.value)
    assert wheel.sha256 in str(caught.value)
    assert list((tmp_path / "downloads").iterdir()) == []


def test_no_index_ends_in_a_sentence(index, tmp_path):
    folder, wheel = index
    (folder / WHEEL.file_name).unlink()
    with pytest.raises(FathomError) as caught:
        download(wheel, tmp_path / "downloads")
    message = str(caught.value)
    assert message.startswith("could not download mnfinder 1.2.3 from PyPI: make a package index ")
    assert f"put the file {WHEEL.file_name} into {tmp_path}/downloads by hand" in message
    assert message.endswith("No matching distribution found for mnfinder==1.2.3")
    assert list((tmp_path / "downloads").iterdir()) == []


def test_interrupt_leaves_nothing_half_downloaded(tmp_path, monkeypatch):
    def interrupted(command, **options):
        partial = Path(command[command.index("--dest") + 1])
        (partial / WHEEL.file_name).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(wheels.subprocess, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        download(WHEEL, tmp_path / "downloads")
    assert list((tmp_path / "downloads").iterdir()) == []


# Masks


def test_pieces_of_one_colour_are_nuclei_of_their_own():
    colour = (255, 188, 9)
    nuclei = drawing((2, 2, 10, colour), (40, 60, 10, colour), (20, 20, 2, colour))
    labels, affected = read_nuclei_masks(nuclei, drawing((36, 66, 2, (1, 2, 9))))
    assert labels.max() == 2  # the speck of 4 px is none
    assert affected.tolist() == [False, True]  # the nearest has it


def test_micronucleus_belongs_to_the_nucleus_of_its_blue_value_not_to_the_nearest():
    nuclei = drawing((2, 2, 10, (255, 1, 1)), (2, 20, 10, (255, 1, 2)))
    _, affected = read_nuclei_masks(nuclei, drawing((2, 13, 2, (9, 9, 2))))
    assert affected.tolist() == [False, True]


def test_colour_that_is_black_where_it_is_opaque():
    nuclei = drawing((2, 2, 10, (0, 0, 0)), (2, 20, 10, (255, 1, 2)))
    _, nobody = read_nuclei_masks(nuclei, drawing())
    _, affected = read_nuclei_masks(nuclei, drawing((2, 13, 2, (9, 9, 0))))
    assert (nobody.tolist(), affected.tolist()) == ([False, False], [True, False])


def test_empty_masks():
    labels, affected = read_nuclei_masks(drawing(), drawing((2, 2, 3, (9, 9, 9))))
    assert labels.shape == (HEIGHT, WIDTH)
    assert labels.max() == 0
    assert affected.size == 0
    assert deepest_points(labels) == []


def test_point_of_a_concave_nucleus_lies_inside_it():
    labels = np.zeros((HEIGHT, WIDTH), np.int32)
    labels[10:40, 10:40] = 1
    labels[14:36, 18:40] = 0  # a C with a back of 8 px: its centroid lies in the gap
    assert labels[tuple(np.argwhere(labels).mean(axis=0).astype(int))] == 0
    ((y, x),) = deepest_points(labels)
    assert labels[y, x] == 1
    assert 12 <= x <= 15


# The real wheel


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    if not REAL.is_file():
        pytest.skip(f"{REAL} is not here (make repro downloads it, or set FATHOM_WHEEL)")
    folder = tmp_path_factory.mktemp("real")
    lay_out(REAL, folder / "study", folder / "new")
    return read_dataset(folder / "study"), read_dataset(folder / "new")


def test_counts_of_the_real_data(real):
    study, new = real
    assert (len(study.images), study.images["patient"].nunique()) == (23, 6)
    assert study.images["um_per_px"].eq(0.645).all()
    assert dict(study.annotations["label"].value_counts()) == {
        "micronucleated": 1303,
        "intact": 1206,
    }
    assert len(new.images) == 25
    assert dict(new.annotations["label"].value_counts()) == {"intact": 379, "micronucleated": 231}


def test_every_point_of_the_real_data_lies_in_its_own_nucleus(real):
    for dataset in real:
        for image, nuclei in dataset.annotations.groupby("image"):
            labels = read_labels(dataset.mask_path(image))
            points = nuclei[["y", "x"]].astype(int).to_numpy()
            here = labels[points[:, 0], points[:, 1]]
            assert here.tolist() == list(range(1, labels.max() + 1))


def test_field_that_is_left_out_is_a_copy_of_one_of_the_study(real):
    with ZipFile(REAL) as archive:
        left_out = tifffile.imread(BytesIO(archive.read(f"mnfinder/{COPY}.tif")))
    study = real[0]
    assert np.array_equal(left_out, read_micrograph(study.path("images/2022-05-26_RPE1_1.tif")))
