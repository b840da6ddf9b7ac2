"""The figures of a benchmark: the ratios for each model, and cost against size on log-log axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from measure import FLAT, FLOOR, GRADIENT, TASKS, TASKS_FLOOR, ratio
from scaling import slope
from tables import Record

_COLOURS = {"floor": "0.6", "genolift": "#2a6f97", "peer": "#e09f3e", "other": "#c97b84"}


def draw_ratios(records: Sequence[Record], path: Path) -> None:
    """Write a PNG with a panel for each model: each run's time over the floor, hatched if scores disagree."""
    figure, panels = plt.subplots(1, len(records), figsize=(4.2 * len(records), 4.5), squeeze=False)
    for panel, record in zip(panels[0], records, strict=True):
        left_out = (FLAT, GRADIENT, TASKS, TASKS_FLOOR)
        names = [name for name in record["seconds"] if name not in left_out]
        values = [ratio(record, name, FLOOR) or 0.0 for name in names]
        bars = panel.barh(names, values, color=[_colour(name) for name in names])
        for name, bar in zip(names, bars, strict=True):
            if not record["peers"].get(name.split(",")[0], {"agrees": True}).get("agrees"):
                bar.set_hatch("//")
        panel.bar_label(bars, fmt="%.2f", padding=2, fontsize=8)
        panel.axvline(1, color="0.3", linewidth=0.8)
        panel.invert_yaxis()
        panel.tick_params(labelsize=8)
        panel.margins(x=0.15)
        panel.set_title(f"{record['model']}, {record['length']:,} bp", fontsize=10)
        panel.set_xlabel("time over the floor")
    _write(figure, path)


def draw_scaling(measured: Mapping[str, Sequence[tuple[int, float]]], path: Path) -> None:
    """Write a PNG with a panel for each axis: seconds against its values, and a line for linear cost."""
    figure, panels = plt.subplots(1, len(measured), figsize=(4 * len(measured), 3.6), squeeze=False)
    for panel, (axis, points) in zip(panels[0], measured.items(), strict=True):
        values, seconds = zip(*points, strict=True)
        panel.loglog(values, seconds, "o-", color=_COLOURS["genolift"])
        last_value, last_seconds = points[-1]
        linear = [last_seconds * value / last_value for value in values]
        panel.loglog(values, linear, "--", color="0.5", linewidth=0.8)
        panel.set_xlabel(axis if axis != "length" else "length, bp")
        panel.set_ylabel("seconds")
        panel.set_title(f"slope {slope(points):.2f}; dashed: linear", fontsize=9)
    _write(figure, path)


def _colour(name: str) -> str:
    if name.startswith(FLOOR):
        return _COLOURS["floor"]
    return _COLOURS["genolift" if name.startswith("genolift") else "peer"]


def _write(figure: plt.Figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
