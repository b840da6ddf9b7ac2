"""Logos: pictures of letters with given heights.

The one place that calls logomaker. A figure depends only on a DataFrame; matplotlib's state is not changed.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genolift.files.tables import Table
from genolift.motifs.known import Matrix

INDEX = Table("index.tsv", "logos", "kind name orientation matrix png svg focus:float64")
"""Of ``logos/``: where each picture is, and what it shows."""

# The field's A green, C blue, G orange and T red, in shades that differ in lightness too. Through Machado,
# Oliveira and Fernandes' (2009) matrices of red and green blindness the nearest two, A and T, are 21 CIELAB
# units apart, and all others 40 or more.
COLORS = {"A": "#2ca25f", "C": "#2b5fc1", "G": "#f2a516", "T": "#b2182b", "U": "#b2182b"}
_GLYPH: dict[str, Any] = {"font_name": "DejaVu Sans", "font_weight": "bold", "vpad": 0.02, "width": 0.95}
_INK, _QUIET = "#333333", "#8a8a8a"
_RIGHT = 0.15  # inches to the right of a logo's axes
_STYLE = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "svg.fonttype": "path",
    "svg.hashsalt": "genolift",
    "text.color": _INK,
    "axes.edgecolor": _QUIET,
    "axes.labelcolor": _INK,
    "xtick.color": _QUIET,
    "ytick.color": _QUIET,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
}


def reverse_complement(matrix: Matrix) -> Matrix:
    """Return the reverse complement of a matrix, (base, position), bases A C G T."""
    return matrix[::-1, ::-1]


def information_content(ppm: Matrix) -> Matrix:
    """Return the heights in bits, (base, position), of a PPM's letters against equal frequencies.

    A position's height is 2 bits minus its entropy, divided among its letters by frequency (Schneider and
    Stephens 1990), without a correction for small samples.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        surprise = np.where(ppm > 0, ppm * np.log2(ppm), 0.0)
    return ppm * np.maximum(2 + surprise.sum(0, keepdims=True), 0.0)


def logo_figure(
    frame: pd.DataFrame,
    *,
    title: str = "",
    subtitle: str = "",
    y_label: str = "",
    x_label: str = "",
    y_limits: tuple[float, float] | None = None,
    inches_per_base: float = 0.2,
) -> Any:
    """Return a matplotlib Figure of the logo of ``frame``: heights by position (rows) and base (columns).

    The index of the rows holds the coordinates on the axis, one apart, rising or falling. Letters with
    negative height are below the axis, upright. Draw and save within `style` for genolift's fonts and lines.
    """
    from matplotlib.figure import Figure

    n, labels = len(frame), frame.index.to_numpy()
    low, high = y_limits or limits([frame.to_numpy(float).T])
    left, right, above, below = 0.75, _RIGHT, 0.5 if title else 0.12, 0.52 if x_label else 0.3
    width, height = left + right + max(inches_per_base * n, 3.3), above + below + 1.15
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((left / width, below / height, 1 - (left + right) / width, 1.15 / height))
    # Letters too small to see are omitted: they would make the file several times larger.
    heights = frame.to_numpy(float)
    heights = np.where(np.abs(heights) > (high - low) / 200, heights, 0.0)
    _draw_letters(axes, heights, [str(letter) for letter in frame.columns])
    axes.axhline(0, color="black", linewidth=0.6, zorder=-1)
    axes.set_xlim(-0.6, n - 0.4)
    axes.set_ylim(low, high)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    ticks = _ticks(labels, inches_per_base)
    axes.set_xticks(ticks, [f"{labels[at]:,}" for at in ticks])
    axes.tick_params(axis="x", length=2, pad=2)
    axes.tick_params(axis="y", length=2, pad=2)
    axes.locator_params(axis="y", nbins=4)
    axes.set_xlabel(x_label, labelpad=3)
    axes.set_ylabel(y_label, labelpad=4)
    axes.yaxis.set_label_coords(-0.46 / (width - left - right), 0.5)
    put: dict[str, Any] = {"x": left / width, "va": "center", "parse_math": False}
    if title:
        figure.text(y=1 - 0.2 / height, s=title, size=11, weight="bold", **put)
        figure.text(y=1 - 0.38 / height, s=subtitle, size=8.5, color="#5c5c5c", **put)
    return figure


def _draw_letters(axes: Any, heights: Matrix, letters: Sequence[str]) -> None:
    """Stack the letters, (position, base), the highest on top, and those below the axis upright.

    logomaker shapes each letter once, and all places of it are one patch: a patch for each place, as its
    `Logo` makes them, of letters without height too, takes ten times as long.
    """
    from logomaker import Glyph
    from matplotlib.path import Path as Outline

    order = heights.argsort(axis=1)
    stacked = np.abs(np.take_along_axis(heights, order, axis=1))
    tops = stacked.cumsum(1) + np.minimum(heights, 0).sum(1, keepdims=True)
    floors = np.empty_like(heights)
    np.put_along_axis(floors, order, tops - stacked, axis=1)
    for number, letter in enumerate(letters):
        (at,) = heights[:, number].nonzero()
        if not len(at):
            continue
        glyph = Glyph(0, letter, 0, 1, ax=axes, color=COLORS[letter], zorder=0, **_GLYPH)
        outline = glyph.patch.get_path()
        scales = np.column_stack([np.ones(len(at)), np.abs(heights[at, number])])
        places = np.column_stack([at, floors[at, number]])
        points = outline.vertices * scales[:, None] + places[:, None]
        glyph.patch.set_path(Outline(points.reshape(-1, 2), np.tile(outline.codes, len(at))))


def limits(heights: Sequence[Matrix]) -> tuple[float, float]:
    """Return the lowest and highest stack of letters of matrices (base, position), plus a small margin."""
    high = max(float(np.maximum(one, 0).sum(0).max(initial=0)) for one in heights)
    low = min(float(np.minimum(one, 0).sum(0).min(initial=0)) for one in heights)
    if high == low:
        return -1.0, 1.0
    air = 0.05 * (high - low)
    return (low - air if low < 0 else 0.0), (high + air if high > 0 else 0.0)


def _ticks(labels: NDArray[np.int64], inches_per_base: float) -> list[int]:
    """Return the indices of round coordinates, as many as there is room for labels."""
    width = 0.07 * max(len(f"{label:,}") for label in labels)
    room = (width + 0.18) / inches_per_base  # bases that a label takes
    step = next(step for step in (1, 2, 5, 10, 20, 25, 50, 100, 10**9) if step >= room)
    last = len(labels) - 1 - (width / 2 - _RIGHT) / inches_per_base  # a later label would be cut off
    return [at for at, label in enumerate(labels) if label % step == 0 and at <= last]


@contextmanager
def style() -> Iterator[None]:
    """Draw with genolift's fonts and lines, and restore matplotlib's settings afterwards."""
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]  # its keys are a Literal of all there are
        yield


def save(figure: Any, folder: Path, stem: str) -> tuple[str, str]:
    """Write a figure as PNG and SVG, and return the files' names."""
    png, svg = f"{stem}.png", f"{stem}.svg"
    figure.savefig(folder / png, format="png", dpi=150, metadata={"Software": None})
    figure.savefig(folder / svg, format="svg", metadata={"Date": None, "Creator": None})
    text = (folder / svg).read_text("utf-8")
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'(?<= d=")[^"]+', _short_path, text)
    (folder / svg).write_text(re.sub(r"\s*\n\s*", "\n", text), "utf-8")
    return png, svg


def _short_path(path: re.Match[str]) -> str:
    """Return an SVG path with one decimal instead of six, on one line, which halves its length."""
    words = (f"{float(word):.1f}" if "." in word else word for word in path.group().split())
    return " ".join(words)


def window_coordinates(place: pd.Series, start: int, end: int) -> tuple[NDArray[np.int64], str]:
    """Return the coordinate of each base of a stretch of a sequence, and the axis label.

    Coordinates are genomic and 1-based, as in browsers, if ``place``, a row of ``per_sequence.tsv``, has
    them; they decrease along a sequence that is the reverse complement of its window. Otherwise the
    sequence's bases are counted from 1. ``start`` and ``end`` are 0-based half-open.
    """
    positions = np.arange(start, end)
    if not place["chrom"]:
        return positions + 1, "base of the sequence, from 1"
    if place["strand"] == "-":
        return int(place["end"]) - positions, f"position on {place['chrom']}, along the minus strand"
    return int(place["start"]) + 1 + positions, f"position on {place['chrom']}"
