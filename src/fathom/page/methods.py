"""How a study was made: the params that matter, hashes, versions, commands, a paragraph."""

import hashlib
from collections.abc import Iterator, Mapping

from fathom.controls.catalogue import CONTROLS, LABEL_PIXELS, NETWORK_CONTROLS
from fathom.diagnosis.looks import LOOKS
from fathom.page.content import Content
from fathom.reports.texture_sentences import in_sd, listed
from fathom.statistics.row_text import decimal, with_interval
from fathom.study.rows import is_classifier, short
from fathom.texture.found import sought_of

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
    parts = (_nuclei, _division, _training, _ladders, _controls, _texture, _measures, _versions)
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
            f"{content.patients(study['patients'])}"
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
        f"{KEPT[recipe['weights']]} was kept.{_classifiers(content)}"
    )


def _classifiers(content: Content) -> str:
    there = [short(name) for name in content.results if is_classifier(name)]
    if not there:
        return ""
    return (
        f" Beside them stood {listed(there)} on measured features, with the hyperparameters that "
        "did best on validation nuclei."
    )


def _ladders(content: Content) -> str:
    """Say how causes were looked for: who was diagnosed, what was tried, by which tests."""
    if not content.verdicts:
        return ""
    limits = content.params["diagnosis"]
    spent = sum(verdict["ladder"]["spent"] for verdict in content.verdicts.values())
    changes = [
        rung["name"].removeprefix(f"{network}-")
        for network, verdict in content.verdicts.items()
        for rung in verdict["rungs"]
    ]
    said = f"Why {listed(list(content.verdicts))} fails was asked by changing one thing at a time"
    if changes:
        said += f": {listed(list(dict.fromkeys(changes)))}"
    looks = listed([str(look.networks) for look in LOOKS])
    alpha = decimal(sum(look.alpha for look in LOOKS), 2)
    said += (
        f". This took {spent} more networks, of a budget of {limits['budget']} for each that was "
        f"asked about."
    )
    if any(of["outcome"] == "leaving the plateau" for of in content.verdicts.values()):
        said += (
            f" Changes were compared with the network at {looks} networks each by the share that "
            "left the plateau of guessing, with one-sided exact tests (Fisher) at a level of "
            f"{alpha} for all looks and changes together"
        )
        said += f"; shares have exact {100 * limits['confidence']:g} % intervals."
    return said


def _controls(content: Content) -> str:
    """Say what was learned from where the label should not be, by whom."""
    networks = [name for name in content.controls if name in NETWORK_CONTROLS]
    classifiers = [
        name for name in content.controls if name not in (*NETWORK_CONTROLS, LABEL_PIXELS)
    ]
    parts = []
    if networks:
        lines = list(dict.fromkeys(content.control_runs[name].architecture for name in networks))
        shown = listed([CONTROLS[name].shown for name in networks])
        parts.append(f"{listed(lines)} was trained on {shown}")
    if classifiers:
        shown = listed([CONTROLS[name].shown for name in classifiers])
        parts.append(f"classifiers were fitted to {shown}")
    said = f"As controls, {'; '.join(parts)}." if parts else ""
    if LABEL_PIXELS in content.controls:
        least = content.params["shortcuts"]["least_label_px"]
        said += (
            f" Scores were also taken without the nuclei whose crops show {least} px or more of "
            "what the label is about."
        )
    return said.strip()


def _texture(content: Content) -> str:
    """Say which change of the texture was planted to see who would find one."""
    if "texture.json" not in content.metrics:
        return ""
    planted, control = content.params["texture"], content.metrics["texture.json"]
    networks = list(dict.fromkeys(one.network for one in sought_of(control)))
    strengths = listed([in_sd(strength) for strength in planted["strengths"]])
    return (
        f"As a positive control, a pattern of {planted['wavelength_px']:g} px was planted into the "
        f"texture of nuclei with labels drawn at random, by {strengths} of a nucleus; "
        f"{listed(networks)} were trained to find it."
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
