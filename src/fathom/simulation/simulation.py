"""A simulated study: patients, their nuclei, and the hidden numbers (latents) each nucleus has.

Every latent is a standard score. With l the latent, i a nucleus of patient p and class c = 0 or 1,

    z[l, i] = separation * (c[i] - 1/2) + patient_effect * b[l, p] + e[l, i]    if l is the cue,
    z[l, i] = nuisance * (patient_effect * b[l, p] + e[l, i])                   else,

b and e standard normal and independent. The one number that says how hard the task is, the
separation, is the sensitivity index d' of signal detection theory (Green & Swets 1966, Signal
Detection Theory and Psychophysics): the distance of the classes' means in standard deviations
within class and patient. docs/simulator.md says what pictures are made of the latents.

Streams of random numbers hang on the seed, the patient and the nucleus: more patients or more
nuclei a patient leave those that are there as they were.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtr
from scipy.stats import beta

from fathom.ground.arrays import Floats
from fathom.ground.errors import FathomError

Cue = Literal["texture", "chromocentres", "size", "placement"]
CUES: tuple[Cue, ...] = get_args(Cue)
NUISANCES = ("brightness",)  # latents that never carry the label
LATENTS = (*CUES, *NUISANCES)
CLASSES = ("negative", "positive")

_PATIENT, _NUCLEUS = 0, 1  # the first number after the seed keeps the streams apart
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Simulation:
    """What is simulated; no field has a default (`DEFAULT` is a point to start from)."""

    patients: int
    """1 and more."""
    slides_per_patient: int
    """A patient's nuclei go to its slides in turn."""
    nuclei_per_patient: int
    """1 and more, on all slides of the patient together."""
    crop_px: int
    """Side of a crop, 16 and more; a nucleus' mean diameter is 0.54 of it."""
    cue: Cue
    """The latent that carries the label."""
    separation: float
    """d': distance of the classes' means in SDs within class and patient; 0 = nothing to learn."""
    patient_effect: float
    """SD of the patients' shifts of every latent, in SDs within class and patient."""
    nuisance: float
    """SD within patient of the latents that are not the cue; where the cue's is 1."""
    positive_share: float
    """Expected share of positive nuclei, 0..1."""
    label_clustering: float
    """Intra-class correlation of the label in patients: 0 = each has the same share of positive
    nuclei, 1 = the nuclei of a patient are all of one class."""
    illumination: float
    """Fall of the light across a field, of its mean: gain 1 + illumination / 2 on one side,
    1 - illumination / 2 on the other; less than 2."""
    stain_variation: float
    """SD over patients of the logarithm of the stain's gain."""
    blur_px: float
    """Sigma of the optics' Gaussian point spread function."""
    noise: float
    """SD of photon noise where a nucleus is 1 bright, relative: that is 1 / noise^2 photons."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "cue":
                allowed, fits = f"one of {', '.join(CUES)}", value in CUES
            else:
                allowed, within = _ALLOWED[field.name]
                number = isinstance(value, int if field.type is int else (int, float))
                number = number and not isinstance(value, bool)
                fits = number and math.isfinite(value) and within(value)
            if not fits:
                raise FathomError(f"simulation: {field.name} = {value!r} is not {allowed}")


_Bound = tuple[str, Callable[[float], bool]]
_COUNT: _Bound = ("a whole number, 1 or more", lambda value: value >= 1)
_SHARE: _Bound = ("a number from 0 to 1", lambda value: 0 <= value <= 1)
_NOT_NEGATIVE: _Bound = ("a number, 0 or more", lambda value: value >= 0)
_ALLOWED: dict[str, _Bound] = {
    "patients": _COUNT,
    "slides_per_patient": _COUNT,
    "nuclei_per_patient": _COUNT,
    "crop_px": ("a whole number, 16 or more", lambda value: value >= 16),
    "separation": _NOT_NEGATIVE,
    "patient_effect": _NOT_NEGATIVE,
    "nuisance": _NOT_NEGATIVE,
    "positive_share": _SHARE,
    "label_clustering": _SHARE,
    "illumination": ("a number from 0, below 2", lambda value: 0 <= value < 2),
    "stain_variation": _NOT_NEGATIVE,
    "blur_px": _NOT_NEGATIVE,
    "noise": _NOT_NEGATIVE,
}

DEFAULT = Simulation(
    patients=10,
    slides_per_patient=1,
    nuclei_per_patient=100,
    crop_px=48,
    cue="texture",
    separation=3.0,
    patient_effect=0.3,
    nuisance=0.4,
    positive_share=0.5,
    label_clustering=0.0,
    illumination=0.2,
    stain_variation=0.1,
    blur_px=1.0,
    noise=0.02,
)


def ideal_balanced_accuracy(simulation: Simulation, *, patient_known: bool = False) -> float:
    """Return the balanced accuracy of an observer that sees the latent itself: Phi(d' / 2).

    For a new patient, whose shift nobody knows, the shift adds to the variance within the class, so
    that d' = separation / sqrt(1 + patient_effect^2); with `patient_known`, d' = separation. No
    classifier of pixels can be better on new patients, but by chance in a finite sample.
    """
    spread = 1.0 if patient_known else math.hypot(1, simulation.patient_effect)
    return float(ndtr(simulation.separation / spread / 2))


def intraclass_correlation(simulation: Simulation) -> float:
    """Return the correlation of a latent of two nuclei of one patient and class."""
    return simulation.patient_effect**2 / (1 + simulation.patient_effect**2)


@dataclass(frozen=True, eq=False)
class Patient:
    """What the nuclei of one patient have in common."""

    name: str
    shifts: Floats
    """(len(LATENTS),) b, of each latent."""
    gain: float
    """Of the stain."""
    light: Floats
    """(slides_per_patient, 2) unit vectors (y, x): where a slide's light comes from."""
    positive: npt.NDArray[np.bool_]
    """(nuclei_per_patient,) the label of each nucleus."""


def draw_patients(simulation: Simulation, seed: int) -> tuple[Patient, ...]:
    """Return the patients; their names sort in their order."""
    if seed < 0:
        raise FathomError(f"simulation: seed = {seed} is not a whole number, 0 or more")
    start = float(np.random.default_rng([seed, _PATIENT]).random())
    return tuple(
        # Steps of the golden ratio fill 0..1 evenly: the shares of few patients have their mean.
        _draw_patient(simulation, seed, number, (start + number * _GOLDEN) % 1)
        for number in range(simulation.patients)
    )


def _draw_patient(simulation: Simulation, seed: int, number: int, quantile: float) -> Patient:
    rng = np.random.default_rng([seed, _PATIENT, number])
    shifts = rng.standard_normal(len(LATENTS))
    gain = math.exp(simulation.stain_variation * rng.standard_normal())
    first = rng.random()
    angles = rng.uniform(0, 2 * np.pi, simulation.slides_per_patient)
    share = _share(simulation, quantile)
    # Systematic sampling: any stretch of nuclei has its share of positive ones, to within one.
    counted = np.floor(np.arange(simulation.nuclei_per_patient + 1) * share + first)
    return Patient(
        name=f"p{number:04d}",
        shifts=shifts,
        gain=gain,
        light=np.column_stack([np.sin(angles), np.cos(angles)]),
        positive=np.diff(counted) > 0,
    )


def _share(simulation: Simulation, quantile: float) -> float:
    """Return a patient's share: of the beta distribution whose labels cluster as asked.

    Labels drawn with a Beta(a, b) share correlate by 1 / (a + b + 1).
    """
    mean, clustering = simulation.positive_share, simulation.label_clustering
    if clustering == 0 or mean in (0, 1):
        return mean
    if clustering == 1:
        return float(quantile < mean)
    total = 1 / clustering - 1
    return float(beta.ppf(quantile, mean * total, (1 - mean) * total))


def nucleus_stream(seed: int, patient: int, nucleus: int) -> np.random.Generator:
    """Return the generator of all that is random in one nucleus of one patient."""
    return np.random.default_rng([seed, _NUCLEUS, patient, nucleus])


def latents(
    simulation: Simulation, shifts: Floats, positive: npt.NDArray[np.bool_], own: Floats
) -> Floats:
    """Return z of n nuclei, (n, len(LATENTS)), from their patients' b and their own e.

    Parameters
    ----------
    shifts : (n, len(LATENTS)) b, standard normal
    positive : (n,) the class
    own : (n, len(LATENTS)) e, standard normal
    """
    cue = LATENTS.index(simulation.cue)
    spread = np.full(len(LATENTS), float(simulation.nuisance))
    spread[cue] = 1.0
    scores: Floats = spread * (simulation.patient_effect * shifts + own)
    scores[:, cue] += simulation.separation * (positive - 0.5)
    return scores


def identity_table(simulation: Simulation, patient: Patient) -> pd.DataFrame:
    """Return nucleus, slide, patient, image, label, positive of a patient's nuclei, in order."""
    numbers = np.arange(simulation.nuclei_per_patient)
    slides = [f"{patient.name}-s{n % simulation.slides_per_patient}" for n in numbers]
    images = [f"images/{slide}.tif" for slide in slides]
    in_slide = numbers // simulation.slides_per_patient + 1
    return pd.DataFrame(
        {
            "nucleus": [
                f"{image}#{number}" for image, number in zip(images, in_slide, strict=True)
            ],
            "slide": slides,
            "patient": patient.name,
            "image": images,
            "label": [CLASSES[positive] for positive in patient.positive.tolist()],
            "positive": patient.positive,
        }
    )
