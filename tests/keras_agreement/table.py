"""``python -m keras_agreement.table ROWS``: print docs/keras-layers.md from the results of `read`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from keras_agreement.case import Case
from keras_agreement.cases import CASES
from keras_agreement.coverage import LEFT_OUT
from keras_agreement.read import Row, rows_in

_HEAD = """# Every layer of Keras, compared

Made by `make keras-agreement`: for every row, Keras on TensorFlow writes a small model in every form, and
genolift reads it; [keras.md](keras.md) lists the forms. Weights are random, including a norm's mean and
variance; the sequences contain zeros, as in padding, and N as a quarter of each base. The error is the
largest difference from TensorFlow's outputs, divided by the largest output. The last column, given for a few,
is how far the sum of the contributions, in float64, is from the output difference, divided by the largest.

| layer | settings | Keras | form | error | sum |
|---|---|---|---|---|---|
"""


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m keras_agreement.table", description=__doc__)
    parser.add_argument("rows", type=Path, help="what keras_agreement.read --out wrote")
    options = parser.parse_args()
    print(table(rows_in(options.rows)), end="")
    return 0


def table(rows: Sequence[Row]) -> str:
    """Return the page: one line for each case and generation, or several if forms differ, and the counts."""
    cases = {case.name: case for case in CASES}
    order = {name: number for number, name in enumerate(cases)}
    rows = sorted(rows, key=lambda row: (order[row.case], row.generation))
    lines: list[str] = []
    for (name, _), group in groupby(rows, key=lambda row: (row.case, row.generation)):
        lines += _lines(cases[name], list(group))
    return "\n".join([_HEAD + "\n".join(lines), "", *_left_out(), "", *_counts(rows, cases), ""])


def _lines(case: Case, rows: list[Row]) -> list[str]:
    lines = []
    losses = [row.loss for row in rows if row.loss is not None]
    rows = sorted(rows, key=_kind)
    for _, alike in groupby(rows, key=_kind):
        same = list(alike)
        forms = ", ".join(row.form for row in same)
        loss = f"{max(losses):.0e}" if losses and same[0].read.right else ""
        cells = [case.layer, case.settings, same[0].keras, forms, _outcome(same), loss]
        lines.append("| " + " | ".join(_plain(cell) for cell in cells) + " |")
    return lines


def _kind(row: Row) -> str:
    """Return what must be equal for rows to share a line."""
    read = row.read
    return "" if read.right else f"{read.reason or read.unwritten or read.fault or read.error}"


def _outcome(rows: list[Row]) -> str:
    read = rows[0].read
    if read.error is not None:
        error = f"{max(row.read.error or 0 for row in rows):.0e}"
        return error if read.right else f"WRONG: {error}"
    if read.refused:
        return f"refused: {str(read.reason).partition(' (config ')[0]}"
    if read.unwritten:
        return f"not written by Keras: {read.unwritten[:160]}"
    return f"FAULT: {read.fault}"


def _plain(cell: str) -> str:
    """Return a text escaped so that Markdown shows it unchanged."""
    for sign in "\\*|<`":
        cell = cell.replace(sign, f"\\{sign}")
    return cell


def _left_out() -> Iterable[str]:
    yield "## Layers with no model here"
    yield ""
    yield "These layers of `keras.layers` take no one-hot sequence, or compute nothing without further code:"
    yield ""
    for reason in dict.fromkeys(LEFT_OUT.values()):
        yield f"- {', '.join(name for name in LEFT_OUT if LEFT_OUT[name] == reason)}: {reason}."


def _counts(rows: Sequence[Row], cases: dict[str, Case]) -> Iterable[str]:
    yield "## Counts"
    yield ""
    versions = sorted({(row.keras, row.tensorflow) for row in rows})
    yield "| | " + " | ".join(f"Keras {keras}" for keras, _ in versions) + " |"
    yield "|---|" + "---|" * len(versions)
    of = [[row for row in rows if (row.keras, row.tensorflow) == version] for version in versions]
    counts = {
        "TensorFlow": [tensorflow for _, tensorflow in versions],
        "layers": [len({cases[row.case].layer for row in here}) for here in of],
        "settings": [len({row.case for row in here}) for here in of],
        "forms": [len({row.form for row in here}) for here in of],
        "files read": [sum(not row.read.unwritten for row in here) for here in of],
        "files that agree": [sum(row.read.right for row in here) for here in of],
        "files refused": [sum(bool(row.read.refused) for row in here) for here in of],
        "settings refused in some form": [len({r.case for r in here if r.read.refused}) for here in of],
        "files that Keras could not write": [sum(bool(row.read.unwritten) for row in here) for here in of],
        "files read wrong": [sum(row.wrong for row in here) for here in of],
        "largest error": [f"{max((row.read.error or 0 for row in here), default=0):.0e}" for here in of],
        "explained": [sum(row.loss is not None for row in here) for here in of],
        "largest error of a sum": [f"{max((row.loss or 0 for row in here), default=0):.0e}" for here in of],
    }
    for name, numbers in counts.items():
        yield f"| {name} | " + " | ".join(map(str, numbers)) + " |"


if __name__ == "__main__":
    sys.exit(main())
