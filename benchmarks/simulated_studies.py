"""Studies with patients who differ, and a truth that is known: no images, scores alone.

A nucleus' score is its class, times how well the network and the patient go together, plus what
shifts all scores of the patient, plus noise of the nucleus; at 0 and above it is called positive.
What is hard for one network is mostly hard for the others: patients' effects and half of the
nuclei's noise are shared, and to each patient every network has an effect of its own. Another
seed of a network moves it as a whole, and by patient.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from sklearn.metrics import roc_auc_score

from fathom.statistics.metrics import balanced_accuracy, counts_by_group


@dataclass(frozen=True)
class World:
    """What patients, nuclei and seeds are like; effects are SD on the logit scale."""

    separation: float = 1.4  # of the classes, in the scale of the logistic noise
    shift: float = 0.4  # by patient: all scores up or down
    difficulty: float = 0.3  # by patient: classes further apart or closer
    interaction: float = 0.25  # by patient and network: of shift and of difficulty
    seed: float = 0.15  # by network and seed: of difficulty
    seed_interaction: float = 0.15  # by patient, network and seed
    shared_noise: float = 0.6  # of a nucleus' variance, the part that all networks see
    nuclei: float = 50  # a patient, on average
    nuclei_cv: float = 0.6  # their coefficient of variation
    class_share: float = 3.0  # the smaller parameter of the beta distribution of the positive share
    positive_odds: float = 1.0  # the ratio of its parameters, at most 1


@dataclass(frozen=True)
class Simulated:
    """One study."""

    positive: np.ndarray  # (n,) bool
    group: np.ndarray  # (n,) int64, the patient
    patients: int
    scores: np.ndarray  # (networks, seeds, n) float64

    def counts(self, network, seed=0):
        """Return the decisions by patient: (patients, 4)."""
        called = (self.scores[network, seed] >= 0).astype(float)
        return counts_by_group(called, self.positive, self.group, self.patients)


def simulate(rng, world, patients, advantages, seeds=1):
    """Return a study of networks whose separation is the world's plus each one's advantage.

    A patient without nuclei of either class can occur, a study without a class cannot.
    """
    sigma = np.sqrt(np.log1p(world.nuclei_cv**2))
    sizes = world.nuclei * np.exp(rng.normal(-(sigma**2) / 2, sigma, patients))
    group = np.repeat(np.arange(patients), np.maximum(4, np.round(sizes)).astype(int))
    share = rng.beta(world.class_share, world.class_share / world.positive_odds, patients)
    positive = rng.random(len(group)) < share[group]
    if positive.all() or not positive.any():
        return simulate(rng, world, patients, advantages, seeds)
    sign = np.where(positive, 0.5, -0.5)
    shift = rng.normal(0, world.shift, patients)
    difficulty = rng.normal(0, world.difficulty, patients)
    shared = np.sqrt(world.shared_noise) * rng.logistic(size=len(group))
    own_noise = np.sqrt((1 - world.shared_noise) / 2)
    scores = np.empty((len(advantages), seeds, len(group)))
    for network, advantage in enumerate(advantages):
        moved = shift + rng.normal(0, world.interaction, patients)
        apart = world.separation + advantage + 2 * difficulty
        apart = apart + 2 * rng.normal(0, world.interaction, patients)
        noise = shared + own_noise * rng.logistic(size=len(group))
        for seed in range(seeds):
            luck = rng.normal(0, world.seed) + rng.normal(0, world.seed_interaction, patients)
            luck = luck if seeds > 1 else np.zeros(patients)
            own = own_noise * rng.logistic(size=len(group))
            scores[network, seed] = sign * (apart + 2 * luck)[group] + moved[group] + noise + own
    return Simulated(positive, group, patients, scores)


@cache
def truth(world, advantages, *, lucky, patients=100_000):
    """Return balanced accuracy and AUROC of each network over all patients and, if lucky, seeds.

    With seeds, another one is drawn with every thousand patients.
    """
    rng = np.random.default_rng(2**32)
    counts, areas = np.zeros((len(advantages), 4)), np.zeros(len(advantages))
    parts = patients // 1000
    for _ in range(parts):
        study = simulate(rng, world, 1000, advantages, seeds=2 if lucky else 1)
        for network in range(len(advantages)):
            counts[network] += study.counts(network).sum(axis=0)
            areas[network] += roc_auc_score(study.positive, study.scores[network, 0]) / parts
    return balanced_accuracy(counts), areas
