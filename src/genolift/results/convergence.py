"""How far contributions are from the sum that they must have, and whether stored ones keep their promises."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genolift.errors import InputError

_FINITE = (
    *("shap/seq", "projected_shap/seq", "genolift/output", "genolift/reference_output"),
    "genolift/convergence_error",
)
_ROUNDING = 1e-6
"""Relative to the sum of absolute contributions: each is a float32, with a relative error of 6e-8."""
_UNKNOWN_AT_N = ("base_frequencies", "fasta")
"""References that may have a base where the sequence has an N; no hypothetical contribution covers that."""


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


def check_scores(block: Mapping[str, NDArray[Any]], provenance: Mapping[str, Any], where: str) -> None:
    """Check that rows of contributions.h5 are consistent and within the tolerance of their run.

    Parameters
    ----------
    block
        Rows of every dataset of the layout.
    provenance
        Their file's: ``tolerance``, ``sums_up`` (whether the rule promises the sum) and ``reference_kind``.
    where
        Their file.

    Raises
    ------
    InputError
        If a number is not finite, contributions differ from the hypothetical ones at the bases present, an
        error exceeds the tolerance, or contributions do not sum to output - mean reference output.
    """

    def refuse(wrong: Any, what: str) -> None:
        if wrong.any():
            row = int(wrong.argmax())
            name = block["genolift/id"][row]
            raise InputError(
                what,
                where=f"{where}, sequence {name.decode() if isinstance(name, bytes) else name} "
                f"(key {block['genolift/key'][row]})",
                remedy="remove the file and run genolift attribute again",
            )

    several = block["genolift/reference_output"].shape[1] > 1  # with one there is no standard error
    for name in (*_FINITE, *(["genolift/standard_error"] if several else [])):
        values = block[name].reshape(len(block[name]), -1)
        refuse(~np.isfinite(values).all(1), f"{name} is not finite")
    scores, onehot = block["projected_shap/seq"], block["raw/seq"]
    refuse(
        (scores != block["shap/seq"] * onehot).any((1, 2)), "projected_shap/seq is not shap/seq at its bases"
    )
    if not provenance.get("sums_up"):
        return
    tolerance = float(provenance["tolerance"])
    output, reference_output = (
        block[name].astype(np.float64) for name in ("genolift/output", "genolift/reference_output")
    )
    size = explained_size(output, reference_output)
    error = block["genolift/convergence_error"]
    refuse(
        (error > tolerance * size * (1 + _ROUNDING)).any(1), f"its convergence error is over {tolerance:g}"
    )
    difference = output - reference_output.mean(1)
    missed = np.abs(scores.sum((1, 2), dtype=np.float64) - difference)
    sizes = np.abs(scores).sum((1, 2), dtype=np.float64) + np.abs(output) + np.abs(reference_output).mean(1)
    wrong = missed > tolerance * size.mean(1) + _ROUNDING * sizes
    if provenance.get("reference_kind") in _UNKNOWN_AT_N:
        wrong &= (onehot.sum(1) > 0).all(1)
    refuse(wrong, "its contributions do not sum to its output less the references' mean output")
