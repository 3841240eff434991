"""Cases with one cause planted each, and healthy ones, on simulated nuclei.

A case is a network, a recipe and a data set. What is planted is one change of a recipe that trains
the same network well on the same nuclei (`HEALTHY`); the healthy cases are that recipe with other
networks, norms, initialisations and optimisers. All nuclei are simulated (docs/simulator.md).
"""

from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from fathom.ground.section import read_section
from fathom.networks.families import cifar_family, reduced_vgg
from fathom.networks.interventions import Plan, planned
from fathom.networks.recipe import Recipe
from fathom.simulation.simulated_nuclei import SimulatedNuclei, simulate_nuclei
from fathom.simulation.simulation import DEFAULT
from fathom.study.rows import Run
from fathom.training.batches import Rows

PARAMS = Path(__file__).parents[1] / "params.yaml"
CROP_PX = 48
FOLDS = 4
PATIENTS = 12  # two of them validate in each fold


def halved(line: str) -> str:
    """Return a line whose first convolution has stride 2: a quarter of the work for the rest."""
    first, rest = line.split(" - ", 1)
    return f"{first}/2 - {rest}"


LINES = {
    "shallow": "8conv3x3 - mp2x2 - 16conv3x3 - mp2x2 - 32conv3x3 - mp2x2 - fc32 - o",
    "vgg-11": reduced_vgg("A", 8),
    "vgg-13": reduced_vgg("B", 8),
    "plain-20": halved(cifar_family(20, 8, residual=False)),
    "res-20": halved(cifar_family(20, 8, residual=True)),
    "plain-44": halved(cifar_family(44, 8, residual=False)),
    "plain-56": halved(cifar_family(56, 8, residual=False)),
    # A maximum over all of a nucleus does not tell how large it is.
    "pooled": "16conv3x3 - mp8x8 - mp6x6 - 3*(64conv3x3) - fc64 - o",
    "over-pooled": "32conv5x5 - mp4x4 - mp12x12 - 5*(32conv3x3) - fc64 - o",
}
SHALLOWER = {name: "plain-20" if name in ("plain-44", "plain-56") else "shallow" for name in LINES}

# What makes every network of `LINES` learn: set by looking at healthy cases only.
HEALTHY = {
    "initialisation": "he",
    "learning_rate": 0.001,
    "dropout": 0.2,
    "epochs": 12,
    "batch_size": 16,
    "seeds": [0],
}
NUCLEI = {"patients": PATIENTS, "nuclei_per_patient": 24, "separation": 6.0, "cue": "texture"}


@dataclass(frozen=True)
class Case:
    """One case; `cause` is None for a healthy one, else what the verdict should call it."""

    name: str
    cause: str | None
    network: str
    recipe: dict[str, object] = field(default_factory=dict)  # on top of `HEALTHY`
    nuclei: dict[str, object] = field(default_factory=dict)  # on top of `NUCLEI`
    training_nuclei: int | None = None  # so many of a fold's, both classes alike
    positives: float | None = None  # share of positive nuclei that stay in training

    def plan(self, network: str, **changes: object) -> Plan:
        """Return the plan of `network` under the case's recipe, with `changes`."""
        row = Run(
            architecture=network,
            interventions={"healthy": HEALTHY, "case": self.recipe, "changed": changes},
        )
        recipe = read_section(Recipe, PARAMS)
        return planned(row, self.name, LINES[network], recipe, CROP_PX)

    def rows(self, seed: int = 0) -> list[dict[str, Rows]]:
        """Return the rows of training and validation, fold by fold; whole patients validate."""
        table = simulated(seed, **(NUCLEI | self.nuclei)).table
        patient = pd.factorize(table["patient"])[0]
        positive = table["positive"].to_numpy(dtype=bool)
        folds = []
        for fold in range(FOLDS):
            validates = patient % (PATIENTS // 2) == fold
            train, validation = np.flatnonzero(~validates), np.flatnonzero(validates)
            folds.append({"train": self._fewer(train, positive), "validation": validation})
        return folds

    def _fewer(self, train: Rows, positive: np.ndarray) -> Rows:
        if self.training_nuclei:
            half = self.training_nuclei // 2
            chosen = [train[positive[train] == kind][:half] for kind in (False, True)]
            return np.sort(np.concatenate(chosen))
        if self.positives is not None:
            those = train[positive[train]]
            kept = those[: max(2, round(self.positives * len(those)))]
            return np.sort(np.concatenate([train[~positive[train]], kept]))
        return train


@cache
def simulated(seed: int = 0, **changes: object) -> SimulatedNuclei:
    """Return the nuclei of a case."""
    return simulate_nuclei(replace(DEFAULT, **changes), seed=seed)


NO_SIGNAL = "no signal reaches the output at initialisation"
OVERFIT = {"augmentation": False, "dropout": 0.0, "norm": "batch", "epochs": 60}
SLOW = {"learning_rate": 1.2e-5, "dropout": 0.0}
LINEAR = {"activation": "none", "norm": "batch"}
SMALL_EPS = {"optimiser": "adam", "momentum": 0.9, "alpha": 0.999, "eps": 1e-12, "epochs": 40}
STEPS = {"schedule": "step", "learning_rate": 5e-5}
SIZE = {"cue": "size"}
BYTES = {"input_scale": "byte", "optimiser": "sgd", "momentum": 0.9, "learning_rate": 0.01}
IMBALANCE = "classes out of balance"
MANY = {"nuclei_per_patient": 72}  # so that there are positive ones to learn from
CASES = (
    Case("torch-init", NO_SIGNAL, "vgg-13", {"initialisation": "torch"}),
    Case("weights x 0.1", NO_SIGNAL, "vgg-11", {"initial_scale": 0.1}),
    Case("weights x 3", "signal explodes", "vgg-13", {"initial_scale": 3.0}),
    Case("weights x 5", "signal explodes", "vgg-11", {"initial_scale": 5.0}),
    Case("rate 0.03", "learning rate too high", "vgg-13", {"learning_rate": 0.03}),
    Case("rate 0.3", "learning rate too high", "vgg-11", {"learning_rate": 0.3}),
    Case("rate 3e-6", "learning rate too low", "vgg-13", {"learning_rate": 3e-6}),
    Case("rate 1e-6", "learning rate too low", "vgg-11", {"learning_rate": 1e-6}),
    Case("12 slow epochs", "stopped too early", "vgg-13", SLOW),
    Case("12 slow epochs, vgg-11", "stopped too early", "vgg-11", SLOW),
    Case("dropout 0.9", "dropout too strong", "vgg-13", {"dropout": 0.9}),
    Case("dropout 0.95", "dropout too strong", "vgg-11", {"dropout": 0.95}),
    Case("decay 0.1", "weight decay too strong", "vgg-13", {"weight_decay": 0.1}),
    Case("decay 0.3", "weight decay too strong", "vgg-11", {"weight_decay": 0.3}),
    Case("40 nuclei", "overfitting", "vgg-13", OVERFIT, {"separation": 3.0}, training_nuclei=40),
    Case("24 nuclei", "overfitting", "vgg-11", OVERFIT, {"separation": 3.0}, training_nuclei=24),
    Case("plain-56, BN", "true degradation", "plain-56", {"norm": "batch"}),
    Case("plain-44, BN", "true degradation", "plain-44", {"norm": "batch"}),
    Case("pooled", "pooled away", "pooled", {}, SIZE),
    Case("over-pooled", "pooled away", "over-pooled", {}, SIZE),
    Case("bytes, SGD", "input scale", "vgg-13", BYTES),
    Case("bytes, SGD, vgg-11", "input scale", "vgg-11", BYTES),
    Case("6 % positive", IMBALANCE, "vgg-13", {"epochs": 6}, MANY, positives=0.06),
    Case("10 % positive", IMBALANCE, "vgg-11", {"epochs": 6}, MANY, positives=0.1),
    Case("linear", "no non-linearity", "plain-20", LINEAR),
    Case("linear, plain-44", "no non-linearity", "plain-44", LINEAR),
    Case("Glorot", "hangs on the seed", "vgg-13", {"initialisation": "glorot"}),
    Case("Glorot, vgg-11", "hangs on the seed", "vgg-11", {"initialisation": "glorot"}),
    Case("small eps", "lost its signal while training", "vgg-13", SMALL_EPS),
    Case("small eps, vgg-11", "lost its signal while training", "vgg-11", SMALL_EPS),
    Case("sigmoid", "saturating non-linearity", "vgg-13", {"activation": "sigmoid"}),
    Case("sigmoid, vgg-11", "saturating non-linearity", "vgg-11", {"activation": "sigmoid"}),
    Case("bias -1", "initial bias", "vgg-13", {"initial_bias": -1.0}),
    Case("bias -1, vgg-11", "initial bias", "vgg-11", {"initial_bias": -1.0}),
    Case("batch 2, BN", "batch too small", "vgg-13", {"batch_size": 2, "norm": "batch"}),
    Case("batch 2, BN, vgg-11", "batch too small", "vgg-11", {"batch_size": 2, "norm": "batch"}),
    Case("steps", "schedule ran out", "vgg-13", SLOW | STEPS),
    Case("steps, vgg-11", "schedule ran out", "vgg-11", SLOW | STEPS),
    Case("no difference", "nothing to learn", "vgg-13", {}, {"separation": 0.0}),
    Case("no difference, BN", "nothing to learn", "vgg-11", {"norm": "batch"}, {"separation": 0.0}),
    Case("vgg-13", None, "vgg-13"),
    Case("vgg-11", None, "vgg-11"),
    Case("vgg-13, BN", None, "vgg-13", {"norm": "batch"}),
    Case("vgg-11, Glorot + BN", None, "vgg-11", {"initialisation": "glorot", "norm": "batch"}),
    Case("vgg-13, Adam", None, "vgg-13", {"optimiser": "adam", "momentum": 0.9, "alpha": 0.999}),
    Case("vgg-13, LSUV", None, "vgg-13", {"initialisation": "lsuv"}),
    Case("res-20, BN", None, "res-20", {"norm": "batch"}),
    Case("vgg-11, chromocentres", None, "vgg-11", {}, {"cue": "chromocentres"}),
)
