"""How far contributions are from the sum that they must have, as one number."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def relative_error(
    output: NDArray[Any], reference_output: NDArray[Any], convergence_error: NDArray[Any]
) -> NDArray[Any]:
    """Return the convergence error, (n, r), relative to the size of the explained difference."""
    return convergence_error / explained_size(output, reference_output)


def explained_size(output: NDArray[Any], reference_output: NDArray[Any]) -> NDArray[Any]:
    """Return the size, (n, r), of the difference between output, (n,), and reference output, (n, r).

    That is abs(output - reference output), but at least a hundredth of the larger of the two: if a reference
    happens to have the sequence's own output, rounding errors have nothing else to be relative to.
    """
    difference = np.abs(output[:, None] - reference_output)
    scale = np.maximum(np.abs(output)[:, None], np.abs(reference_output))
    size: NDArray[Any] = np.maximum(np.maximum(difference, 0.01 * scale), 1e-12)
    return size
