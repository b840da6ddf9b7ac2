"""The quality of the contributions: each check as a plot and a sentence."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from numpy.typing import ArrayLike, NDArray

from genolift.report import figures, words
from genolift.report.texts import texts


@dataclass(frozen=True)
class Check:
    """A check: its heading, what its plot shows, how to read it here, and the plot, if there is one."""

    heading: str
    shows: str
    reading: str
    plot: Markup | None


def checks(scored: pd.DataFrame, n_references: int, provenance: Mapping[str, Any]) -> tuple[Check, ...]:
    """Return the checks of ``per_sequence.tsv``, in the order in which they are worth reading."""
    return (
        _convergence(scored, n_references, provenance),
        _totals(scored, exact=bool(provenance.get("sums_up"))),
        _references(scored, n_references),
        _standard_error(scored, n_references),
    )


def _convergence(scored: pd.DataFrame, n_references: int, provenance: Mapping[str, Any]) -> Check:
    errors, largest, tolerance = _errors(scored, provenance)
    pairs = words.count(len(scored) * n_references, "sequence-reference pair")
    if np.isnan(largest):
        reading = "No convergence error is recorded."
    elif tolerance is None:
        reading = (
            f"The largest relative error of {pairs} is {words.figure(largest, 2)}; no tolerance is recorded."
        )
    else:
        over = int((errors > tolerance).sum())
        verdict = (
            f"all {pairs} pass" if not over else f"{words.count(over, 'sequence')} of {len(scored)} exceed it"
        )
        if over and provenance.get("models"):
            verdict += " in the mean, where models' outputs cancel; each model by itself passes"
        error, allowed = words.figure(largest, 2), words.figure(tolerance, 1)
        reading = f"Largest relative error {error}, tolerance {allowed}: {verdict}."
    guide = None if tolerance is None or tolerance <= 0 else figures.Guide(tolerance, "tolerance")
    return _check("convergence", reading, figures.histogram, errors, logarithmic=True, guide=guide)


def convergence_in_short(scored: pd.DataFrame, provenance: Mapping[str, Any]) -> str:
    """Return in a few words whether the contributions add up: ``all pass, largest error 3 × 10⁻⁷``."""
    errors, largest, tolerance = _errors(scored, provenance)
    if np.isnan(largest):
        return "no error recorded"
    error = f"largest error {words.figure(largest, 2)}"
    over = 0 if tolerance is None else int((errors > tolerance).sum())
    passed = f"{over} of {len(scored)} over the tolerance" if over else "all pass"
    return error if tolerance is None else f"{passed}, {error}"


def _errors(
    scored: pd.DataFrame, provenance: Mapping[str, Any]
) -> tuple[NDArray[np.float64], float, float | None]:
    """Return each sequence's largest relative convergence error, the largest of all (NaN if there is none),
    and the tolerance.
    """
    errors = scored["convergence_error_relative_max"].to_numpy()
    largest = float(np.nanmax(errors)) if np.isfinite(errors).any() else float("nan")
    return errors, largest, _number(provenance.get("tolerance"))


def _totals(scored: pd.DataFrame, *, exact: bool) -> Check:
    explained = (scored["output"] - scored["reference_output_mean"]).to_numpy()
    total = scored["contribution_sum"].to_numpy()
    finite = np.isfinite(explained) & np.isfinite(total)
    if finite.any():
        off = float(np.abs(total - explained)[finite].max())
        reach = float(np.ptp(explained[finite]))
        share = f" ({words.percent(off / reach)} of the range of differences)" if reach > 0 else ""
        reading = f"The largest distance from the diagonal is {words.figure(off, 2)}{share}."
    else:
        reading = "No contribution totals are recorded."
    expected = "on the diagonal where they are exact" if exact else "this rule does not promise the diagonal"
    check = _check("totals", reading, figures.scatter, explained, total, diagonal=True)
    return replace(check, shows=f"{check.shows} {expected}.")


def _references(scored: pd.DataFrame, n_references: int) -> Check:
    spread = scored["reference_output_sd"].to_numpy()
    output = scored["output"].to_numpy()
    if np.isfinite(spread).any():
        middle = float(np.nanmedian(spread))
        difference = float(np.nanmedian(np.abs(output - scored["reference_output_mean"].to_numpy())))
        reading = (
            f"The references' outputs spread by {words.figure(middle, 2)} (median standard deviation), where "
            f"the median difference to be explained is {words.figure(difference, 2)}."
        )
    else:
        reading = _single(n_references)
    return _check("references", reading, figures.scatter, output, spread)


def _standard_error(scored: pd.DataFrame, n_references: int) -> Check:
    error = scored["standard_error_mean"].to_numpy()
    peak = np.abs(scored["peak_contribution"].to_numpy())
    ratio = np.divide(error, peak, out=np.full(len(peak), np.nan), where=peak > 0)
    if np.isfinite(ratio).any():
        middle, most = float(np.nanmedian(ratio)), float(np.nanmax(ratio))
        reading = (
            f"In half of the sequences it is under {words.percent(middle)} of the peak, at most "
            f"{words.percent(most)} (over {words.count(n_references, 'reference')})."
        )
    else:
        reading = _single(n_references)
    return _check("standard_error", reading, figures.histogram, 100 * ratio)


def _check(
    kind: str, reading: str, plotted: Callable[..., Markup | None], *values: ArrayLike, **options: Any
) -> Check:
    """Return a check with its texts, and its plot of some values."""
    told = texts("checks")[kind]
    labels = {name: told[name] for name in ("x_label", "y_label") if name in told}
    plot = plotted(*values, description=f"{told['description']} {reading}", **labels, **options)
    return Check(told["heading"], told["shows"], reading, plot)


def _single(n_references: int) -> str:
    return "With one reference there is no spread." if n_references == 1 else "No spread is recorded."


def _number(value: object) -> float | None:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
