"""What several test modules share: nuclei and data sets made on the spot."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from hypothesis import settings
from scipy import ndimage

from fathom.ground.workers import Child
from fathom.study.nuclei import Nuclei

# Workers of pytest have the cores already: a pool in each would only load torch more often.
os.environ.setdefault("LOKY_MAX_CPU_COUNT", "1")

# How long an example takes hangs on what else the machine does. The examples are the same in every
# run: what a draw finds is no accident of one machine (benchmarks/hostile_input.py draws anew).
settings.register_profile("fathom", deadline=None, derandomize=True)
settings.load_profile("fathom")


@pytest.fixture(autouse=True)
def _end_as_before() -> Iterator[None]:
    """What `heed_termination` sets in a command that a test calls in its own process goes away."""
    handlers = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}
    hook = sys.unraisablehook
    yield
    for one, handler in handlers.items():
        signal.signal(one, handler)
    sys.unraisablehook = hook


# The files that take longest, the longest first. `make test-fast` leaves them out.
LONGEST = (
    "test_pipeline",
    "test_page_browser",
    "test_predict_bad_input",
    "test_dataset",
    "test_scorer",
    "test_page",
    "test_pool",
    "test_export",
    "test_tables",
    "test_predict",
    "test_incremental",
    "test_trained_rows",
    "test_new_slides",
    "test_simulated_nuclei",
    "test_audit",
    "test_control_classifiers",
    "test_stages",
    "test_stream",
    "test_planted_cases",
    "test_segmentation",
    "test_layouts",
    "test_arrays",
    "test_identity",
    "test_slide_process",
    "test_division",
    "test_workers",
    "test_package",
    "test_output_folder",
    "test_image_checks",
    "test_own_data",
    "test_baseline",
    "test_plots",
    "test_diagnosis",
    "test_comparison",
    "test_folds",
    "test_architecture_cost",
    "test_near_duplicates",
    "test_crop_dataset",
    "test_remote",
    "test_aperio_slide",
    "test_slide_files",
    "test_interruption",
    "test_store",
    "test_recovery",
    "test_arrange",
    "test_slides_files",
    "test_slides",
    "test_effects",
    "test_simulated_slides",
    "test_certificate",
    "test_refusals",
    "test_slides_damaged",
    "test_find_nuclei",
    "test_overlay",
    "test_external_validation",
    "test_slides_tissue",
    "test_network",
    "test_rewrite",
    "test_hostile_input",
    "test_metrics",
    "test_verdict",
    "test_changes",
    "test_micronuclei",
    "test_cluster",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the longest files, and begin with them: on two cores all others are done beside them."""
    there = {path.stem for path in Path(__file__).parent.rglob("test_*.py")}
    if absent := [name for name in LONGEST if name not in there]:
        raise pytest.UsageError(f"{__file__}: LONGEST names files that are not there: {absent}")
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))
    for item in items:
        if item.path.stem in place:
            item.add_marker("slow")


@pytest.fixture(scope="session")
def reader() -> Iterator[Child]:
    """The process that scores slides apart, one for all tests: each call starts its own in 2 s."""
    child = Child()
    yield child
    child.end()


@pytest.fixture
def one_reader(reader: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    """Score all slides of several in `reader`."""
    monkeypatch.setattr(
        "fathom.scoring.scorer.outcomes",
        lambda tasks, at_once: ((number, reader.run(task)) for number, task in enumerate(tasks)),
    )


def nuclei_of(groups: list[str], positive: list[bool]) -> Nuclei:
    """Return a table of nuclei, one a list entry, without crops."""
    n = len(groups)
    table = pd.DataFrame(
        {
            "nucleus": [f"images/{group}.tif#{i}" for i, group in enumerate(groups)],
            "image": [f"images/{group}.tif" for group in groups],
            "slide": groups,
            "patient": groups,
            "label": np.where(positive, "ill", "well"),
            "positive": positive,
            "left_out": [""] * n,
        }
    )
    return Nuclei(Path("nowhere"), table, table)


def draw_field(seed: int, nuclei: int = 12, side: int = 160) -> tuple[np.ndarray, pd.DataFrame]:
    """Return a simulated (side, side) uint16 field and its annotations (x, y, label).

    Discs on a dark, noisy background, each with a texture of its own; the `ill` half carries a
    bright spot each, so that the label can be learned from the crop.
    """
    rng = np.random.default_rng(seed)
    texture = ndimage.gaussian_filter(rng.standard_normal((side, side)), 1.5)
    texture *= 250 / texture.std()
    rows, columns = np.mgrid[:side, :side]
    field = rng.normal(300, 15, (side, side))
    step = side // 4
    spots = [(r, c) for r in range(step // 2, side, step) for c in range(step // 2, side, step)]
    annotations = []
    for number, spot in enumerate(rng.permutation(len(spots))[:nuclei]):
        y, x = np.add(spots[spot], rng.integers(-2, 3, 2))
        radius = rng.uniform(9, 12)
        inside = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
        field[inside] += 1500 + texture[inside] + rng.normal(0, 60, inside.sum())
        if ill := number % 2 == 0:
            angle = rng.uniform(0, 2 * np.pi)
            dy, dx = radius / 2 * np.sin(angle), radius / 2 * np.cos(angle)
            spot_inside = (rows - y - dy) ** 2 + (columns - x - dx) ** 2 < 9
            field[spot_inside] += 2500
        annotations.append({"x": x + 0.5, "y": y + 0.5, "label": "ill" if ill else "well"})
    return np.clip(field, 0, 65535).astype(np.uint16), pd.DataFrame(annotations)


def write_simulated_dataset(folder: Path, slides: int = 8, nuclei: int = 12) -> None:
    """Write a data set of one simulated field a slide; two slides a patient."""
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for number in range(slides):
        name = f"images/field{number:02d}.tif"
        field, points = draw_field(number, nuclei)
        tifffile.imwrite(folder / name, field)
        images.append({"image": name, "slide": f"s{number}", "patient": f"p{number // 2}"})
        annotations.append(points.assign(image=name)[["image", "x", "y", "label"]])
    pd.DataFrame(images).to_csv(folder / "images.csv", index=False)
    pd.concat(annotations).to_csv(folder / "annotations.csv", index=False)


@pytest.fixture(scope="session")
def simulated_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a simulated data set; read it, do not change it."""
    folder = tmp_path_factory.mktemp("simulated") / "dataset"
    write_simulated_dataset(folder)
    return folder
