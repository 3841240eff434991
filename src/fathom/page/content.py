"""All that the page is written from, read from small files; what is not there is said.

These are the committed folders of a study (metrics, plots, verdicts, and what `gather` wrote), and
params.yaml. None of the pipeline's data is read, so that a clone writes the same page.
"""

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from fathom.controls.catalogue import ALL, reference_of
from fathom.ground.errors import FathomError
from fathom.ground.section import PARAMS_FILE, value_at
from fathom.models.best_run import best_run
from fathom.page import files
from fathom.reports.control_sentences import SCORE
from fathom.study.rows import Run, baseline_name, names_in_order, read_controls, read_runs

Numbers = Mapping[str, float]

# What the page shows of params.yaml, or needs to say what it shows.
SECTIONS = (
    "dataset", "new_slides", "numerics", "classes", "segmentation", "crop", "audit", "split",
    "abstention", "recipe", "architectures", "runs", "controls", "shortcuts", "comparison",
    "texture", "diagnosis", "package",
)  # fmt: skip

# The files of each folder, and what the page lacks without them.
METRICS = {
    "audit.json": "what the audit found",
    "controls.json": "what can be told without a network, from the outline or the background",
    "crop.json": "what became of all nuclei and annotations",
    "diagnosis.json": "how many networks left the plateau",
    "new_slides.json": "how well new slides are told",
    "segmentation.json": "how well nuclei are found",
    "texture.json": "the smallest planted change of texture that each network found",
}
PLOTS = {
    "curves.csv": "mean error by epoch",
    "depth.csv": "error by depth",
    "roc.csv": "ROC curves",
    "confusion.csv": "which nuclei are called what",
}
TABLES = {
    files.NETWORKS: "which network left the plateau",
    files.CURVES: "curves of each network",
    files.LAYERS: "the signal by layer",
    files.CALIBRATION: "calibration",
    files.CROPS: "crops",
    files.SUREST: "surest hits and misses",
}


@dataclass
class Content:
    """A study as its small files have it; use `read_content`."""

    params: dict[str, Any]
    results: dict[str, dict[str, float]]  # of everyone that was compared, in order
    metrics: dict[str, dict[str, float]]  # by file name; only those that are there
    plots: dict[str, pd.DataFrame]
    verdicts: dict[str, dict[str, Any]]
    rows: pd.DataFrame | None  # verdicts/rows.csv
    tables: dict[str, pd.DataFrame]
    study: dict[str, Any]
    pictures: dict[str, Any]
    images: dict[str, str]  # data URIs by file name
    metrics_folder: Path
    runs: dict[str, Run]
    control_runs: dict[str, Run]
    absent: list[str] = field(default_factory=list)

    @property
    def first(self) -> str:
        """The run that the others are compared with."""
        return next(iter(self.runs))

    @property
    def baseline(self) -> str:
        """The classifier that the networks are compared with."""
        return baseline_name(self.params["comparison"]["baseline"])

    @cached_property
    def networks(self) -> list[str]:
        """The runs that were compared."""
        return [name for name in self.results if name in self.runs]

    @cached_property
    def everyone(self) -> list[str]:
        """All that can be followed: runs, classifiers, then what the ladders added."""
        names = list(names_in_order(self.runs))
        for source in (self.tables.get(files.NETWORKS), self.rows):
            if source is not None:
                column = "run" if "run" in source else "row"
                names += [name for name in dict.fromkeys(source[column]) if name not in names]
        return names

    def place(self, name: str) -> int | None:
        """Return the place of a run among everyone, which gives its colour; None: it has none."""
        return self.everyone.index(name) if name in self.everyone else None

    @cached_property
    def best(self) -> str | None:
        """The network that validation chooses, or None where none can be used."""
        try:
            return best_run(self.metrics_folder / "runs", self.networks)
        except FathomError:
            return None

    @cached_property
    def left(self) -> dict[str, tuple[int, int]]:
        """Of each row, how many networks left the plateau, of how many."""
        if self.rows is None:
            return {}
        counts = zip(self.rows["left"].tolist(), self.rows["networks"].tolist(), strict=True)
        return dict(zip(self.rows["row"], counts, strict=True))

    @cached_property
    def ladder_rows(self) -> dict[str, dict[str, float]]:
        """The numbers of the rows that ladders added and that were tested, in their order.

        layers, epochs, networks, left, training_accuracy, validation_balanced_accuracy,
        balanced_accuracy and its interval as balanced_accuracy_low and _high.
        """
        if self.rows is None:
            return {}
        ends = {"low": f"{SCORE}_low", "high": f"{SCORE}_high"}
        tested = self.rows[self.rows[SCORE].notna()].set_index("row").rename(columns=ends)
        return {
            str(name): {str(column): float(value) for column, value in row.items()}
            for name, row in tested.iterrows()
            if name not in self.results
        }

    def tested(self, name: str) -> int:
        """Return how many networks of a row its accuracy on held-out nuclei is of.

        Of a seed whose networks were not all to be trained to the end, none is scored
        (`fathom.diagnosis.diagnosis.read_evidence`).
        """
        if self.rows is None or name not in self.left:
            return self.left.get(name, (0, 0))[1]
        place = self.rows["row"].tolist().index(name)
        return int(self.rows["tested"].tolist()[place])

    @property
    def confidence(self) -> float:
        """Of the intervals of accuracies and differences, such as .95."""
        return float(self.params["comparison"]["confidence"])

    def patients(self, count: int) -> str:
        """Return so many patients in words: what stands in that column may be an acquisition."""
        said = f"{count} patient{'s' * (count != 1)}"
        if self.params["shortcuts"]["acquisition"] == "patient":
            return f"{said} or acquisition{'s' * (count != 1)}"
        return said

    @property
    def group(self) -> str:
        """What is kept whole in the splits: image, slide or patient."""
        return str(self.params["split"]["group"])

    def control_reference(self, control: str) -> str:
        """Return who sees all that a control lacks."""
        baseline = self.params["comparison"]["baseline"]
        return reference_of(control, self.control_runs, self.runs, baseline)

    @property
    def controls(self) -> list[str]:
        """The controls that were scored."""
        return [name for name in ALL if f"{name}.{SCORE}" in self.control_numbers]

    @property
    def control_numbers(self) -> Numbers:
        """The metrics of the controls, none where they were not scored."""
        return self.metrics.get("controls.json", {})


def read_content(metrics: Path, plots: Path, verdicts: Path, tables: Path) -> Content:
    """Read a study's small files; `absent` says of each that is not there what the page lacks.

    Raises `FathomError` where nothing was compared yet.
    """
    params = _params()
    runs = read_runs()
    absent: list[str] = []
    results = {
        name: _json(metrics / "runs" / f"{name}.json")
        for name in names_in_order(runs)
        if (metrics / "runs" / f"{name}.json").is_file()
    }
    if not results:
        raise FathomError(f"{metrics / 'runs'} has no results yet: run 'make repro' first")
    if missing := [name for name in names_in_order(runs) if name not in results]:
        absent.append(f"the results of {', '.join(missing)} (metrics/runs/)")
    pictures = _json_or_none(tables / files.PICTURES, "micrographs", absent)
    rows = verdicts / "rows.csv"
    return Content(
        params=params,
        results=results,
        metrics={
            name: found
            for name, what in METRICS.items()
            if (found := _json_or_none(metrics / name, what, absent))
        },
        plots=_csvs(plots, PLOTS, absent),
        verdicts=_json_or_none(verdicts / "verdicts.json", "why a network fails", absent),
        rows=pd.read_csv(rows) if rows.is_file() else None,
        tables=_csvs(tables, TABLES, absent),
        study=_json_or_none(tables / files.STUDY, "counts, hashes and versions", absent),
        pictures=pictures,
        images={path.name: _data_uri(path.read_bytes()) for path in sorted(tables.glob("*.webp"))},
        metrics_folder=metrics,
        runs=runs,
        control_runs=read_controls(),
        absent=absent,
    )


def _params() -> dict[str, Any]:
    """Return the sections of params.yaml that the page shows, read once: parsing it takes long."""
    whole = value_at(PARAMS_FILE)
    there = whole if isinstance(whole, dict) else {}
    if missing := [key for key in SECTIONS if key not in there]:
        raise FathomError(
            f"{PARAMS_FILE}: '{missing[0]}' is missing; there is only: {', '.join(map(str, there))}"
        )
    return {key: there[key] for key in SECTIONS}


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _json_or_none(path: Path, what: str, absent: list[str]) -> dict[str, Any]:
    if path.is_file():
        return _json(path)
    absent.append(f"{what} ({path.as_posix()})")
    return {}


def _csvs(folder: Path, files: Mapping[str, str], absent: list[str]) -> dict[str, pd.DataFrame]:
    found = {}
    for name, what in files.items():
        path = folder / name
        if path.is_file():
            found[name] = pd.read_csv(path, keep_default_na=True)
        else:
            absent.append(f"{what} ({path.as_posix()})")
    return found


def _data_uri(content: bytes) -> str:
    return f"data:image/webp;base64,{b64encode(content).decode('ascii')}"
