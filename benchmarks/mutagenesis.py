"""In-silico mutagenesis: genolift by windows, by whole rows, and tangermeme's fast form, on one thread.

    python benchmarks/mutagenesis.py --out benchmarks/results/mutagenesis    # some ten minutes
    python benchmarks/mutagenesis.py --models basset --rounds 5

All substitutions of one sequence by a model that is captured already: CPU seconds (user and system), what is
compared alternating within one process; a ratio is the median of the rounds' ratios. Before that all must
agree. tangermeme tries its fast form on jobs of half a minute or more; here it is used whatever the job.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import one_thread
import torch
from floor import BATCH_SIZES
from machine import machine
from measure import said
from models import SHAPES, Shape, random_onehot, with_statistics
from peers import OneTask
from tangermeme._fastism import _FastISM
from tangermeme.saturation_mutagenesis import _single_edits
from timing import Run, best_batch, interleaved, median_ratio
from torch import Tensor, nn

from genolift.engine.run.substituted import Substituted
from genolift.explain import substitution
from genolift.explain.methods import Mutagenesis
from genolift.explain.result import Attribution

CPU = torch.device("cpu")
MODELS = ("bpnet", "basset", "deepsea")
WINDOWS, WHOLE, FLOOR, ROWS = "genolift", "genolift, whole rows", "plain forward", 64
TANGERMEME = "tangermeme, {} at a time"
AGREES = 1e-5
HEADER = [
    "model",
    "seconds",
    "whole rows over genolift",
    "tangermeme over genolift, 32 at a time",
    "at its best",
    "operations computed over reached",
    "whole over reached",
    "time over that of what is reached at the floor's rate",
    "largest difference",
]


class WholeRows(Mutagenesis):
    """The same with the plain form alone."""

    def explain(self, inputs: Tensor, **options: Any) -> Attribution:
        """See `Mutagenesis.explain`."""
        least, substitution._LEAST = substitution._LEAST, float("inf")
        try:
            return super().explain(inputs, **options)
        finally:
            substitution._LEAST = least


class Counted:
    """Adds up the operations of the batches that are computed."""

    def __init__(self) -> None:
        self.plain = self.computed = self.reached = 0.0

    def run(self, explainer: Mutagenesis, x: Tensor) -> None:
        """Count what one explanation computes, and what each substitution of it reaches."""
        output = Substituted.output

        def counted(windows: Substituted, kept: object, base: Tensor, position: Tensor) -> Tensor:
            work = windows.work(position)
            self.plain += work.plain
            self.computed += work.computed
            self.reached += work.reached
            return output(windows, kept, base, position)  # type: ignore[arg-type]

        Substituted.output = counted  # type: ignore[method-assign, assignment]
        try:
            explainer.explain(x)
        finally:
            Substituted.output = output  # type: ignore[method-assign]


def tangermeme_run(model: nn.Module, x: Tensor, batch: int) -> Run:
    """Return what runs tangermeme's fast form on all substitutions, captured before."""
    onehot = x.to(torch.int8)
    length = x.shape[2]
    with torch.no_grad():
        fast = _FastISM(model, onehot, None, 0, length, CPU, torch.float32, False)

    def run() -> Tensor:
        """The outputs, (n, 4, length), those of the bases that are there 0."""
        found = torch.zeros(x.shape)
        with torch.no_grad():
            for row in range(len(x)):
                _, bases, positions = _single_edits(onehot[row], 0, length)
                outputs = fast.predict_edits(row, bases, positions, batch)
                found[row, bases, positions] = outputs[:, 0]
        return found

    return run


def measured(shape: Shape, rounds: int, batches: list[int]) -> list[str]:
    """Return a row of the table."""
    torch.manual_seed(0)
    model = OneTask(with_statistics(shape.build())).eval()
    x = random_onehot(1, shape.length)
    ours, whole = Mutagenesis(model, x, device="cpu"), WholeRows(model, x, device="cpu")
    runs: dict[str, Run] = {WINDOWS: lambda: ours.explain(x), WHOLE: lambda: whole.explain(x)}
    runs |= {TANGERMEME.format(batch): tangermeme_run(model, x, batch) for batch in batches}
    said(f"{shape.name}: all once, which must agree")
    counted = Counted()
    counted.run(ours, x)
    results = ours.explain(x), whole.explain(x)
    largest = max(float(each.output.abs().max()) for each in results)
    hypothetical, plain = (each.hypothetical for each in results)
    assert hypothetical is not None
    assert plain is not None
    differences = [float((hypothetical - plain).abs().max())]
    for batch in batches:
        theirs: Any = runs[TANGERMEME.format(batch)]()
        theirs += x * results[1].output[:, None, None]
        differences.append(float((theirs - theirs.mean(1, keepdim=True) - hypothetical).abs().max()))
    if max(differences) > AGREES * largest:
        raise SystemExit(
            f"{shape.name}: the results differ by {max(differences) / largest:.1e} of the largest"
        )
    rows = random_onehot(ROWS, shape.length, 1)

    def forward(batch: int) -> None:
        with torch.no_grad():
            for part in rows.split(batch):
                model(part)

    batch = best_batch(forward, BATCH_SIZES["cpu"], CPU, trials=3)
    runs[FLOOR] = lambda: forward(batch)
    said(f"{shape.name}: {rounds} rounds")
    times = interleaved(runs, rounds, CPU, time.process_time)
    substitutions = int((x == 0).sum())
    share = counted.reached / counted.plain * substitutions / ROWS
    tangermeme = [median_ratio(times[TANGERMEME.format(each)], times[WINDOWS]) for each in batches]
    return [
        f"{shape.name}, {shape.length} bp",
        f"{statistics.median(times[WINDOWS]):.2f}",
        f"{median_ratio(times[WHOLE], times[WINDOWS]):.2f}",
        f"{tangermeme[0]:.2f}",
        f"{min(tangermeme):.2f}",
        f"{counted.computed / counted.reached:.2f}",
        f"{counted.plain / counted.reached:.1f}",
        f"{median_ratio(times[WINDOWS], times[FLOOR]) / share:.2f}",
        f"{differences[0] / largest:.0e}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", nargs="+", type=int, default=[32, 128], help="of tangermeme")
    parser.add_argument("--out", type=Path, help="also write OUT.md and OUT.json")
    a = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in a.models:
        rows.append(measured(SHAPES[name], a.rounds, a.batches))
        one_thread.report(a.out, "In-silico mutagenesis", HEADER, rows, machine(CPU))


if __name__ == "__main__":
    main()
