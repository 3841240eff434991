"""What is claimed of the simulator in docs/simulator.md, each on one core.

    python benchmarks/simulator.py signal          # balanced accuracy by cue and separation
    python benchmarks/simulator.py segmentation    # F1 of the segmentation, by touching share
    python benchmarks/simulator.py speed
    python benchmarks/simulator.py picture docs/simulated.png

The first two print Markdown tables. All nuclei are simulated:
`fathom.simulation.simulation.DEFAULT` but for what a table names. Features and segmentation are
those of params.yaml. The classifiers are fixed, nothing is tuned.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fathom.baselines.features import features_of
from fathom.baselines.params import Features
from fathom.ground.images import Labels
from fathom.ground.progress import track
from fathom.ground.section import read_section
from fathom.imaging.params import Segmentation
from fathom.imaging.segmentation import segment
from fathom.imaging.segmentation_score import score
from fathom.simulation.simulated_nuclei import simulate_nuclei
from fathom.simulation.simulated_slides import DEFAULT_FIELD, simulate_slides
from fathom.simulation.simulation import CUES, DEFAULT, Cue, ideal_balanced_accuracy
from fathom.statistics.row_text import decimal

PARAMS = Path(__file__).parents[1] / "params.yaml"
SEEDS = (0, 1, 2)
SEPARATIONS = (0.0, 1.5, 3.0)
FOLDS = 5  # of whole patients


def signal() -> None:
    """Print how well fixed classifiers of the features read the label, across patients."""
    print("| cue | separation | ideal | latent itself | logistic | forest |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    cases = [(cue, separation) for cue in CUES for separation in SEPARATIONS]
    for cue, separation in track(cases, "signal", len(cases)):
        runs = np.array([_readout(cue, separation, seed) for seed in SEEDS])
        ideal = ideal_balanced_accuracy(replace(DEFAULT, separation=separation))
        cells = [" ".join(map(decimal, column)) for column in runs.T]
        print(f"| {cue} | {separation} | {decimal(ideal)} | {' | '.join(cells)} |", flush=True)


def _readout(cue: Cue, separation: float, seed: int) -> list[float]:
    """Return balanced accuracies: of the sign of the latent, logistic regression, forest."""
    simulated = simulate_nuclei(replace(DEFAULT, cue=cue, separation=separation), seed)
    params = read_section(Features, PARAMS)
    features = pd.DataFrame([features_of(crop, params) for crop in simulated.crops])
    positive = simulated.table["positive"].to_numpy()
    groups = simulated.table["patient"]
    models = (
        make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)),
        RandomForestClassifier(300, min_samples_leaf=5, max_features=0.3, random_state=0),
    )
    seen = [
        cross_val_predict(model, features, positive, groups=groups, cv=GroupKFold(FOLDS))
        for model in models
    ]
    latent = simulated.table[f"latent_{cue}"] > 0
    return [float(balanced_accuracy_score(positive, guess)) for guess in (latent, *seen)]


def segmentation() -> None:
    """Print how well the segmentation of params.yaml finds the nuclei of ten slides a seed."""
    params = read_section(Segmentation, PARAMS)
    columns = ("touching share", "seed", "nuclei", "touching", "found", "split", "debris")
    columns += ("F1 .5", "mean F1 .5-.95")
    print(f"| {' | '.join(columns)} |\n|{' ---: |' * len(columns)}")
    cases = [(share, seed) for share in (0.0, 0.2, 0.5) for seed in SEEDS]
    for share, seed in track(cases, "segmentation", len(cases)):
        field = replace(DEFAULT_FIELD, touching_share=share)
        slides = list(simulate_slides(DEFAULT, field, seed))
        segmented = [segment(slide.micrograph, params) for slide in slides]
        pairs = [(found, slide.labels) for found, slide in zip(segmented, slides, strict=True)]
        scores = [score(found, truth) for found, truth in pairs]
        split, debris = np.sum([_too_many(found, truth) for found, truth in pairs], axis=0)
        true, found = sum(one.true for one in scores), sum(one.found for one in scores)
        f1 = 2 * sum(one.matched[0] for one in scores) / (true + found)
        outlines = float(np.mean([one.mean_f1_iou50_95 for one in scores]))
        touching = sum(int(slide.nuclei["touching"].sum()) for slide in slides)
        print(
            f"| {share} | {seed} | {true} | {touching} | {found} | {split} | {debris} | "
            f"{decimal(f1)} | {decimal(outlines)} |",
            flush=True,
        )


def _too_many(found: Labels, truth: Labels) -> tuple[int, int]:
    """Count the true nuclei that several found ones lie in, and the found ones that lie in none."""
    inside = [np.bincount(truth[found == n]).argmax() for n in range(1, found.max() + 1)]
    counts = np.bincount(inside)
    return int((counts[1:] > 1).sum()), int(counts[0])


def speed() -> None:
    """Print the processor's time for 1,000 crops and for ten slides of 100 nuclei."""
    started = time.process_time()
    simulate_nuclei(DEFAULT, 0)
    crops = time.process_time()
    for _ in simulate_slides(DEFAULT, DEFAULT_FIELD, 0):
        pass
    slides = time.process_time()
    print(f"1,000 crops {crops - started:.2f} s; 10 slides {slides - crops:.2f} s")


def picture(out: Path) -> None:
    """Draw nuclei by cue, separation and class; between separations it is the same nuclei."""
    mpl.rcParams["font.size"] = 9
    figure = Figure(figsize=(9.6, 3.6), dpi=100, layout="constrained")
    figure.suptitle("Simulated nuclei, not photographed ones; columns: what carries the label")
    axes = figure.subplots(len(SEPARATIONS), len(CUES))
    for row, separation in zip(axes, SEPARATIONS, strict=True):
        for axis, cue in zip(row, CUES, strict=True):
            simulated = simulate_nuclei(replace(DEFAULT, cue=cue, separation=separation), 0)
            axis.imshow(_by_class(simulated.crops[..., 0], simulated.table), cmap="gray", vmin=0)
            axis.set(xticks=[], yticks=[24, 72], yticklabels=["-", "+"])
            axis.tick_params(length=0)
            if separation == SEPARATIONS[0]:
                axis.set_title(cue, fontsize=9)
            if cue == CUES[0]:
                axis.set_ylabel(f"separation {separation:g}")
    figure.savefig(out, metadata={"Software": None})


def _by_class(crops: np.ndarray, table: pd.DataFrame, shown: int = 4) -> np.ndarray:
    """Return a negative row above a positive one, a nucleus each of the first patients."""
    rows = []
    for positive in (False, True):
        numbers = table[table["positive"] == positive].groupby("patient").head(1).index[:shown]
        rows.append(np.concatenate(list(crops[numbers]), axis=1))
    return np.concatenate(rows)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["signal"]:
            signal()
        case ["segmentation"]:
            segmentation()
        case ["speed"]:
            speed()
        case ["picture", out]:
            picture(Path(out))
        case _:
            sys.exit(__doc__)
