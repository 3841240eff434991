"""Crops of simulated nuclei, as the stage `crop` would make them, with known labels and latents."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import ndimage

from fathom.ground.arrays import Floats
from fathom.ground.output import write_table
from fathom.imaging.crops import Scale
from fathom.simulation.simulated_chromatin import Emitted, Masks, Planes, emit_nuclei
from fathom.simulation.simulation import LATENTS, Patient, Simulation, draw_patients, identity_table
from fathom.study.nuclei import write_nuclei
from fathom.study.stored_crops import Crops

TRUTH = "truth.parquet"
FIELD_CROPS = 10  # side of the microscope's field, in crops: how far the light changes over one
BRIGHTEST = 3.0  # intensity that becomes 255; a nucleus of latents 0 is 1 bright
READ_NOISE = 0.3  # of the photon noise where a nucleus is 1 bright
_BATCH = 128  # nuclei at a time: their planes stay in the processor's cache


@dataclass(frozen=True, eq=False)
class SimulatedNuclei:
    """The crops of a simulated study and their table, row by row."""

    crops: Crops
    """(n, crop_px, crop_px, 1) uint8, the background 0."""
    table: pd.DataFrame
    """`fathom.study.nuclei.NUCLEUS_COLUMNS`, `latent_<name>` for each of `LATENTS` (z), and the
    measures of `Chromatin`. Patient by patient; index 0..n-1."""


def simulate_nuclei(simulation: Simulation, seed: int) -> SimulatedNuclei:
    """Draw all nuclei of all patients; the same bytes for the same seed.

    More patients or more nuclei a patient add nuclei and change none.
    """
    patients = draw_patients(simulation, seed)
    rows = np.arange(simulation.patients * simulation.nuclei_per_patient)
    batches = np.array_split(rows, range(_BATCH, len(rows), _BATCH))
    parts = [_batch(simulation, seed, patients, batch) for batch in batches]
    identity = pd.concat([identity_table(simulation, patient) for patient in patients])
    measured = pd.concat([table for _, table in parts])
    table = pd.concat(
        [part.reset_index(drop=True) for part in (identity, measured)], axis="columns"
    )
    return SimulatedNuclei(np.concatenate([crops for crops, _ in parts]), _with_shards(table))


def write_simulated_nuclei(folder: Path, simulated: SimulatedNuclei) -> None:
    """Write the folder of nuclei that the stage `crop` would; latents go to truth.parquet."""
    rows = simulated.table.groupby("shard").indices
    shards = {str(shard): simulated.crops[at] for shard, at in rows.items()}
    write_nuclei(folder, simulated.table, shards)
    write_table(folder / TRUTH, simulated.table.drop(columns=["shard", "row", "left_out"]))


def _batch(
    simulation: Simulation,
    seed: int,
    patients: tuple[Patient, ...],
    rows: npt.NDArray[np.intp],
) -> tuple[Crops, pd.DataFrame]:
    """Return the crops of the nuclei number `rows` of the study, and what is measured of them."""
    pairs = [divmod(row, simulation.nuclei_per_patient) for row in rows.tolist()]
    emitted = emit_nuclei(simulation, seed, patients, pairs)
    mask, field = emitted.chromatin.mask, emitted.draws.field
    seen = blurred(emitted.chromatin.emission, simulation.blur_px)
    seen *= np.array([patients[patient].gain for patient, _ in pairs])[:, None, None]
    towards = [
        patients[patient].light[number % simulation.slides_per_patient] for patient, number in pairs
    ]
    seen *= _light(simulation, field, np.stack(towards))
    pixels = np.stack(
        [expose(x, simulation.noise, rng) for x, rng in zip(seen, emitted.streams, strict=True)]
    )
    corner = np.rint((field * (FIELD_CROPS - 1) + (FIELD_CROPS - 1) / 2) * simulation.crop_px)
    table = places(mask, corner.astype(np.int64)).assign(focus=_focus(pixels, mask))
    crops = Scale(0.0, BRIGHTEST).apply(pixels) * mask
    return _centred(crops)[..., None], pd.concat([table, truth(emitted)], axis="columns")


def truth(emitted: Emitted) -> pd.DataFrame:
    """Return the columns `latent_<name>` and the measures of nuclei."""
    names = [f"latent_{name}" for name in LATENTS]
    scores = pd.DataFrame(emitted.scores, columns=names)
    return pd.concat([scores, emitted.chromatin.measures], axis="columns")


def blurred(emission: Planes, blur_px: float) -> Planes:
    """Return what the optics make of (..., H, W) light: a Gaussian point spread function."""
    seen: Planes = ndimage.gaussian_filter(emission, blur_px, axes=(-2, -1), mode="constant")
    return seen


def expose(light: Planes, noise: float, rng: np.random.Generator) -> Planes:
    """Return what the camera makes of light: Poisson noise of the photons, then read noise.

    Light 1 is 1 / noise^2 photons; the read noise's SD is `READ_NOISE` times theirs.
    """
    if noise == 0:
        return light
    photons = rng.poisson(light / noise**2).astype(np.float32)
    photons += rng.standard_normal(light.shape, dtype=np.float32) * np.float32(READ_NOISE / noise)
    return photons * np.float32(noise**2)


def _light(simulation: Simulation, field: Floats, towards: Floats) -> Planes:
    """Return the gain over each crop, (n, crop_px, crop_px): `field`, `towards` (n, 2) y, x."""
    side = simulation.crop_px
    offset = ((np.arange(side) + 0.5) / side - 0.5) / FIELD_CROPS
    y, x = (field[:, axis, None] * (1 - 1 / FIELD_CROPS) + offset for axis in (0, 1))
    along = (towards[:, 0, None] * y)[:, :, None] + (towards[:, 1, None] * x)[:, None, :]
    light: Planes = (1 + simulation.illumination * along).astype(np.float32)
    return light


def places(mask: Masks, corner: npt.NDArray[np.int64]) -> pd.DataFrame:
    """Return centroid, bounding box and area in a micrograph of nuclei in squares.

    mask : (n, side, side) the squares
    corner : (n, 2) y and x of each square's first pixel in the micrograph
    """
    pixels = np.arange(mask.shape[-1])
    area = mask.sum(axis=(1, 2), dtype=np.int64)
    table = pd.DataFrame({"area_px": area})
    for axis, (centre, low, high) in enumerate((("y", "top", "bottom"), ("x", "left", "right"))):
        count = mask.sum(axis=2 - axis)  # pixels a row, or a column
        first, end = _extent(count > 0)
        table[centre] = (count * pixels).sum(axis=1) / area + corner[:, axis]
        table[low], table[high] = first + corner[:, axis], end + corner[:, axis]
    return table


def _extent(
    there: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the first index of each row where `there`, and the last plus 1."""
    return there.argmax(axis=1), there.shape[1] - there[:, ::-1].argmax(axis=1)


def _centred(crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return (n, side, side) with each bounding box in the middle, as `imaging.crops.cut` does."""
    side = crops.shape[-1]
    inside = crops > 0
    index = []
    for axis in (1, 2):
        first, end = _extent(np.any(inside, axis=3 - axis))
        target = (side - (end - first)) // 2
        index.append((np.arange(side) + (first - target)[:, None]) % side)
    rows, columns = index
    every = np.arange(len(crops))[:, None, None]
    centred: npt.NDArray[np.uint8] = crops[every, rows[:, :, None], columns[:, None, :]]
    return centred


def _focus(pixels: Planes, mask: Masks) -> Floats:
    """Measure `focus` as `fathom.imaging.crops.describe` does."""
    edges = ndimage.laplace(pixels, axes=(1, 2))
    size = mask.sum(axis=(1, 2))
    mean, edge, square = (
        np.where(mask, of, 0).sum(axis=(1, 2), dtype=np.float64) / size
        for of in (pixels, edges, edges**2)
    )
    focus: Floats = (square - edge**2) / mean**2
    return focus


def _with_shards(table: pd.DataFrame) -> pd.DataFrame:
    slides = sorted(table["slide"].unique())
    names = {slide: f"{number:05d}.npy" for number, slide in enumerate(slides)}
    return table.assign(
        touches_border=False,
        left_out="",
        shard=table["slide"].map(names),
        row=table.groupby("slide").cumcount(),
    )
