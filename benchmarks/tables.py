"""Writes the records of `measure` as Markdown: a table of the bars, and one of all timings for each model."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from measure import FLAT, FLOOR, GRADIENT, RULES, TASKS, TASKS_FLOOR, of_precision, ratio

Record = dict[str, Any]
_NONE = "-"


@dataclass(frozen=True)
class Bar:
    """A ratio and how small, or how large, it should be."""

    what: str
    limit: float
    at_most: bool
    value: Callable[[Record], float | None]

    def met(self, value: float) -> bool:
        """Whether a value reaches the bar."""
        return value <= self.limit if self.at_most else value >= self.limit


def fastest_peer(record: Record, batch: str = "best batch") -> str | None:
    """Return the run of the fastest peer whose scores agree with ours, or None if there is none."""
    names = [f"{name}, {batch}" for name, found in record["peers"].items() if found.get("agrees")]
    return min(names, key=lambda name: statistics.median(record["seconds"][name]), default=None)


def faster(record: Record, name: str, batch: str = "best batch") -> float | None:
    """Return how many times faster than the fastest peer a run is."""
    peer = fastest_peer(record, batch)
    return None if peer is None else ratio(record, peer, name)


def _over(name: str, other: str) -> Callable[[Record], float | None]:
    return lambda record: ratio(record, name, other)


def bars(device: str) -> list[Bar]:
    """Return the bars for a device."""
    rescale, half = "genolift rescale", of_precision("genolift rescale", "bfloat16")
    rows = [
        Bar("Rescale over the floor", 1.15, True, _over(rescale, FLOOR)),
        Bar("genomics-default over the floor", 1.15, True, _over("genolift genomics-default", FLOOR)),
        Bar("RevealCancel over Rescale", 2.0, True, _over("genolift revealcancel", rescale)),
        Bar(
            "times faster than the fastest peer, its best batch",
            4.0 if device == "cuda" else 2.4,
            False,
            lambda record: faster(record, rescale),
        ),
        Bar(
            "times faster than the fastest peer, default batches",
            4.0 if device == "cuda" else 3.0,
            False,
            lambda record: faster(record, rescale, "default batch"),
        ),
        Bar("one flat reference over gradient x input", 1.6, True, _over(FLAT, GRADIENT)),
        Bar("k tasks over one forward and k backwards", 1.15, True, _over(TASKS, TASKS_FLOOR)),
    ]
    if device == "cpu":
        rows.insert(5, Bar("times faster in bfloat16 than in float32", 1.5, False, _over(rescale, half)))
    return rows


def markdown(machine: dict[str, Any], records: Sequence[Record], device: str, command: str) -> str:
    """Return the whole page of results."""
    lines = [f"`{command}`", ""]
    lines += [", ".join(f"{key} {value}" for key, value in machine.items()), ""]
    lines += ["## Bars", ""]
    header = ["what", "bar", *(record["model"] for record in records)]
    rows = []
    for bar in bars(device):
        values = [bar.value(record) for record in records]
        limit = f"{'at most' if bar.at_most else 'at least'} {bar.limit:g}"
        rows.append([bar.what, limit, *(_judged(bar, value) for value in values)])
    lines += [*table(header, rows), "", "In bold what misses its bar.", ""]
    for record in records:
        lines += _of_model(record)
    return "\n".join(lines)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    made = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    return made + [f"| {' | '.join(row)} |" for row in rows]


def _judged(bar: Bar, value: float | None) -> str:
    if value is None:
        return _NONE
    return f"{value:.2f}" if bar.met(value) else f"**{value:.2f}**"


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.2f}"


def _of_model(record: Record) -> list[str]:
    r, n = record["references"], record["sequences"]
    lines = [f"## {record['model']}: {record['length']:,} bp, {n} sequences, {r} references each", ""]
    lines += [*table(*_timed(record)), "", *table(*_agreement(record)), ""]
    precisions = list(next(iter(record["errors"].values())))
    errors = [
        [rule, *(f"{record['errors'][rule][precision]:.1e}" for precision in precisions)] for rule in RULES
    ]
    lines += ["Largest error against float64, over the largest contribution:", ""]
    lines += [*table(["rule", *precisions], errors), ""]
    peaks = {name: f"{size / 2**20:,.0f}" for name, size in record["memory"].items()}
    lines += ["Peak memory above what was held before, MiB:", ""]
    return [*lines, *table(list(peaks), [list(peaks.values())]), ""]


def _timed(record: Record) -> tuple[list[str], list[list[str]]]:
    pairs = record["sequences"] * record["references"]
    rows = []
    for name, seconds in record["seconds"].items():
        number = record["sequences of one flat reference"] if name in (FLAT, GRADIENT) else pairs
        others = name in (FLAT, GRADIENT, TASKS, TASKS_FLOOR)
        rows.append(
            [
                name,
                str(record["batches"].get(name) or "its own"),
                f"{1000 * statistics.median(seconds) / number:.3f}",
                _NONE if others else _number(ratio(record, name, FLOOR)),
                _NONE if others else _number(faster(record, name)),
                f"{record['first seconds'][name]:.2f}",
            ]
        )
    rows += [[name, why, *[_NONE] * 4] for name, why in record.get("failed", {}).items()]
    return [
        "run",
        "batch",
        "ms a pair",
        "over the floor",
        "times as fast as the fastest peer",
        "first run, s",
    ], rows


def _agreement(record: Record) -> tuple[list[str], list[list[str]]]:
    rows = []
    for name, found in record["peers"].items():
        if "error" in found:
            rows.append([name, str(found.get("version")), found["error"], _NONE, _NONE])
            continue
        agrees = "yes" if found["agrees"] else "no: its time counts for nothing"
        figures = [f"{found[key]:.1e}" for key in ("difference", "missing of the sum")]
        rows.append([name, str(found["version"]), agrees, *figures])
    return [
        "peer",
        "version",
        "agrees",
        "largest difference over the largest score",
        "missing of the sum",
    ], rows
