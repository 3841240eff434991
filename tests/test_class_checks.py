import numpy as np
import pandas as pd
import pytest
from audit_params import audit_params, kept_of

from fathom.audit.class_checks import (
    audit_acquisition,
    audit_brightness,
    audit_marks,
    audit_patients,
    class_counts,
)
from fathom.audit.image_traits import MARKS

SLIDES, EACH = 12, 30


def study(gain=1.0, seed=0):
    """Return nuclei of 12 slides with half of each class, and crops; `ill` ones are brighter."""
    rng = np.random.default_rng(seed)
    labels = np.where(np.arange(SLIDES * EACH) % 2, "ill", "well")
    slides = np.repeat([f"s{i:02d}" for i in range(SLIDES)], EACH)
    kept = kept_of(labels.tolist(), patients=slides.tolist())
    level = 100 * np.exp(rng.normal(0, 0.15, len(kept))) * np.where(labels == "ill", gain, 1)
    crops = np.zeros((len(kept), 24, 24, 1), dtype=np.uint8)
    crops[:, 6:18, 6:18, 0] = np.clip(level, 1, 255).astype(np.uint8)[:, None, None]
    return kept, crops


@pytest.mark.parametrize("seed", range(5))
def test_classes_of_equal_brightness(seed):
    assert list(audit_brightness(*study(seed=seed), audit_params())) == []


@pytest.mark.parametrize("gain", [1.2, 0.8])
def test_a_brighter_class(gain):
    (found,) = audit_brightness(*study(gain), audit_params())
    assert found.check == "class_told_by_brightness"
    assert ("'ill'" if gain > 1 else "'well'") in found.what
    assert found.confidence > 0.999


def test_slides_of_other_brightness_do_not_count():
    kept, crops = study()
    factor = np.linspace(0.3, 2, len(kept))[:, None, None, None]  # grows from slide to slide
    crops = np.clip(crops * factor, 0, 255).astype(np.uint8)
    assert list(audit_brightness(kept, crops, audit_params())) == []


def test_a_mark_in_the_corner_of_one_class():
    kept, crops = study()
    assert list(audit_marks(kept, crops, audit_params())) == []
    ill = np.flatnonzero(kept["positive"])
    crops[ill[:20], 1:3, -3:-1] = 200
    (found,) = audit_marks(kept, crops, audit_params())
    assert found.check == "class_told_by_mark"
    assert found.rows == tuple(kept["nucleus"].iloc[ill[:20]])


def test_a_mark_on_both_classes_tells_nothing():
    kept, crops = study()
    crops[:, 1:3, -3:-1] = 200
    assert list(audit_marks(kept, crops, audit_params())) == []


def slides_of_one_class(seed=0):
    """Return nuclei of slides with one class each, and traits that have nothing to do with it."""
    rng = np.random.default_rng(seed)
    slides = np.repeat([f"s{i:02d}" for i in range(SLIDES)], 5)
    labels = np.where(np.arange(len(slides)) // 5 % 2, "ill", "well")
    traits = pd.DataFrame({"image": [f"s{i:02d}.tif" for i in range(SLIDES)], "error": ""})
    for name in ("background", "noise", *MARKS):
        traits[name] = 100 * np.exp(rng.normal(0, 0.1, SLIDES))
    return kept_of(labels.tolist(), patients=slides.tolist()), traits.assign(bits=16, channels=1)


@pytest.mark.parametrize("seed", range(10))
def test_traits_that_have_nothing_to_do_with_the_class(seed):
    assert list(audit_acquisition(*slides_of_one_class(seed), audit_params())) == []


@pytest.mark.parametrize("trait", ["background", "noise", MARKS[2], "bits"])
def test_a_trait_that_tells_the_class(trait):
    kept, traits = slides_of_one_class()
    ill = np.arange(SLIDES) % 2 == 1
    traits[trait] = traits[trait] * np.where(ill, 2.0, 1.0)
    (found,) = audit_acquisition(kept, traits, audit_params())
    is_mark = trait in MARKS
    assert found.check == ("class_told_by_mark" if is_mark else "class_told_by_acquisition")
    assert trait.replace("_", " ") in found.what


def labels(n, share, seed=0):
    return np.where(np.random.default_rng(seed).random(n) < share, "ill", "well").tolist()


def test_a_patient_of_one_class_among_others_with_both():
    kept = kept_of(labels(90, 0.5) + ["ill"] * 30, patients=[f"p{i // 30}" for i in range(120)])
    (found,) = audit_patients(kept, audit_params())
    assert (found.check, found.where, len(found.rows)) == ("one_class_patient", "patient p3", 30)
    assert found.confidence > 0.999


def test_few_nuclei_of_one_class_are_chance():
    kept = kept_of(labels(90, 0.5) + ["ill"] * 5, patients=["a"] * 45 + ["b"] * 45 + ["c"] * 5)
    assert list(audit_patients(kept, audit_params())) == []


def test_where_the_label_is_one_of_patients_that_is_the_study():
    patients = [f"p{i // 30}" for i in range(120)]
    kept = kept_of((["ill"] * 30 + ["well"] * 30) * 2, patients=patients)
    assert list(audit_patients(kept, audit_params())) == []


def test_counts_by_patient():
    kept = kept_of(["ill", "well", "ill", "ill"], patients=["a", "a", "b", "b"])
    assert class_counts(kept, "patient").to_dict("index") == {
        "a": {"ill": 1, "well": 1},
        "b": {"ill": 2, "well": 0},
    }
