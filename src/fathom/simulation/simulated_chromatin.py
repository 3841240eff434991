"""The light that simulated nuclei emit, before any optics: outline, texture, chromocentres.

Lengths follow the crop: `unit` = crop_px / 48, so that a nucleus looks alike at any crop size. With
z the latents of a nucleus (`fathom.simulation.simulation`), phi the angle and rho = distance /
r(phi):

    r(phi)   = R (1 + sum_m a_m cos(m phi) + b_m sin(m phi)), m = 2..5,  R = 13 e^(0.1 z_size) unit
    emission = B T(rho) (exp(s g - s^2 / 2) + sum_j A_j exp(-|x - x_j|^2 / (2 w_j^2)))

g is a Gaussian random field of variance 1 and correlation exp(-d^2 / (4 t^2)), T the thickness.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import fft
from scipy.special import ndtr

from fathom.ground.arrays import Floats
from fathom.simulation.simulation import LATENTS, Patient, Simulation, latents, nucleus_stream

Planes = npt.NDArray[np.float32]  # (n, crop_px, crop_px)
Masks = npt.NDArray[np.bool_]  # (n, crop_px, crop_px)

CROP_PX = 48  # the crop that lengths are given for
RADIUS_PX = 13.0
MOST_CHROMOCENTRES = 24
_WAVES = np.arange(2, 6)  # m = 1 would move the nucleus, not change its outline
_WAVE_SD = 0.08 * (2 / _WAVES) ** 1.5  # smooth: high waves are low
_MARGIN_PX = 1.5  # between outline and crop


@dataclass(frozen=True, eq=False)
class Draws:
    """All that is random in n nuclei but for the photons, drawn nucleus by nucleus."""

    own: Floats  # (n, len(LATENTS)) e, standard normal
    waves: Floats  # (n, 2, len(_WAVES)) standard normal, of the outline
    angle: Floats  # (n, MOST_CHROMOCENTRES) of each chromocentre, radians
    distance: Floats  # (n, MOST_CHROMOCENTRES) standard normal, from the centre
    weight: Floats  # (n, MOST_CHROMOCENTRES) standard normal, of size and brightness
    field: Floats  # (n, 2) y, x in the microscope's field, -0.5..0.5
    white: Planes  # standard normal, becomes texture


def draw_chromatin(streams: Sequence[np.random.Generator], crop_px: int) -> Draws:
    """Take from each nucleus' stream what it needs, in one fixed order."""
    n, most = len(streams), MOST_CHROMOCENTRES
    normals = np.empty((n, len(LATENTS) + 2 * len(_WAVES) + 2 * most))
    uniforms = np.empty((n, most + 2))
    white = np.empty((n, crop_px, crop_px), dtype=np.float32)
    for row, stream in enumerate(streams):
        stream.standard_normal(out=normals[row])
        stream.random(out=uniforms[row])
        stream.standard_normal(out=white[row], dtype=np.float32)
    own, waves, distance, weight = np.split(
        normals, np.cumsum([len(LATENTS), 2 * len(_WAVES), most]), axis=1
    )
    return Draws(
        own=own,
        waves=waves.reshape(n, 2, -1),
        angle=2 * np.pi * uniforms[:, :most],
        distance=distance,
        weight=weight,
        field=uniforms[:, most:] - 0.5,
        white=white,
    )


@dataclass(frozen=True, eq=False)
class Chromatin:
    """n nuclei, each centred in its square."""

    emission: Planes
    """Light, 1 where a nucleus of latents 0 is thickest, on average; 0 outside of the outline."""
    mask: Masks
    """Pixels whose centre lies inside the outline."""
    measures: pd.DataFrame
    """radius_px (R), texture_px (t), texture_sd (s), chromocentres (how many),
    chromocentre_distance (mean of rho; NaN without any), brightness (B)."""


@dataclass(frozen=True, eq=False)
class Emitted:
    """n nuclei of a study, before the microscope."""

    scores: Floats  # (n, len(LATENTS)) z
    draws: Draws
    chromatin: Chromatin
    streams: list[np.random.Generator]  # the photons come next


def emit_nuclei(
    simulation: Simulation,
    seed: int,
    patients: Sequence[Patient],
    rows: Sequence[tuple[int, int]],
) -> Emitted:
    """Return nuclei of a study; `rows` says of each its patient and its number there, from 0."""
    streams = [nucleus_stream(seed, patient, number) for patient, number in rows]
    draws = draw_chromatin(streams, simulation.crop_px)
    shifts = np.stack([patients[patient].shifts for patient, _ in rows])
    positive = np.array([patients[patient].positive[number] for patient, number in rows])
    scores = latents(simulation, shifts, positive, draws.own)
    return Emitted(scores, draws, emit(simulation, scores, draws), streams)


def emit(simulation: Simulation, scores: Floats, draws: Draws) -> Chromatin:
    """Return the nuclei of the latents z: `scores`, (n, len(LATENTS))."""
    z = dict(zip(LATENTS, scores.T, strict=True))
    side = simulation.crop_px
    unit = side / CROP_PX
    waves = draws.waves * _WAVE_SD
    radius = _fitting(RADIUS_PX * unit * np.exp(0.1 * z["size"]), waves, side)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    outline = _outline(waves, np.arctan2(y, x).reshape(1, -1)).reshape(-1, side, side)
    reach = radius[:, None, None] * outline
    rho = (np.hypot(y, x) / reach).astype(np.float32)
    mask = rho < 1

    texture_px = 1.4 * unit * np.exp(0.15 * z["texture"])
    texture_sd = 0.9 * ndtr(0.6 * z["texture"] - 0.8)
    s = texture_sd.astype(np.float32)[:, None, None]
    chromatin = np.exp(s * random_field(draws.white, texture_px) - s**2 / 2)

    count = np.clip(np.rint(6 + 2.5 * z["chromocentres"]), 0, MOST_CHROMOCENTRES)
    distance = 0.92 * ndtr(0.5 * z["placement"][:, None] + 0.5 * draws.distance) ** 0.75
    there = np.arange(MOST_CHROMOCENTRES) < count[:, None]
    at = distance * radius[:, None] * _outline(waves, draws.angle)
    chromatin += spots(
        at * np.sin(draws.angle),
        at * np.cos(draws.angle),
        1.3 * unit * np.exp(0.1 * draws.weight),
        np.where(there, 1.5, 0.0),
        side,
    )
    brightness = np.exp(0.1 * z["brightness"])
    thickness = np.sqrt(np.maximum(1 - rho**4, 0))  # flat in the middle, as a spread cell's nucleus
    emission = brightness.astype(np.float32)[:, None, None] * thickness * chromatin
    measures = pd.DataFrame(
        {
            "radius_px": radius,
            "texture_px": texture_px,
            "texture_sd": texture_sd,
            "chromocentres": count.astype(np.int64),
            "chromocentre_distance": _mean_of_first(distance, there),
            "brightness": brightness,
        }
    )
    return Chromatin(emission.astype(np.float32), mask, measures)


def _outline(waves: Floats, angle: Floats) -> Floats:
    """Return r(phi) / R of n nuclei: waves (n, 2, len(_WAVES)), angle (n or 1, k) -> (n, k)."""
    turns = angle[..., None] * _WAVES
    cosine, sine = (part[..., None] for part in (waves[:, 0], waves[:, 1]))
    outline: Floats = 1 + (np.cos(turns) @ cosine + np.sin(turns) @ sine)[..., 0]
    return outline


def _fitting(radius: Floats, waves: Floats, side: int) -> Floats:
    """Return the mean radii, smaller where the outline would leave the square."""
    around = np.linspace(0, 2 * np.pi, 64, endpoint=False)[None]
    most = (side / 2 - _MARGIN_PX) / _outline(waves, around).max(axis=1)
    fitting: Floats = np.minimum(radius, most)
    return fitting


def random_field(white: Planes, correlation_px: Floats) -> Planes:
    """Filter white noise by a Gaussian of SD `correlation_px`, keeping its variance.

    The correlation at distance d is exp(-d^2 / (4 correlation_px^2)). The field is periodic; a
    nucleus is smaller than the square, so that few of its pixels meet their own copy.
    """
    side = white.shape[-1]
    y, x = fft.fftfreq(side)[:, None], fft.rfftfreq(side)
    squared = (y**2 + x**2).astype(np.float32)
    width = (correlation_px**2).astype(np.float32)[:, None, None]
    response = np.exp(-2 * np.pi**2 * width * squared)
    twice = np.where((x == 0) | (x == 0.5), 1, 2)  # rfft leaves half of the frequencies unsaid
    power = (twice * response**2).sum(axis=(1, 2), keepdims=True) / side**2
    filtered: Planes = fft.irfft2(fft.rfft2(white) * response, s=(side, side))
    filtered /= np.sqrt(power)
    return filtered


def spots(y: Floats, x: Floats, width: Floats, height: Floats, side: int) -> Planes:
    """Return the sum of k Gaussian spots a nucleus, all arguments (n, k), from the centre."""
    pixels = np.arange(side) - (side - 1) / 2
    rows, columns = (
        np.exp(-((pixels - at[..., None]) ** 2) / (2 * width[..., None] ** 2)).astype(np.float32)
        for at in (y, x)
    )
    rows *= height[..., None].astype(np.float32)
    summed: Planes = rows.transpose(0, 2, 1) @ columns
    return summed


def _mean_of_first(values: Floats, there: npt.NDArray[np.bool_]) -> Floats:
    """Return each row's mean where `there`; NaN where nowhere."""
    count = there.sum(axis=1)
    total = (values * there).sum(axis=1)
    mean: Floats = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    return mean
