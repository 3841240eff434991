"""Where a curve of losses is going."""

import numpy as np
import numpy.typing as npt
from scipy import stats

CLEARLY_LESS = 0.7  # of the residuals' standard deviation: noise alone seldom makes it


def extrapolated(
    losses: npt.NDArray[np.float64], times: float, confidence: float
) -> tuple[float, float, float]:
    """Return the loss now, at `times` the epochs, and the upper end of that prediction.

    The logarithm of the loss is a straight line in the logarithm of the epoch, a power law, as
    learning curves are (Hestness et al. 2017), fitted to the second half of the curve by least
    squares, with the prediction interval of a new epoch. Where learning has just begun it can be a
    line in the epoch itself: this bolder law is taken where it leaves clearly less. A diverged or
    too short curve predicts nothing: the loss now, and no fall.
    """
    n = len(losses)
    y = losses[n // 2 :]
    if len(y) < 4 or not np.isfinite(y).all() or not (y > 0).all():
        now = float(losses[-1]) if n and np.isfinite(losses[-1]) else 0.0
        return now, now, now
    epochs = np.arange(1, n + 1)
    power = _line(np.log(epochs[n // 2 :]), np.log(y), float(np.log(n * times)))
    steady = _line(epochs[n // 2 :].astype(np.float64), np.log(y), n * times)
    chosen = steady if steady[0] < CLEARLY_LESS * power[0] else power
    spread, now, later, error = chosen
    high = later + stats.t.ppf((1 + confidence) / 2, len(y) - 2) * spread * error
    return float(np.exp(now)), float(np.exp(later)), float(np.exp(high))


def _line(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], far: float
) -> tuple[float, float, float, float]:
    """Fit a line; return the SD of its residuals, its values at the end and at `far`, its error.

    The error of a prediction at `far` is in residuals' standard deviations.
    """
    line = stats.linregress(x, y)
    residuals = y - (line.intercept + line.slope * x)
    spread = float(np.sqrt((residuals**2).sum() / (len(x) - 2)))
    away = float((far - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum())
    now, later = line.intercept + line.slope * x[-1], line.intercept + line.slope * far
    return spread, float(now), float(later), float(np.sqrt(1 + 1 / len(x) + away))
