"""EASE: weights between columns that best rebuild each row of a 0/1 matrix from its other entries.

Steck, "Embarrassingly shallow autoencoders for sparse data" (2019): with P = (XᵀX + λI)⁻¹ the weights are
-P_ij ÷ P_jj, and 0 on the diagonal. Unlike lift, they count what two bought things say alike only once.
"""

import numpy as np

from models.recommender.catalogue import Floats


def ease_weights(joint: Floats, *, penalty: float) -> Floats:
    """Return columns × columns from XᵀX (counts of rows that have both); X @ weights rebuilds X."""
    size = len(joint)
    inverse = np.linalg.inv(joint + penalty * np.eye(size))
    weights: Floats = -inverse / np.diag(inverse)
    weights[np.diag_indices(size)] = 0.0
    return weights
