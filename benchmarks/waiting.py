"""What a person waits for beside the engine: a second call, the first, a few sequences; and the memory held.

    python benchmarks/waiting.py --out benchmarks/results/waiting    # all, some ten minutes
    python benchmarks/waiting.py --parts second small --rounds 9

CPU seconds (user and system) of one thread, so that other work on the machine counts little: what is compared
alternates within one process, or process by process, and a ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import copy
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import one_thread
import psutil
import torch
from first_call import TORCH
from machine import machine, peak_memory, return_freed_memory
from measure import AGREES, largest_difference, said
from models import BPNetShaped, random_onehot, with_statistics
from peers import PEERS
from timing import Run, best_batch, interleaved, median_ratio, seconds
from torch import Tensor, nn

import genolift
from genolift.explain.explainer import Explainer

CPU = torch.device("cpu")
LENGTH, REFERENCES, FEW = 2114, 20, 6
HEADER = ["what", "seconds", "over what", "its seconds", "ratio", "bar"]
Rows = list[list[str]]


def _inputs(n: int, length: int = LENGTH, r: int = REFERENCES) -> tuple[Tensor, Tensor]:
    x = random_onehot(n, length)
    return x, genolift.references.dinucleotide_shuffle(x, r=r, seed=0)


def _deeplift(model: nn.Module, x: Tensor, references: Tensor) -> Tensor:
    return genolift.deeplift(model, x, references, rule="rescale", device="cpu").contributions


def _row(what: str, taken: Sequence[float], over: str, other: Sequence[float], bar: str = "") -> list[str]:
    mine, theirs = (f"{statistics.median(each):.3f}" for each in (taken, other))
    return [what, mine, over, theirs, f"{median_ratio(taken, other):.2f}", bar]


def second_call(rounds: int, quick: bool) -> Rows:
    """A second call on the same model, and the call on a new model of its shape, over the engine alone."""
    length = 200 if quick else LENGTH
    x, references = _inputs(1, length)
    model = with_statistics(BPNetShaped())
    cold = seconds(lambda: _deeplift(model, x, references), CPU, time.process_time)
    explainer = Explainer(model, x, rule="rescale", device="cpu")
    explainer.explain(x, references)
    runs: dict[str, Run] = {
        "engine": lambda: explainer.explain(x, references),
        "second": lambda: _deeplift(model, x, references),
        "new": lambda: _deeplift(with_statistics(BPNetShaped()), x, references),
    }
    peer = PEERS["tangermeme"]
    if peer.version:
        theirs = copy.deepcopy(model)
        runs["peer"] = lambda: peer.run(theirs, x, references, CPU)
        runs["peer"]()
    times = interleaved(runs, rounds, CPU, time.process_time)
    engine = "the engine alone, 1 x 20"
    rows = [
        _row("a second call (warm)", times["second"], engine, times["engine"], "at most 1.2"),
        _row("a call on a new model (warm process)", times["new"], engine, times["engine"]),
        _row(
            "the first call of a process with torch imported (cold)", [cold] * rounds, engine, times["engine"]
        ),
    ]
    if "peer" in times:
        name = f"tangermeme {peer.version}, its defaults ({peer.default})"
        rows.append(_row(name, times["peer"], "a second call (warm)", times["second"]))
    return rows


def first_call(rounds: int, quick: bool) -> Rows:
    """The first call in a fresh process, stage by stage, with and without what numba has cached."""
    script = str(Path(__file__).with_name("first_call.py"))
    stages = [_printed(script) for _ in range(1 if quick else min(rounds, 5))]
    medians = {name: statistics.median(each[name] for each in stages) for name in stages[0]}
    whole = [sum(each.values()) for each in stages]
    of_torch = [sum(each[name] for name in TORCH) for each in stages]
    ours = [each - its for each, its in zip(whole, of_torch, strict=True)]
    over, bare = "import torch, the same process", [each["import torch"] for each in stages]
    rows = [
        _row("first call with all imports (warm)", whole, over, bare, "2 s, or torch's share"),
        _row("of which torch by itself: imports, export, decomposition", of_torch, over, bare),
        _row("of which ours, with numba", ours, over, bare),
        *([f"stage: {name}", f"{taken:.3f}", "", "", "", ""] for name, taken in medians.items()),
    ]
    if not quick:
        with tempfile.TemporaryDirectory() as empty:
            cold = _printed(script, NUMBA_CACHE_DIR=empty, PYTHONPYCACHEPREFIX=empty)
        taken, imported = [sum(cold.values())], [cold["import torch"]]
        rows.insert(1, _row("the same, empty caches of numba and Python (cold)", taken, over, imported))
    return rows


def _printed(*words: str, **environment: str) -> Any:
    """Run Python in a process of its own, and return what it prints last, as JSON."""
    done = subprocess.run(
        [sys.executable, *words], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def few_sequences(rounds: int, quick: bool) -> Rows:
    """A few sequences a call, against each peer with its defaults and at its best batch size."""
    length = 200 if quick else LENGTH
    x, references = _inputs(2 if quick else FEW, length, 2 if quick else REFERENCES)
    model = with_statistics(BPNetShaped())
    theirs = copy.deepcopy(model)  # shap leaves tensors on a model's modules
    ours = _deeplift(model, x, references).sum(1)
    runs: dict[str, Run] = {"genolift": lambda: _deeplift(model, x, references)}
    failed: Rows = []
    for peer in PEERS.values():

        def scores(batch: int | None, peer: Any = peer) -> Tensor:
            return peer.run(theirs, x, references, CPU, batch)

        try:
            difference = largest_difference(scores(None), ours)
        except Exception as error:
            reason = "not installed" if isinstance(error, ImportError) else str(error).split("\n")[0]
            failed.append([f"{peer.name}: {reason}", "", "", "", "", ""])
            continue
        name = f"{peer.name} {peer.version}"
        if difference >= AGREES:
            name += f" (differs by {difference:.0e})"
        sizes = (2,) if quick else (2, 4, 8, 20)
        best = best_batch(scores, sizes, CPU, trials=1)
        runs[f"{name}, its defaults ({peer.default})"] = lambda scores=scores: scores(None)  # type: ignore[misc]
        runs[f"{name}, {best} at a time"] = lambda scores=scores, best=best: scores(best)  # type: ignore[misc]
    times = interleaved(runs, rounds, CPU, time.process_time)
    own = f"genolift.deeplift, {len(x)} x {references.shape[1]} (warm)"
    peers = {name: taken for name, taken in times.items() if name != "genolift"}
    return [
        *(_row(name, taken, own, times["genolift"], "at least 2.4") for name, taken in peers.items()),
        *failed,
    ]


class Wide(nn.Module):
    """(n, 4, 50) -> (n, 1) by a layer whose weights take ``bytes``."""

    def __init__(self, size: int) -> None:
        super().__init__()
        hidden = size // 4 // 200
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(200, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def held_memory(rounds: int, quick: bool) -> Rows:
    """What a process holds beside the model once it is captured, in a process of its own."""
    size = (10 if quick else 400) * 2**20
    at_once, held, peak = _printed(__file__, "--held", str(size))
    mebibytes = size / 2**20
    over = f"the weights, {mebibytes:.0f} MiB"
    return [
        [f"MiB {what}", f"{each / 2**20:.0f}", over, "", f"{each / size:.2f}", bar]
        for what, each, bar in (
            ("held by a capture, beside the model", held, "at most 1, the weights once"),
            ("the same before Python's collector runs", at_once, ""),
            ("at the peak of capturing it", peak, ""),
        )
    ]


def _print_held(size: int) -> None:
    """Print the bytes held beside a model of ``size`` bytes: once captured, after collecting, at the peak."""
    small, x = with_statistics(Wide(2**20)), random_onehot(1, 50)
    Explainer(small, x, device="cpu")  # what capturing imports is no part of it
    model = with_statistics(Wide(size))
    process = psutil.Process()
    kept: list[Explainer] = []
    gc.collect()
    return_freed_memory()
    before = process.memory_info().rss
    peak = peak_memory(lambda: kept.append(Explainer(model, x, device="cpu")), CPU)
    return_freed_memory()
    at_once = process.memory_info().rss - before
    gc.collect()
    return_freed_memory()
    print(json.dumps([at_once, process.memory_info().rss - before, peak]))


PARTS: dict[str, Callable[[int, bool], Rows]] = {
    "second": second_call,
    "first": first_call,
    "small": few_sequences,
    "memory": held_memory,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="also write OUT.md and OUT.json")
    parser.add_argument("--quick", action="store_true", help="the least work that runs everything, once")
    parser.add_argument("--held", type=int, help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.held:
        _print_held(a.held)
        return
    torch.set_num_threads(1)
    rows: Rows = []
    for part in a.parts:
        said(part)
        rows += PARTS[part](1 if a.quick else a.rounds, a.quick)
        one_thread.report(a.out, "No waiting", HEADER, rows, machine(CPU))


if __name__ == "__main__":
    main()
