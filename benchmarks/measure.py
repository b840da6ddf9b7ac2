"""Measures one model, as one record: agreement with peers, interleaved times, errors, memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from floor import BATCH_SIZES, floor, gradient_times_input
from machine import peak_memory
from models import Shape, Work, make_work
from peers import PEERS, OneTask, Peer
from timing import Run, best_batch, computing_in, fitting, in_a_line, interleaved, median_ratio
from torch import Tensor

from genolift.engine.devices import HOST, place
from genolift.explain.attribution import Explainer

RULES = ("rescale", "genomics-default", "revealcancel")
PEER_BATCHES = {"cpu": (1, 2, 4, 8, 20, 32), "cuda": (20, 64, 128, 256, 512, 1024)}
AGREES = 1e-3  # of the largest contribution
MEMORY_BUDGET = 2**29
FLOOR, GRADIENT, FLAT, TASKS, TASKS_FLOOR = (
    "floor",
    "gradient x input",
    "one flat reference",
    "several tasks",
    "floor of several tasks",
)


@dataclass(frozen=True)
class Settings:
    """What to measure, and how often."""

    device: torch.device
    precisions: Sequence[str] = ("float32",)
    rounds: int = 5
    peers: Sequence[str] = tuple(PEERS)
    quick: bool = False


@dataclass
class Runs:
    """What will be timed, by name, and what was learnt while preparing it."""

    settings: Settings
    work: Work
    runs: dict[str, Run] = field(default_factory=dict)
    batches: dict[str, int | None] = field(default_factory=dict)
    first_seconds: dict[str, float] = field(default_factory=dict)
    peers: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, name: str, run: Run, batch: int | None = None) -> None:
        """Add a run, and run it until everything that is prepared on first use is ready."""
        said(f"  preparing {name}" + (f", {batch} at a time" if batch else ""))
        start = time.perf_counter()
        run()
        self.first_seconds[name] = time.perf_counter() - start
        run()
        self.runs[name], self.batches[name] = run, batch


def measure(shape: Shape, settings: Settings) -> dict[str, Any]:
    """Return the record of one model, which `tables` writes out."""
    work = make_work(shape, settings.device, quick=settings.quick)
    runs = Runs(settings, work)
    explainers = _add_genolift(runs)
    ours = _contributions(work, explainers["rescale", "float32"]).sum(1)
    _add_floors(runs)
    for name in settings.peers:
        _add_peer(runs, PEERS[name], ours)
    said(f"  {settings.rounds} rounds of {len(runs.runs)} runs")
    failed: dict[str, str] = {}
    seconds = interleaved(runs.runs, settings.rounds, settings.device, failed=failed)
    for name, why in failed.items():
        runs.peers.get(name.partition(",")[0], {}).update(error=why, agrees=False)
    record: dict[str, Any] = {
        "model": shape.name,
        "length": shape.length,
        "sequences": work.n,
        "references": work.r,
        "sequences of one flat reference": len(work.many),
        "tasks": shape.tasks,
        "seconds": seconds,
        "failed": failed,
        "first seconds": runs.first_seconds,
        "batches": runs.batches,
        "peers": runs.peers,
    }
    said("  errors against float64, and memory")
    record["errors"] = _errors(work, explainers)
    record["memory"] = _memory(work, explainers)
    return record


def ratio(record: dict[str, Any], name: str, over: str) -> float | None:
    """Return the median ratio of two runs' seconds; None if one was not run."""
    seconds = record["seconds"]
    if name not in seconds or over not in seconds:
        return None
    return median_ratio(seconds[name], seconds[over])


def of_precision(name: str, precision: str) -> str:
    """Return the name of a run in a precision; float32 is not mentioned."""
    return name if precision == "float32" else f"{name}, {precision}"


def said(what: str) -> None:
    """Report progress on stderr."""
    print(what, file=sys.stderr, flush=True)


def _add_genolift(runs: Runs) -> dict[tuple[str, str], Explainer]:
    settings, work = runs.settings, runs.work
    explainers: dict[tuple[str, str], Explainer] = {}
    for precision in ("float64", *settings.precisions):
        made = _explainer(work, precision)
        for rule in RULES:
            explainers[rule, precision] = made if rule == "rescale" else made.with_rule(rule)
            if precision == "float32" or (precision != "float64" and rule == "rescale"):
                name = of_precision(f"genolift {rule}", precision)
                explainer = explainers[rule, precision]
                runs.add(name, _explaining(explainer, work.sequences, work.references))
    runs.add(FLAT, _explaining(explainers["rescale", "float32"], work.many, work.flat))
    if work.shape.tasks > 1:
        several = _explainer(work, "float32", list(range(work.shape.tasks)))
        runs.add(TASKS, lambda: several.explain_each(work.sequences, work.references))
    return explainers


def _explainer(work: Work, precision: str, target: int | list[int] = 0) -> Explainer:
    return Explainer(
        work.model, work.sequences, rule="rescale", target=target, device=work.device, precision=precision
    )


def _explaining(explainer: Explainer, sequences: Tensor, references: Tensor) -> Run:
    return lambda: explainer.explain(sequences, references)


def _contributions(work: Work, explainer: Explainer) -> Tensor:
    return explainer.explain(work.sequences, work.references).contributions


def _add_floors(runs: Runs) -> None:
    settings, work = runs.settings, runs.work
    sequences = work.sequences.to(work.device)
    references = work.references.flatten(0, 1).to(work.device)
    many = work.many.to(work.device)
    model = OneTask(work.model).eval()
    tasks = work.shape.tasks

    def add(name: str, run: Callable[[int], object], rows: int, precision: str = "float32") -> None:
        def within(batch: int) -> None:
            with computing_in(precision, work.device):
                run(batch)

        sizes = fitting(BATCH_SIZES[work.device.type], max(rows, 1))
        within(sizes[0])
        batch = best_batch(within, sizes, work.device, trials=3)
        runs.add(name, lambda: within(batch), batch)

    for precision in settings.precisions:
        add(
            of_precision(FLOOR, precision),
            lambda batch: floor(model, sequences, references, batch),
            len(references),
            precision,
        )
    add(GRADIENT, lambda batch: gradient_times_input(model, many, batch), len(many))
    if tasks > 1:
        add(
            TASKS_FLOOR, lambda batch: floor(work.model, sequences, references, batch, tasks), len(references)
        )


def _add_peer(runs: Runs, peer: Peer, ours: Tensor) -> None:
    """Add a peer at its default batch and at the best of our sizes, if it runs, and whether it agrees."""
    work = runs.work
    found: dict[str, Any] = {"version": peer.version, "default": peer.default}
    runs.peers[peer.name] = found

    def scores(batch: int | None) -> Tensor:
        with computing_in("float32", work.device):
            return peer.run(work.model_of_peers, work.sequences, work.references, work.device, batch)

    try:
        theirs = scores(None)
        found["difference"] = largest_difference(theirs, ours)
        found["missing of the sum"] = largest_difference(theirs.sum(1), ours.sum(1))
        most = work.r if peer.name == "shap" else work.n * work.r
        best = best_batch(scores, fitting(PEER_BATCHES[work.device.type], most), work.device)
        runs.add(f"{peer.name}, best batch", lambda: scores(best), best)
        runs.add(f"{peer.name}, default batch", lambda: scores(None))
    except ImportError:
        found["error"] = "not installed"
    except Exception as error:
        found["error"] = in_a_line(error)
    else:
        found["agrees"] = found["difference"] < AGREES


def largest_difference(these: Tensor, those: Tensor) -> float:
    """Return the largest absolute difference, divided by the largest absolute value of ``those``."""
    those = those.double()
    return float((these.double() - those).abs().max() / those.abs().max())


def _errors(work: Work, explainers: dict[tuple[str, str], Explainer]) -> dict[str, dict[str, float]]:
    """Return, by rule and precision, the largest error over the largest contribution."""
    errors: dict[str, dict[str, float]] = {}
    for rule in RULES:
        exact = _contributions(work, explainers[rule, "float64"])
        errors[rule] = {
            precision: largest_difference(_contributions(work, explainer), exact)
            for (of_rule, precision), explainer in explainers.items()
            if of_rule == rule and precision != "float64"
        }
    return errors


def _memory(work: Work, explainers: dict[tuple[str, str], Explainer]) -> dict[str, int]:
    """Return peak memory in bytes, for every rule at the batch size it chooses, and under a budget."""
    peaks: dict[str, int] = {"budget": MEMORY_BUDGET}
    for rule in RULES:
        explainer = explainers[rule, "float32"]
        peaks[rule] = peak_memory(_explaining(explainer, work.sequences, work.references), work.device)
    explainer = explainers["revealcancel", "float32"]
    held = max(HOST.held(), place(work.device).held())  # the budget is the host's as well as a GPU's
    peaks["revealcancel under the budget"] = peak_memory(
        lambda: explainer.explain(work.sequences, work.references, memory=held + MEMORY_BUDGET),
        work.device,
    )
    return peaks
