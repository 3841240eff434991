"""Plain arrays by element type, any shape: what has a meaning of its own has a name of its own."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Positions = npt.NDArray[np.intp]  # of rows in a table or an array
