"""What several targets cost over one: ``python benchmarks/several_targets.py --targets 12``.

Of one forward pass and a backward pass for each target, N targets should cost (1 + N b) / (1 + b) of one, b
the time of a backward over that of a forward, which is measured within the call of one target. Measured are
``genolift.deeplift`` on a model that is captured, and ``genolift attribute`` beyond its start: what it takes
for all sequences over what it takes for two. CPU seconds on one thread, medians of the rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import one_thread
import torch
from commands import cost_of
from end_to_end import genolift_command
from machine import machine
from models import random_onehot, with_statistics
from safetensors.torch import save_file
from timing import interleaved, median_ratio
from torch import nn

import genolift
from genolift.engine.run import job
from genolift.engine.run.run import Runner
from genolift.models import make_module

COLUMNS = ["model", "of", "b", "one, s", "all, s", "ratio", "(1 + N b) / (1 + b)", "over it"]
MODELS = Path(__file__).with_name("models.py")
SHAPES: dict[str, tuple[str, dict[str, int], int]] = {
    "bpnet": ("BPNetShaped", {"tasks": 164}, 2114),
    "basset": ("BassetShaped", {}, 600),
    "deepsea": ("DeepSEAShaped", {}, 1000),
}
"""The class, its arguments, and the bases of a sequence."""
CPU = torch.device("cpu")
FEW = 2


def backward_over_forward(run: Callable[[], object]) -> float:
    """Return the CPU time of the backward passes of a call over that of its forward passes."""
    spent: dict[str, float] = defaultdict(float)

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run_it(*args: Any, **options: Any) -> Any:
            started = time.process_time()
            made = function(*args, **options)
            spent[name] += time.process_time() - started
            return made

        return run_it

    forward, backward = Runner.forward, job.multipliers_of
    Runner.forward, job.multipliers_of = timed("forward", forward), timed("backward", backward)  # type: ignore[method-assign, assignment]
    try:
        run()
    finally:
        Runner.forward, job.multipliers_of = forward, backward  # type: ignore[method-assign]
    return spent["backward"] / spent["forward"]


def row_of(
    model: str, what: str, b: float, one: list[float], several: list[float], targets: int
) -> list[str]:
    """Return a row of the table."""
    bound, ratio = (1 + targets * b) / (1 + b), median_ratio(several, one)
    seconds = [f"{statistics.median(each):.2f}" for each in (one, several)]
    return [model, what, f"{b:.2f}", *seconds, f"{ratio:.2f}", f"{bound:.2f}", f"{ratio / bound:.2f}"]


def in_python(
    model: nn.Module, length: int, given: argparse.Namespace
) -> tuple[float, dict[str, list[float]]]:
    """Return b, and the seconds of one target and of all in each round."""
    x = random_onehot(given.sequences, length)
    references = genolift.references.dinucleotide_shuffle(x, r=given.references, seed=0)

    def run(target: Any) -> Callable[[], object]:
        return lambda: genolift.deeplift(model, x, references, target=target, device="cpu")

    runs = {"one": run(0), "all": run([*range(given.targets)])}
    for each in [*runs.values()] * 2:  # what is compiled and captured first does not count
        each()
    b = statistics.median(backward_over_forward(runs["one"]) for _ in range(given.rounds))
    return b, interleaved(runs, given.rounds, CPU, time.process_time)


def by_command(spec: dict[str, Any], length: int, given: argparse.Namespace) -> dict[str, list[float]]:
    """Return the seconds of one target and of all, beyond the start, in each round."""
    found: dict[str, list[float]] = {"one": [], "all": []}
    with tempfile.TemporaryDirectory() as scratch:
        folder, sizes = Path(scratch), (FEW, given.windows)
        for n in sizes:
            letters = ["".join("ACGT"[code] for code in row) for row in random_onehot(n, length).argmax(1)]
            (folder / "s.fa").write_text("".join(f">s{i}\n{text}\n" for i, text in enumerate(letters)))
            out = "--table", folder / "s.tsv", "--out", folder / f"{n}.h5"
            genolift_command("encode", "--fasta", folder / "s.fa", *out)
        for _ in range(given.rounds):
            for name, targets in (("one", [0]), ("all", [*range(given.targets)])):
                settings = {"model": spec, "targets": targets, "references": {"number": given.references}}
                took = []
                for n in sizes:
                    files = [
                        "--sequences",
                        str(folder / f"{n}.h5"),
                        "--out",
                        f"{scratch}/{name}{len(targets)}",
                    ]
                    told = ["--settings", json.dumps(settings), "--device", "cpu"]
                    told += ["--tolerance", "1", "--quiet"]  # of random weights, whose outputs may cancel
                    took.append(cost_of(["attribute", *told, *files], {}).cpu)
                found[name].append(took[1] - took[0])
    return found


def main() -> None:
    """Measure each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(SHAPES), choices=SHAPES)
    parser.add_argument("--targets", type=int, default=12)
    parser.add_argument("--sequences", type=int, default=8, help="of the call")
    parser.add_argument("--windows", type=int, default=32, help="of the command")
    parser.add_argument("--references", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="also write OUT.md and OUT.json")
    given = parser.parse_args()
    table: list[list[str]] = []
    for name in given.models:
        kind, arguments, length = SHAPES[name]
        called = f"{MODELS}:{kind}"
        torch.manual_seed(0)
        model = with_statistics(make_module(called, arguments))
        b, seconds = in_python(model, length, given)
        table.append(row_of(name, "the call", b, seconds["one"], seconds["all"], given.targets))
        with tempfile.TemporaryDirectory() as scratch:
            path = f"{scratch}/weights.safetensors"
            save_file(model.state_dict(), path)
            spec = {"path": path, "class": called, "arguments": arguments}
            seconds = by_command(spec, length, given)
        table.append(row_of(name, "the command", b, seconds["one"], seconds["all"], given.targets))
        one_thread.report(given.out, f"{given.targets} targets", COLUMNS, table, machine(CPU))


if __name__ == "__main__":
    main()
