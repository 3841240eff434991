import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from fathom.ground.errors import FathomError
from fathom.simulation.simulation import (
    CUES,
    DEFAULT,
    LATENTS,
    draw_patients,
    ideal_balanced_accuracy,
    identity_table,
    intraclass_correlation,
    latents,
)


def intraclass_of(values, groups):
    """Return the intra-class correlation by one-way analysis of variance (Fisher 1925)."""
    values = np.asarray(values, dtype=float).reshape(groups, -1)
    size = values.shape[1]
    between = size * values.mean(axis=1).var(ddof=1)
    within = values.var(axis=1, ddof=1).mean()
    return (between - within) / (between + (size - 1) * within)


def drawn_latents(simulation, seed=0):
    """Return z and the class of all nuclei, e drawn here."""
    rng = np.random.default_rng(seed)
    patients = draw_patients(simulation, seed)
    shifts = np.repeat([p.shifts for p in patients], simulation.nuclei_per_patient, axis=0)
    positive = np.concatenate([p.positive for p in patients])
    return latents(simulation, shifts, positive, rng.standard_normal(shifts.shape)), positive


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("patients", 0),
        ("patients", 2.0),
        ("patients", True),
        ("nuclei_per_patient", -1),
        ("crop_px", 8),
        ("cue", "colour"),
        ("separation", -1),
        ("separation", float("nan")),
        ("patient_effect", float("inf")),
        ("nuisance", "much"),
        ("positive_share", 1.1),
        ("label_clustering", -0.1),
        ("illumination", 2),
        ("noise", -0.01),
    ],
)
def test_a_field_without_meaning_is_refused_by_name(field, value):
    with pytest.raises(FathomError, match=rf"simulation: {field} = "):
        replace(DEFAULT, **{field: value})


def test_a_negative_seed_is_refused():
    with pytest.raises(FathomError, match="seed = -1"):
        draw_patients(DEFAULT, -1)


@pytest.mark.parametrize("cue", CUES)
def test_the_separation_is_the_distance_of_the_classes_in_standard_deviations(cue):
    simulation = replace(
        DEFAULT, cue=cue, separation=1.5, patients=1, nuclei_per_patient=20_000, nuisance=0.5
    )
    z, positive = drawn_latents(simulation)
    distance = z[positive].mean(axis=0) - z[~positive].mean(axis=0)
    spread = z[positive].std(axis=0)
    for number, name in enumerate(LATENTS):
        assert distance[number] == pytest.approx(1.5 if name == cue else 0, abs=0.06), name
        assert spread[number] == pytest.approx(1 if name == cue else 0.5, rel=0.03), name


@pytest.mark.parametrize("effect", [0.0, 0.5, 2.0])
def test_nuclei_of_a_patient_correlate_as_the_patient_effect_says(effect):
    simulation = replace(
        DEFAULT, separation=0.0, patients=2000, nuclei_per_patient=10, patient_effect=effect
    )
    z, _ = drawn_latents(simulation)
    for number in range(len(LATENTS)):
        measured = intraclass_of(z[:, number], simulation.patients)
        assert measured == pytest.approx(intraclass_correlation(simulation), abs=0.03)


@pytest.mark.parametrize(("separation", "effect"), [(0, 0), (1, 0), (3, 0.3), (2, 1)])
def test_the_ideal_observer_does_as_well_as_the_latent_allows(separation, effect):
    simulation = replace(
        DEFAULT,
        separation=separation,
        patient_effect=effect,
        patients=4000,
        nuclei_per_patient=10,
    )
    z, positive = drawn_latents(simulation)
    cue = z[:, LATENTS.index(simulation.cue)]
    seen = ((cue > 0)[positive].mean() + (cue <= 0)[~positive].mean()) / 2
    assert ideal_balanced_accuracy(simulation) == pytest.approx(seen, abs=0.01)
    known = ideal_balanced_accuracy(simulation, patient_known=True)
    assert known == pytest.approx(stats.norm.cdf(separation / 2))


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5])
def test_every_patient_has_the_share_of_positive_nuclei(share):
    for patient in draw_patients(replace(DEFAULT, positive_share=share), 0):
        assert abs(patient.positive.sum() - 100 * share) <= 1


@pytest.mark.parametrize("clustering", [0.1, 0.4, 1.0])
def test_labels_cluster_in_patients_as_asked(clustering):
    simulation = replace(DEFAULT, patients=1000, positive_share=0.3, label_clustering=clustering)
    positive = np.array([patient.positive for patient in draw_patients(simulation, 0)])
    assert positive.mean() == pytest.approx(0.3, abs=0.01)
    # Systematic sampling fixes the count within a patient: the variance of shares is that of beta.
    shares = positive.mean(axis=1)
    assert shares.var() == pytest.approx(clustering * 0.3 * 0.7, rel=0.05)


def test_few_patients_of_one_class_each_are_balanced():
    simulation = replace(DEFAULT, patients=8, label_clustering=1.0)
    for seed in range(20):
        kinds = [set(patient.positive.tolist()) for patient in draw_patients(simulation, seed)]
        assert all(len(kind) == 1 for kind in kinds)
        assert 3 <= kinds.count({True}) <= 5


def test_more_patients_and_nuclei_leave_those_that_are_there():
    few = replace(DEFAULT, patients=3, nuclei_per_patient=20, label_clustering=0.3)
    many = replace(few, patients=5, nuclei_per_patient=50)
    for one, other in itertools.zip_longest(draw_patients(few, 7), draw_patients(many, 7)[:3]):
        assert one.name == other.name
        assert one.gain == other.gain
        assert one.shifts.tolist() == other.shifts.tolist()
        assert one.positive.tolist() == other.positive[:20].tolist()


def test_nuclei_go_to_the_slides_of_their_patient_in_turn():
    simulation = replace(DEFAULT, slides_per_patient=3, nuclei_per_patient=8)
    patient = draw_patients(simulation, 0)[1]
    table = identity_table(simulation, patient)
    assert table["slide"].tolist() == [f"p0001-s{n}" for n in (0, 1, 2, 0, 1, 2, 0, 1)]
    assert table["nucleus"].is_unique
    assert table["nucleus"].iloc[3] == "images/p0001-s0.tif#2"
    assert (table["label"] == "positive").tolist() == patient.positive.tolist()
