"""Random numbers of a cell: one stream for each use, all from its seed and fold.

Rows of params.yaml that train the same (seed, fold) draw the same numbers, so that they stay
paired; another fold of the same seed draws others, so that folds are no copies of one
initialisation. Streams are NumPy's PCG64, which gives the same numbers on every processor.
"""

from typing import Literal, NamedTuple, get_args

import numpy as np

Purpose = Literal["weights", "order", "flips", "dropout", "labels", "nuclei"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


class Streams(NamedTuple):
    """Where the random numbers of one (seed, fold) come from."""

    seed: int
    fold: int = 0  # FINAL, -1, is the final model's

    def generator(self, purpose: Purpose, *place: int) -> np.random.Generator:
        """Return the stream of one use; `place` tells streams of the same use apart."""
        key = (PURPOSES.index(purpose), *place)
        return np.random.default_rng(
            np.random.SeedSequence((self.seed, self.fold + 1), spawn_key=key)
        )
