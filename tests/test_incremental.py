"""One image more, changed, or none: the stages before the split write what a run from nothing does.

`made` counts what was made anew: the results that are in the store and were not there before.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import yaml
from audit_params import PARAMS, audit_params
from conftest import write_simulated_dataset

from fathom.audit.audit import audit, write_audit
from fathom.audit.image_audit import audit_image_files, write_image_audit
from fathom.audit.pictures import draw_nuclei
from fathom.baselines.features import feature_table
from fathom.baselines.params import Features
from fathom.datasets.dataset import read_dataset
from fathom.ground.image_store import NOWHERE, ImageStore
from fathom.ground.images import write_labels
from fathom.ground.output import write_metrics, write_table
from fathom.imaging.crop_dataset import crop_dataset
from fathom.imaging.params import Classes, Crop, Segmentation
from fathom.imaging.segment_dataset import segment_dataset
from fathom.study.accounts import write_accounts
from fathom.study.nuclei import read_nuclei

ROOT = Path(__file__).parents[1]
IMAGES = 6
# Of an image: its traits, that it is sound, label image, crops, features, description of nuclei.
RESULTS = 6
FEATURES = Features.model_validate(PARAMS["features"])
SEGMENTATION = Segmentation.model_validate(PARAMS["segmentation"])


def crop_params(**changes):
    return Crop.model_validate({**PARAMS["crop"], "crop_px": 32, **changes})


CROP = crop_params()


def written(folder):
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@dataclass(frozen=True)
class Run:
    """The five stages on a data set."""

    dataset: Path
    out: Path
    store: ImageStore = NOWHERE
    crop: Crop = CROP
    segmentation: Segmentation = SEGMENTATION

    def written(self):
        """Run all stages; return what they wrote, by path."""
        shutil.rmtree(self.out, ignore_errors=True)
        images = audit_image_files(self.dataset, audit_params(), self.store)
        write_image_audit(self.out / "audit_images", self.dataset, images)
        nuclei, accounts = self.cropped()
        features = feature_table(nuclei, FEATURES, self.store)
        write_table(self.out / "features.parquet", features)
        numbers = features.select_dtypes("number")
        crops = nuclei.crops()[:]
        found = audit(images, nuclei, accounts, crops, numbers, audit_params(), self.store)
        write_audit(self.out / "audit", found, audit_params())
        draw_nuclei(self.out / "audit", found.findings, nuclei, crops, self.dataset)
        write_metrics(self.out / "audit.json", found.metrics)
        return written(self.out)

    def cropped(self):
        dataset = read_dataset(self.dataset, store=self.store)
        labels, out = self.out / "labels", self.out / "nuclei"
        segment_dataset(dataset, self.segmentation, labels, self.store)
        classes = Classes(positive="ill")
        accounts = crop_dataset(dataset, labels, classes, self.crop, out, self.store)
        write_accounts(self.out / "accounts.parquet", accounts)
        return read_nuclei(out), accounts


def listed(store):
    return {path.name: path.stat().st_ino for path in store.folder.glob("*.image")}


def made(run):
    """Return what a run wrote, and how many results it made anew."""
    before = listed(run.store)
    content = run.written()
    return content, len(set(listed(run.store).items()) - set(before.items()))


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    """Return a data set with two images a slide, its store, and what was written from nothing."""
    folder = tmp_path_factory.mktemp("incremental")
    write_simulated_dataset(folder / "set", slides=IMAGES)
    table = pd.read_csv(folder / "set" / "images.csv")
    table.assign(slide=table["patient"]).to_csv(folder / "set" / "images.csv", index=False)
    run = Run(folder / "set", folder / "out", ImageStore(folder / "images"))
    (folder / "images").mkdir()
    content, count = made(run)
    assert count == IMAGES * RESULTS
    return run, content


@pytest.fixture
def again(studied, tmp_path):
    """Return a run on a copy of the data set, with a copy of the store."""
    first, _ = studied
    shutil.copytree(first.dataset, tmp_path / "set")
    shutil.copytree(first.store.folder, tmp_path / "images")
    return Run(tmp_path / "set", tmp_path / "out", ImageStore(tmp_path / "images"))


def from_nothing(run):
    return Run(run.dataset, run.out, NOWHERE, run.crop, run.segmentation).written()


def add_image(folder, name, slide, patient):
    field = tifffile.imread(folder / "images/field00.tif")
    other = tifffile.imread(folder / "images/field01.tif")
    points = pd.read_csv(folder / "annotations.csv")
    here = points[points["image"] == "images/field01.tif"]
    # No copy of another: the audit would say so, in one more finding, which is the same either way.
    tifffile.imwrite(folder / name, other[::-1] // 2 + field[:1, :1] // 2)
    turned = here.assign(image=name, y=len(other) - here["y"])
    pd.concat([points, turned]).to_csv(folder / "annotations.csv", index=False)
    table = pd.read_csv(folder / "images.csv")
    row = pd.DataFrame([{"image": name, "slide": slide, "patient": patient}])
    pd.concat([row, table]).to_csv(folder / "images.csv", index=False)


@pytest.mark.long
def test_with_a_store_and_without_the_bytes_are_the_same(studied):
    run, content = studied
    assert from_nothing(run) == content
    assert len([name for name in content if name.startswith("labels/")]) == IMAGES


def test_the_same_again_makes_nothing(studied, again):
    assert made(again) == (studied[1], 0)


def test_one_more_image_is_one_image_of_work(again):
    add_image(again.dataset, "images/between.tif", "another", "p0")
    content, count = made(again)
    assert count == RESULTS
    assert content == from_nothing(again)


@pytest.mark.long
def test_one_more_image_of_a_slide_changes_the_scale_of_its_crops_and_measures_them_again(again):
    add_image(again.dataset, "images/between.tif", "p1", "p1")
    content, count = made(again)
    # The slide's other two images have other crops, hence other features and descriptions.
    assert count == RESULTS + 2 * 2
    assert content == from_nothing(again)


@pytest.mark.long
def test_one_changed_image_is_one_image_of_work(studied, again):
    path = again.dataset / "images/field03.tif"
    field = tifffile.imread(path)
    field[5, 5] += 1
    tifffile.imwrite(path, field)
    content, count = made(again)
    # Its nuclei are the same, and so are their crops.
    assert count == RESULTS - 2
    assert content == from_nothing(again)
    tifffile.imwrite(path, np.where(field > 1000, field + 500, field))
    content, count = made(again)
    assert RESULTS <= count <= RESULTS + 2
    assert content == from_nothing(again)
    assert content != studied[1]


def test_one_annotation_changed_is_the_crops_of_one_image(again):
    points = pd.read_csv(again.dataset / "annotations.csv")
    labels = points["label"].replace({"ill": "well", "well": "ill"})
    points.loc[0, "label"] = labels[0]
    points.to_csv(again.dataset / "annotations.csv", index=False)
    content, count = made(again)
    assert count == 1
    assert content == from_nothing(again)


@pytest.mark.long
def test_another_scale_cuts_nothing_anew(again):
    run = Run(again.dataset, again.out, again.store, crop_params(low_percentile=5.0))
    content, count = made(run)
    assert count == IMAGES * 2  # other crops: other features and descriptions
    assert content == from_nothing(run)


@pytest.mark.long
@pytest.mark.parametrize("normalisation", ["none", "nucleus"])
def test_the_other_normalisations_have_the_same_bytes(again, normalisation):
    run = Run(again.dataset, again.out, again.store, crop_params(normalisation=normalisation))
    content, count = made(run)
    assert count == IMAGES * 2
    assert made(run) == (content, 0)
    assert content == from_nothing(run)


@pytest.mark.long
def test_label_images_of_the_data_set_are_taken_from_the_store(studied, again):
    for image, content in studied[1].items():
        if image.startswith("labels/"):
            mask = again.dataset / "masks" / image.removeprefix("labels/")
            mask.parent.mkdir(exist_ok=True)
            mask.write_bytes(content)
    masks = Segmentation.model_validate({**PARAMS["segmentation"], "method": "masks"})
    run = Run(again.dataset, again.out, again.store, segmentation=masks)
    content, count = made(run)
    assert count == IMAGES * 3  # sound with its mask, label image, pieces
    assert made(run) == (content, 0)
    assert content == from_nothing(run)
    path = again.dataset / "masks" / "field02.tif"
    labels = tifffile.imread(path).astype(np.int32)
    labels[labels == labels.max()] = 0
    write_labels(path, labels)
    content, count = made(run)
    assert count == 3 + 3 + 2  # as above, and crops, features and descriptions of its slide
    assert content == from_nothing(run)


@pytest.mark.long
def test_an_image_without_a_nucleus_is_one_too(again):
    noise = np.random.default_rng(1).normal(300, 15, (160, 160)).astype(np.uint16)
    tifffile.imwrite(again.dataset / "images/dark.tif", noise)
    table = pd.read_csv(again.dataset / "images.csv")
    row = pd.DataFrame([{"image": "images/dark.tif", "slide": "dark", "patient": "p9"}])
    pd.concat([table, row]).to_csv(again.dataset / "images.csv", index=False)
    content, count = made(again)
    assert count == RESULTS - 2
    assert content == from_nothing(again)


def test_without_its_store_all_is_made_again(studied, again):
    shutil.rmtree(again.store.folder)
    assert again.written() == studied[1]
    assert len(listed(again.store)) == IMAGES * RESULTS


def test_whatever_is_damaged_is_named_and_made_again(studied, again, capsys):
    files = sorted(again.store.folder.glob("*.image"))
    for number, path in enumerate(files):
        content = bytearray(path.read_bytes())
        content[len(content) * number // len(files)] ^= 1
        path.write_bytes(content if number % 3 else content[: len(content) // 2])
    assert made(again) == (studied[1], len(files))
    assert capsys.readouterr().err.count(" is damaged: what it held is made again") == len(files)


STAGES = {
    "audit_images": (("set", ".images", "audit_images"), ["audit_images"]),
    "segment": (("set", ".images", "labels"), ["labels"]),
    "crop": (
        ("set", "labels", ".images", "nuclei", "accounts.parquet", "crop.json"),
        ["nuclei", "accounts.parquet", "crop.json"],
    ),
    "features": (("nuclei", ".images", "features.parquet"), ["features.parquet"]),
    "audit": (
        (
            *("set", "audit_images", "nuclei", "accounts.parquet", "features.parquet"),
            *(".images", "audit", "audit.json"),
        ),
        ["audit", "audit.json"],
    ),
}


def start(folder, stage):
    command = [sys.executable, str(ROOT / "stages" / f"{stage}.py"), *STAGES[stage][0]]
    return subprocess.Popen(command, cwd=folder, start_new_session=True)


@pytest.mark.long
def test_a_stage_that_was_killed_in_the_middle_comes_to_the_same_bytes(tmp_path):
    """SIGKILL each stage when it has made its first result, and run it again."""
    write_simulated_dataset(tmp_path / "set", slides=30)
    params = {**PARAMS, "classes": {"positive": "ill"}}
    params["crop"] = {**params["crop"], "crop_px": 32}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    store, kept = tmp_path / ".images", tmp_path / "kept"
    store.mkdir()
    for stage, (_, outputs) in STAGES.items():
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(store, kept)
        assert start(tmp_path, stage).wait() == 0
        whole = written(tmp_path)
        results = len(list(store.glob("*.image"))) - len(list(kept.glob("*.image")))
        assert results >= 30, stage
        for name in outputs:
            path = tmp_path / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.rmtree(store)
        shutil.copytree(kept, store)
        before = len(list(store.iterdir()))
        process = start(tmp_path, stage)
        while len(list(store.iterdir())) < before + 3:
            assert process.poll() is None, f"{stage} ended before it could be killed"
            time.sleep(0.001)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert not (tmp_path / outputs[-1]).is_file(), stage
        assert len(list(store.glob("*.image"))) - before < results, stage
        assert start(tmp_path, stage).wait() == 0
        again = written(tmp_path)
        assert [name for name in whole if again.get(name) != whole[name]] == [], stage
