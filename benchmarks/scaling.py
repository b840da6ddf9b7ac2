"""Cost against the numbers of sequences and references and the length, for a model small enough for it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import torch
from measure import said
from models import SmallConvolutional, random_onehot, with_statistics
from timing import Run, interleaved

import genolift
from genolift.explain.attribution import Explainer

LENGTH, SEQUENCES, REFERENCES = 200, 20, 5
AXES = {
    "sequences": (10, 30, 100, 300, 1000, 3000),
    "references": (1, 3, 10, 30, 100, 300),
    "length": (100, 300, 1000, 3000, 10000),
}
QUICK = {"sequences": (10, 20), "references": (1, 2), "length": (100, 200)}


def scaling(device: torch.device, rounds: int, *, quick: bool = False) -> dict[str, list[tuple[int, float]]]:
    """Return (value, median seconds) for each axis, with the other axes fixed."""
    torch.manual_seed(0)
    model = with_statistics(SmallConvolutional()).to(device)
    runs: dict[str, Run] = {}
    axes = QUICK if quick else AXES
    for axis, values in axes.items():
        for value in values:
            work = {"sequences": SEQUENCES, "references": REFERENCES, "length": LENGTH, axis: value}
            runs[f"{axis} {value}"] = _run(model, device, **work)
    said(f"scaling: {rounds} rounds of {len(runs)} runs")
    for run in runs.values():
        run()
    times = interleaved(runs, rounds, device)
    return {
        axis: [(value, statistics.median(times[f"{axis} {value}"])) for value in values]
        for axis, values in axes.items()
    }


def _run(model: torch.nn.Module, device: torch.device, sequences: int, references: int, length: int) -> Run:
    x = random_onehot(sequences, length)
    compared = genolift.references.dinucleotide_shuffle(x, r=references, seed=0)
    explainer = Explainer(model, x, rule="rescale", device=device)
    return lambda: explainer.explain(x, compared)


def slope(points: Sequence[tuple[int, float]]) -> float:
    """Return the least-squares slope of log seconds against log value: 1 if cost is linear, less if a fixed
    cost shows.
    """
    logs = [(math.log(value), math.log(seconds)) for value, seconds in points]
    x, y = (statistics.fmean(each) for each in zip(*logs, strict=True))
    return sum((a - x) * (b - y) for a, b in logs) / sum((a - x) ** 2 for a, _ in logs)
