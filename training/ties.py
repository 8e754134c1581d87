"""Equal predictions: no order of the rows may decide between them."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def shared_outcomes(outcomes: Floats, predictions: Floats) -> Floats:
    """Return for each customer the mean outcome of all who have the same prediction.

    A metric over a ranking of these is the expectation over every order of the ties.

    >>> shared_outcomes(np.array([1.0, 0.0, 5.0]), np.array([0.2, 0.2, 0.9])).tolist()
    [0.5, 0.5, 5.0]
    """
    _, groups = np.unique(predictions, return_inverse=True)
    means = np.bincount(groups, weights=outcomes) / np.bincount(groups)
    return np.asarray(means[groups], dtype=np.float64)
