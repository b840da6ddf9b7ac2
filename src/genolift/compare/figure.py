"""The figure of a comparison of methods, drawn from its tables."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genolift.motifs.logos import save, style

_INK, _BAR, _MARK, _QUIET = "#333333", "#7f9fc8", "#b2182b", "#8a8a8a"
_CELL = 0.46  # inches; two digits and a sign at 7.5 points
_NAMES, _BELOW, _ABOVE, _GAP, _RIGHT = 1.65, 1.55, 1.05, 0.55, 0.35
_PANEL = 2.3


def draw_comparison(
    table: pd.DataFrame, agreement: pd.DataFrame, about: Mapping[str, Any], stem: Path
) -> None:
    """Write ``stem``.svg and ``stem``.png: agreement, cost and, if the truth is known, precision.

    Parameters
    ----------
    table, agreement
        ``methods.tsv`` and ``agreement.tsv``, see `genolift.compare.methods.compare`.
    about
        ``n_sequences``, ``reference_kind``, ``reference_number``, ``target``, ``true_base_share``.
    stem
        The files' path without the suffix.
    """
    with style():
        figure = comparison_figure(table, agreement, about)
        save(figure, stem.parent, stem.name)


def comparison_figure(table: pd.DataFrame, agreement: pd.DataFrame, about: Mapping[str, Any]) -> Any:
    """Return the matplotlib Figure; arguments as in `draw_comparison`. The panels share their rows."""
    from matplotlib.figure import Figure

    names = list(table["method"])
    side = max(_CELL * len(names), 1.9)
    panels = 2 if "average_precision" in table else 1
    width = _NAMES + side + panels * (_GAP + _PANEL) + _RIGHT
    height = _ABOVE + side + _BELOW
    figure = Figure(figsize=(width, height))

    def axes_at(left: float, wide: float) -> Any:
        return figure.add_axes((left / width, _BELOW / height, wide / width, side / height))

    _draw_agreement(axes_at(_NAMES, side), table, agreement)
    left = _NAMES + side + _GAP
    _draw_cost(axes_at(left, _PANEL), table)
    if panels == 2:
        axes = axes_at(left + _PANEL + _GAP, _PANEL)
        _draw_precision(axes, table, about["true_base_share"])
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.5 / side), fontsize=7.5, frameon=False)
    figure.text(0.15 / width, 1 - 0.12 / height, _title(about), fontsize=9, color=_INK, va="top")
    return figure


def _title(about: Mapping[str, Any]) -> str:
    kind = str(about["reference_kind"]).replace("_", " ")
    return (
        f"{about['n_sequences']} sequences, target {about['target']}\n"
        f"number of references {about['reference_number']}, {kind}"
    )


def _draw_agreement(axes: Any, table: pd.DataFrame, agreement: pd.DataFrame) -> None:
    names = list(table["method"])
    values = _square(names, agreement)
    np.fill_diagonal(values, np.where(table["note"] == "", 1.0, np.nan))
    axes.imshow(np.ma.masked_invalid(values), cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    for row, column in np.ndindex(*values.shape):
        value = float(values[row, column])
        if np.isfinite(value) and row != column:
            color = "white" if abs(value) > 0.58 else _INK
            place: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7.5}
            axes.text(column, row, _two_digits(value), color=color, **place)
    places = range(len(names))
    axes.set_xticks(places, names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, names)
    axes.tick_params(length=0)
    axes.set_title("agreement: Pearson above,\nSpearman below the diagonal", fontsize=9, loc="left")


def _two_digits(value: float) -> str:
    return f"{value:.2f}".replace("0.", ".").replace("-.00", ".00")


def _square(names: list[str], agreement: pd.DataFrame) -> NDArray[np.float64]:
    """Return Pearson's correlations above the diagonal and Spearman's below; NaN where undefined."""
    values = np.full((len(names), len(names)), np.nan)
    at = {name: place for place, name in enumerate(names)}
    for pair in agreement.itertuples():
        one, other = sorted((at[str(pair.method1)], at[str(pair.method2)]))
        values[one, other], values[other, one] = pair.pearson, pair.spearman
    return values


def _draw_cost(axes: Any, table: pd.DataFrame) -> None:
    relative = table["cost"].notna().any()
    cost = table["cost"] if relative else 1000 * table["seconds_per_sequence"]
    shown = cost.fillna(0).to_numpy(float)
    _bars(axes, shown)
    finite = shown[shown > 0]
    axes.set_xscale("log")
    axes.set_xlim(finite.min() / 2, finite.max() * 12)  # room for the number at the longest bar
    for row, (value, note) in enumerate(zip(shown, table["note"], strict=True)):
        if note:
            axes.text(axes.get_xlim()[0] * 1.15, row, "refused", va="center", fontsize=7.5, color=_MARK)
        else:
            axes.text(value * 1.15, row, _figure_of(value), va="center", fontsize=7.5, color=_INK)
    axes.set_title("time", fontsize=9, loc="left")
    axes.set_xlabel("multiple of gradient x input" if relative else "milliseconds per sequence")


def _figure_of(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _draw_precision(axes: Any, table: pd.DataFrame, chance: float) -> None:
    _bars(axes, table["average_precision"].fillna(0).to_numpy(float))
    at_true = table["precision_at_true"].to_numpy(float)
    rows = np.arange(len(at_true))
    axes.plot(
        at_true,
        rows,
        "o",
        color=_MARK,
        markersize=4,
        clip_on=False,
        label="precision of the best k of k true bases",
    )
    axes.axvline(chance, color=_QUIET, linewidth=0.8, linestyle="--", label="chance")
    axes.set_xlim(0, 1)
    axes.set_title("average precision of motif bases", fontsize=9, loc="left")
    axes.set_xlabel("1 is best")


def _bars(axes: Any, values: NDArray[np.float64]) -> None:
    axes.barh(np.arange(len(values)), values, height=0.62, color=_BAR)
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines[["top", "right"]].set_visible(False)
