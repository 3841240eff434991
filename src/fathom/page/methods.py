"""How a study was made: the params that matter, hashes, versions, commands, and what to cite."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from fathom.page.content import Content
from fathom.statistics.row_text import with_interval
from fathom.study.rows import short

# Sections of params.yaml that decide numbers of the page, in the order of the pipeline.
SECTIONS = ("dataset", "new_slides", "numerics", "classes", "segmentation", "crop", "audit",
            "split", "recipe", "architectures", "runs", "controls", "shortcuts", "comparison",
            "diagnosis", "texture", "abstention")  # fmt: skip

FOUND = {
    "threshold": "Nuclei were found by a local threshold ({stain})",
    "masks": "Nuclei were taken from label images",
    "onnx": "Nuclei were found by a segmentation network ({stain})",
}
SCALED = {
    "none": "scaled by the images' bit depth",
    "slide": "scaled to 0 to 255 within each slide",
    "nucleus": "scaled to 0 to 255 within each nucleus",
}
KEPT = {"best": "the epoch with the lowest validation loss", "last": "the last epoch"}

COMMANDS = (
    ("make repro", "computes everything on this page, and trains nothing twice"),
    ("fathom report", "writes this page from the committed tables"),
    ("fathom table", "prints the comparison"),
    ("fathom why", "prints the verdicts with all their numbers"),
    ("dvc metrics diff main", "compares with another branch"),
    ("fathom verify", "says whether this machine computed the committed bits"),
)


def flat_params(content: Content) -> Iterator[tuple[str, str]]:
    """Yield every key of the sections that matter, with its value.

    Of the architectures, those that a run has.
    """
    used = {run.architecture for run in content.runs.values()}
    for section in SECTIONS:
        value = content.params.get(section)
        if section == "architectures" and isinstance(value, dict):
            value = {name: line for name, line in value.items() if name in used}
        yield from _flat(section, value)


def _flat(key: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, one in value.items():
            yield from _flat(f"{key}.{name}", one)
    else:
        yield key, "none" if value in ({}, None) else str(value)


def hashes(content: Content) -> Iterator[tuple[str, str]]:
    """Yield the SHA-256 of what the numbers come from."""
    for name, value in content.study.get("sha256", {}).items():
        if isinstance(value, Mapping):
            yield from ((f"{name} of {short(run)}", digest) for run, digest in value.items())
        else:
            yield name, value
    shown = "\n".join(f"{key}: {value}" for key, value in flat_params(content))
    yield "params shown here", hashlib.sha256(shown.encode("utf-8")).hexdigest()


def methods_paragraph(content: Content) -> str:
    """Return the methods as a paragraph for a paper, filled in from params and data."""
    parts = (_nuclei, _division, _training, _measures, _versions)
    return " ".join(filter(None, (part(content) for part in parts)))


def _nuclei(content: Content) -> str:
    params, study = content.params, content.study
    stain, crop = params["segmentation"]["stain"], params["crop"]
    found = FOUND[params["segmentation"]["method"]].format(stain=stain)
    numbers = next(iter(content.results.values()))
    held = f"The study holds {numbers['nuclei']:,.0f} nuclei"
    if study:
        classes, negative = study["classes"], study["nuclei"] - study["positive"]
        held += (
            f", {study['positive']:,} of them {classes['positive']} and {negative:,} "
            f"{classes['negative']}, from {study['images']} images of {study['slides']} slides and "
            f"{study['patients']} patients or acquisitions"
        )
    return (
        f"{found}, cut out as squares of {crop['crop_px']} px with the background set to 0, and "
        f"{SCALED[crop['normalisation']]}. {held}."
    )


def _division(content: Content) -> str:
    split = content.params["split"]
    return (
        f"They were divided into {split['folds']} folds that keep each {split['group']} whole; of "
        f"those that were not tested, {100 * split['validation_share']:g} % were set aside for "
        "validation. Both classes were balanced in training and validation."
    )


def _training(content: Content) -> str:
    recipe = content.params["recipe"]
    seeds = len(recipe["seeds"])
    runs = [
        f"{name} ({' with '.join([of.architecture, *of.interventions])})"
        for name, of in content.runs.items()
    ]
    return (
        f"{len(runs)} network{'s' * (len(runs) != 1)} were trained: {', '.join(runs)}. Where an "
        f"intervention says no other, the recipe was {recipe['epochs']} epochs with "
        f"{recipe['optimiser']} (learning rate {recipe['learning_rate']:g}, batch size "
        f"{recipe['batch_size']}), {recipe['initialisation']} initialisation and dropout "
        f"{recipe['dropout']:g}, from {seeds} seed{'s' * (seeds != 1)}; "
        f"{KEPT[recipe['weights']]} was kept."
    )


def _measures(content: Content) -> str:
    numbers = next(iter(content.results.values()))
    reached = [
        f"{short(name)} {with_interval(of, 'balanced_accuracy')}"
        for name, of in content.results.items()
    ]
    return (
        "Balanced accuracy was measured on held-out nuclei at a threshold chosen on validation "
        f"nuclei, with {100 * numbers['confidence']:g} % intervals over {numbers['groups']:.0f} "
        f"{content.group}s; differences are paired, and claimed after Holm's correction. It was: "
        f"{', '.join(reached)}."
    )


def _versions(content: Content) -> str:
    versions = content.study.get("versions")
    if not versions:
        return ""
    return (
        f"fathom {versions['fathom']} was used, with PyTorch {versions['torch']} and scikit-learn "
        f"{versions['scikit-learn']}."
    )


def bibtex(content: Content) -> str:
    """Return what to cite: fathom itself, the data and the papers that params name."""
    version = content.study.get("versions", {}).get("fathom", "")
    package: Mapping[str, Any] = content.params["package"]
    entries = [
        _entry("fathom", {
            "title": "fathom: how deep should a network be for your nuclei?",
            "author": "{The fathom developers}",
            "note": f"Version {version}" if version else "",
        }),
        *(_entry(f"cited{number}", {
            "title": cited["text"], "doi": cited.get("doi", ""), "url": cited.get("url", "")
        }) for number, cited in enumerate(package["citations"], start=1)),
        _entry("he2016residual", {
            "title": "Deep residual learning for image recognition",
            "author": "He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian",
            "year": "2016", "doi": "10.1109/CVPR.2016.90",
        }),
        _entry("glorot2010difficulty", {
            "title": "Understanding the difficulty of training deep feedforward neural networks",
            "author": "Glorot, Xavier and Bengio, Yoshua",
            "year": "2010", "url": "https://proceedings.mlr.press/v9/glorot10a.html",
        }),
    ]  # fmt: skip
    return "\n\n".join(entries)


def _entry(key: str, fields: Mapping[str, str]) -> str:
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value)
    return f"@misc{{{key},\n{lines}\n}}"
