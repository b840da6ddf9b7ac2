"""Small plots as SVG, whose colours are in the page's style sheet.

A figure is a string of SVG without ids, so that a page can have any number of them. Its text is text, and its
elements have classes (``axis``, ``grid``, ``mark``, ``mark-forward``, ``mark-reverse``, ``guide``).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import ArrayLike, NDArray

from genolift.report import words

WIDTH, HEIGHT = 430, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 16, 44
_MOST_POINTS = 2000  # more are drawn as a grid of counts: a page of 50,000 circles takes seconds to open
_CELLS = (72, 40)


@dataclass(frozen=True)
class Guide:
    """A vertical line at ``value`` of the x axis, with a label."""

    value: float
    label: str


@dataclass(frozen=True)
class _Axes:
    """The plot's ranges in data units, and their places on the page."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def x(self, value: float) -> float:
        return _LEFT + (value - self.x_low) / (self.x_high - self.x_low) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return (
            HEIGHT - _BOTTOM - (value - self.y_low) / (self.y_high - self.y_low) * (HEIGHT - _TOP - _BOTTOM)
        )


def histogram(
    values: ArrayLike,
    *,
    description: str,
    x_label: str,
    y_label: str = "sequences",
    logarithmic: bool = False,
    guide: Guide | None = None,
    n_bins: int = 30,
) -> Markup | None:
    """Return a histogram of the finite ``values`` (any shape), or None if there are none.

    With ``logarithmic``, values are binned by their decimal logarithm; those below 1e-12 are counted there,
    since float32 cannot distinguish them from zero.
    """
    given = np.append(np.asarray(values, dtype=float), [] if guide is None else [guide.value])
    placed = np.log10(np.maximum(given, 1e-12)) if logarithmic else given
    shown = placed[: given.size - (guide is not None)]
    shown = shown[np.isfinite(shown)]
    if shown.size == 0:
        return None
    marks = placed[np.isfinite(placed)]
    low, high = _widened(float(marks.min()), float(marks.max()), margin=0.04 if guide else 0.0)
    if logarithmic:
        low, high = math.floor(low), math.ceil(high)
    counts, edges = np.histogram(shown, bins=n_bins, range=(low, high))
    axes = _Axes(low, high, 0, counts.max() * 1.1)
    bars = [
        _bar(axes, left, right, 0, number, "mark")
        for left, right, number in zip(edges[:-1], edges[1:], counts, strict=True)
        if number
    ]
    x_ticks = _decades(low, high) if logarithmic else _ticks(low, high)
    guides = [] if guide is None else _vertical(axes, float(placed[-1]), guide.label)
    frame = _frame(axes, x_ticks, _whole_ticks(0, axes.y_high), x_label, y_label)
    return _svg([*frame, *bars, *guides], description)


def scatter(
    x: ArrayLike, y: ArrayLike, *, description: str, x_label: str, y_label: str, diagonal: bool = False
) -> Markup | None:
    """Return a scatter of ``y`` against ``x``, both (sequence,), or None if no pair of them is finite.

    With ``diagonal``, both axes have one range and the line of equality is drawn.
    """
    points = np.column_stack([np.asarray(x, dtype=float), np.asarray(y, dtype=float)])
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) == 0:
        return None
    lows, highs = points.min(axis=0), points.max(axis=0)
    if diagonal:
        lows[:], highs[:] = lows.min(), highs.max()
    (x_low, x_high), (y_low, y_high) = (
        _widened(float(low), float(high), margin=0.04) for low, high in zip(lows, highs, strict=True)
    )
    axes = _Axes(x_low, x_high, y_low, y_high)
    frame = _frame(axes, _ticks(x_low, x_high), _ticks(y_low, y_high), x_label, y_label)
    line = []
    if diagonal:
        line = [_line("guide", axes.x(x_low), axes.x(x_high), axes.y(x_low), axes.y(x_high))]
    marks = _circles(axes, points) if len(points) <= _MOST_POINTS else _cells(axes, points)
    return _svg([*frame, *line, *marks], description)


def strand_histogram(
    forward: ArrayLike, reverse: ArrayLike, *, low: float, high: float, description: str, x_label: str
) -> Markup:
    """Return where hits are between ``low`` and ``high``: forward ones upwards, reverse ones downwards.

    ``forward`` and ``reverse`` are positions in bases, each (hit,).
    """
    n_bins = int(min(40, max(1, high - low)))
    up, edges = np.histogram(np.asarray(forward, dtype=float), bins=n_bins, range=(low, high))
    down, _ = np.histogram(np.asarray(reverse, dtype=float), bins=n_bins, range=(low, high))
    most = max(int(up.max()), int(down.max()), 1) * 1.18
    axes = _Axes(low, high, -most, most)
    bars = []
    for left, right, above, below in zip(edges[:-1], edges[1:], up, down, strict=True):
        bars += [_bar(axes, left, right, 0, above, "mark-forward")] if above else []
        bars += [_bar(axes, left, right, -below, 0, "mark-reverse")] if below else []
    y_ticks = _whole_ticks(-most, most, show=abs)
    names = [
        _text(WIDTH - _RIGHT - 4, _TOP + 10, "forward strand", "end"),
        _text(WIDTH - _RIGHT - 4, HEIGHT - _BOTTOM - 6, "reverse strand", "end"),
    ]
    zero = _line("axis", _LEFT, WIDTH - _RIGHT, axes.y(0), axes.y(0))
    frame = _frame(axes, _ticks(low, high), y_ticks, x_label, "hits")
    return _svg([*frame, *bars, zero, *names], description)


def _widened(low: float, high: float, *, margin: float) -> tuple[float, float]:
    """Return a range of nonzero width, with ``margin`` of it added on both sides."""
    if high - low < 1e-9 * max(abs(low), abs(high), 1e-30):
        around = abs(low) * 0.05 or 0.5
        return low - around, high + around
    return low - margin * (high - low), high + margin * (high - low)


def _ticks(low: float, high: float, most: int = 6) -> list[tuple[float, str]]:
    """Return round values from ``low`` to ``high``, at most about ``most``, with their labels."""
    step = 10 ** math.floor(math.log10((high - low) / most))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    values = [number * step for number in range(first, last + 1)]
    if decimals > 4 or step >= 1e6:
        return [(value, words.figure(value, 2)) for value in values]
    return [(value, words.minus(f"{value:,.{decimals}f}")) for value in values]


def _whole_ticks(low: float, high: float, show: Callable[[int], int] = int) -> list[tuple[float, str]]:
    """Return ticks at whole numbers only, since they are counts."""
    return [
        (value, words.whole(show(round(value)))) for value, _ in _ticks(low, high, 5) if value == round(value)
    ]


def _decades(low: float, high: float) -> list[tuple[float, str]]:
    step = max(1, math.ceil((high - low) / 6))
    return [(power, words.power_of_ten(power)) for power in range(int(low), int(high) + 1, step)]


def _bar(axes: _Axes, left: float, right: float, bottom: float, top: float, kind: str) -> str:
    x, y = axes.x(left), axes.y(top)
    width = max(axes.x(right) - x - 0.8, 0.8)
    height = axes.y(bottom) - y
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def _circles(axes: _Axes, points: NDArray[np.float64]) -> list[str]:
    opacity = 0.75 if len(points) <= 300 else 0.4
    return [
        f'<circle class="mark" cx="{axes.x(x):.1f}" cy="{axes.y(y):.1f}" r="2.5" fill-opacity="{opacity}"/>'
        for x, y in points
    ]


def _cells(axes: _Axes, points: NDArray[np.float64]) -> list[str]:
    """Return a rectangle for every grid cell with points, darker with more of them (by logarithm)."""
    reach = ((axes.x_low, axes.x_high), (axes.y_low, axes.y_high))
    counts, x_edges, y_edges = np.histogram2d(points[:, 0], points[:, 1], bins=_CELLS, range=reach)
    width, height = axes.x(x_edges[1]) - axes.x(x_edges[0]), axes.y(y_edges[0]) - axes.y(y_edges[1])
    opacity = 0.15 + 0.85 * np.log1p(counts) / math.log1p(counts.max())
    return [
        f'<rect class="mark" x="{axes.x(x_edges[i]):.1f}" y="{axes.y(y_edges[j + 1]):.1f}" '
        f'width="{width:.1f}" height="{height:.1f}" fill-opacity="{opacity[i, j]:.2f}"/>'
        for i, j in np.argwhere(counts > 0)
    ]


def _vertical(axes: _Axes, value: float, label: str) -> list[str]:
    x = axes.x(value)
    # The label is on the side that has room for it.
    offset, anchor = (-5, "end") if value > (axes.x_low + axes.x_high) / 2 else (5, "start")
    return [
        _line("guide", x, x, _TOP, HEIGHT - _BOTTOM),
        _text(x + offset, _TOP + 10, label, anchor),
    ]


def _frame(
    axes: _Axes,
    x_ticks: Sequence[tuple[float, str]],
    y_ticks: Sequence[tuple[float, str]],
    x_label: str,
    y_label: str,
) -> list[str]:
    bottom = HEIGHT - _BOTTOM
    parts = [_line("axis", _LEFT, WIDTH - _RIGHT, bottom, bottom)]
    for value, label in y_ticks:
        y = axes.y(value)
        parts += [_line("grid", _LEFT, WIDTH - _RIGHT, y, y), _text(_LEFT - 6, y + 4, label, "end")]
    for value, label in x_ticks:
        x = axes.x(value)
        parts += [_line("axis", x, x, bottom, bottom + 4), _text(x, bottom + 17, label, "middle")]
    parts.append(_text((_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 6, x_label, "middle", kind="label"))
    middle = (_TOP + bottom) / 2
    turned = f' transform="rotate(-90 12 {middle:.1f})"'
    return [*parts, _text(12, middle, y_label, "middle", kind="label", more=turned)]


def _line(kind: str, x1: float, x2: float, y1: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str, *, kind: str = "tick", more: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'


def _svg(parts: Sequence[str], description: str) -> Markup:
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    return Markup(
        f'<svg class="plot" {box} role="img" aria-label="{escape(description)}">{"".join(parts)}</svg>'
    )
