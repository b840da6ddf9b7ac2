"""Times of several ways to do the same, in rounds so that a noisy machine is noisy to all; tables of them.

Import it before numpy and torch: it sets every library to one thread.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[_variable] = "1"


def seconds_by_way(ways: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Call each way once a round, after one call that is not counted (compiling), and return its seconds."""
    for way in ways.values():
        way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds: Mapping[str, list[float]], slower: str, faster: str) -> float:
    """Return the median over rounds of the ratio within a round."""
    return statistics.median(a / b for a, b in zip(seconds[slower], seconds[faster], strict=True))


def report(
    out: Path | None, title: str, header: list[str], rows: list[list[str]], facts: dict[str, Any]
) -> None:
    """Print a Markdown table and ``facts``; with ``out``, write them to out.md and out.json."""
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    lines += ["", *(f"{name}: {value}" for name, value in facts.items())]
    text = "\n".join([f"## {title}", "", *lines, ""])
    print(text)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.with_suffix(".md").write_text(text)
        table = [dict(zip(header, row, strict=True)) for row in rows]
        out.with_suffix(".json").write_text(json.dumps({"title": title, "rows": table, **facts}, indent=1))
