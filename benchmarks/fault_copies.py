"""Copies of nuclei to plant in a simulated data set: cut out of one slide, put into another."""

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image
from scipy import ndimage

from fathom.simulation.simulated_slides import SimulatedSlide
from fathom.simulation.simulation import Simulation

Slides = list[SimulatedSlide]
SEED = 7  # of the background that fills a nucleus' old place


def copied(change: Callable[[np.ndarray], np.ndarray]):
    """Plant copies, changed, of nuclei of the first patient's first slide in the last patient's."""

    def plant(slides: Slides, count: object, _: Simulation, __: int) -> Slides:
        source, target = slides[0], slides[-1]
        micrograph, nuclei = target.micrograph.astype(np.float64), target.nuclei.copy()
        labels = target.labels.copy()
        donors = [n for n in range(len(source.nuclei)) if not source.nuclei["touching"].iloc[n]]
        places = [n for n in range(len(nuclei)) if not nuclei["touching"].iloc[n]]
        done = 0
        for donor in donors:
            patch, mask = _nucleus(source, donor)
            pixels = change(np.where(mask, patch, np.median(patch[~mask])))
            inside = _reshaped(change, mask)
            spot = next((p for p in places if _fits(target, labels, p, inside)), None)
            if spot is None or done == count:
                break
            places.remove(spot)
            _paste(micrograph, labels, nuclei, spot, pixels, inside)
            nuclei.loc[nuclei.index[spot], "label"] = source.nuclei["label"].iloc[donor]
            done += 1
        if done < int(str(count)):
            raise RuntimeError(f"only {done} of {count} copies found a place")
        whole = np.clip(np.rint(micrograph), 0, 65535).astype(np.uint16)
        return [*slides[:-1], replace(target, micrograph=whole, labels=labels, nuclei=nuclei)]

    return plant


_HALF = 24


def _window(slide: SimulatedSlide, number: int) -> tuple[slice, slice]:
    y, x = (int(slide.nuclei[f"annotation_{axis}"].iloc[number]) for axis in "yx")
    return slice(y - _HALF, y + _HALF), slice(x - _HALF, x + _HALF)


def _nucleus(slide: SimulatedSlide, number: int) -> tuple[np.ndarray, np.ndarray]:
    window = _window(slide, number)
    patch, mask = slide.micrograph[window], slide.labels[window] == number + 1
    full = np.zeros((2 * _HALF, 2 * _HALF), dtype=bool)
    pixels = np.full(full.shape, float(np.median(slide.micrograph)))
    full[: mask.shape[0], : mask.shape[1]] = mask
    pixels[: mask.shape[0], : mask.shape[1]] = patch
    return pixels, full


def _reshaped(change: Callable[[np.ndarray], np.ndarray], mask: np.ndarray) -> np.ndarray:
    """Return the outline as the change turns it; re-encoding and gain leave it where it is."""
    turned = change(mask * 1000.0)
    return turned > 500


def _fits(slide: SimulatedSlide, labels: np.ndarray, number: int, inside: np.ndarray) -> bool:
    window = labels[_window(slide, number)]
    if window.shape != inside.shape:
        return False
    others = (window != 0) & (window != number + 1)
    return not (ndimage.binary_dilation(inside, iterations=2) & others).any()


def _paste(micrograph, labels, nuclei, spot, pixels, inside):
    y, x = (int(nuclei[f"annotation_{axis}"].iloc[spot]) for axis in "yx")
    window = np.s_[y - _HALF : y + _HALF, x - _HALF : x + _HALF]
    old = labels[window] == spot + 1
    around = micrograph[window][labels[window] == 0]
    rng = np.random.default_rng([SEED, spot])
    micrograph[window][old] = rng.choice(around, old.sum())
    labels[window][old] = 0
    micrograph[window][inside] = pixels[inside]
    labels[window][inside] = spot + 1
    row, column = np.argwhere(inside)[np.argmin(((np.argwhere(inside) - _HALF) ** 2).sum(axis=1))]
    nuclei.loc[nuclei.index[spot], ["annotation_y", "annotation_x"]] = (
        y - _HALF + int(row),
        x - _HALF + int(column),
    )


def jpeg(patch: np.ndarray) -> np.ndarray:
    low, high = patch.min(), max(patch.max(), patch.min() + 1)
    buffer = io.BytesIO()
    eight = np.rint((patch - low) / (high - low) * 255).astype(np.uint8)
    Image.fromarray(eight).save(buffer, "JPEG", quality=50)
    return np.asarray(Image.open(buffer)) / 255.0 * (high - low) + low
