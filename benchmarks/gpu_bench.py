"""The figures that `gpu_check.py` measures of a model on a device, each in a short interleaved run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from floor import BATCH_SIZES, floor
from measure import AGREES, PEER_BATCHES, largest_difference
from models import Shape, Work, make_work
from peers import PEERS, OneTask
from timing import Run, best_batch, computing_in, fitting, interleaved, median_ratio

import genolift
from genolift.engine.backends.choice import forms_for
from genolift.engine.run.run import Runner
from genolift.explain.explainer import Explainer

_PATIENCE = 12.0  # seconds for finding the best batch size of one run
Found = tuple[float, dict[str, list[float]], str]
"""A figure, the seconds that it is of, and a remark."""


class NotThereError(Exception):
    """Why a figure cannot be measured here."""


@dataclass
class Bench:
    """A model and its inputs on a device, and the runs that were made ready for it."""

    work: Work
    rounds: int
    kept: dict[Any, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, shape: Shape, device: torch.device, *, quick: bool) -> Bench:
        """Make a model and its inputs; ``quick``: the least that tries everything, once."""
        return cls(make_work(shape, device, quick=quick), rounds=1 if quick else 3)

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return what was made for a key, making it the first time."""
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]

    def explainer(self, precision: str = "float32") -> Explainer:
        """Return an explainer by Rescale; the model is captured once for each precision."""
        work = self.work
        keywords = {"rule": "rescale", "device": work.device, "precision": precision}
        return self.once(precision, lambda: Explainer(work.model, work.sequences, **keywords))

    def ours(self, rule: str = "rescale", precision: str = "float32") -> Run:
        """Return genolift's run at the batch size that it chooses."""
        explainer = self.explainer(precision).with_rule(rule)
        return lambda: explainer.explain(self.work.sequences, self.work.references)

    def floor(self, precision: str = "float32") -> tuple[Run, int]:
        """Return the floor at its best batch size, and that."""
        work, device = self.work, self.work.device
        sequences = work.sequences.to(device)
        references = work.references.flatten(0, 1).to(device)
        model = OneTask(work.model).eval()

        def within(batch: int) -> None:
            with computing_in(precision, device):
                floor(model, sequences, references, batch)

        return self.at_its_best(f"floor {precision}", within, BATCH_SIZES[device.type])

    def peer(self, name: str) -> tuple[Run, int, Run]:
        """Return a peer's run at its best batch size, that, and the run with its defaults."""
        work, peer = self.work, PEERS[name]
        if peer.version is None:
            raise NotThereError(f"{name} is not installed")

        def scores(batch: int | None) -> torch.Tensor:
            with computing_in("float32", work.device):
                return peer.run(work.model_of_peers, work.sequences, work.references, work.device, batch)

        sizes = (work.r,) if name == "shap" else PEER_BATCHES[work.device.type]
        best, batch = self.at_its_best(name, scores, sizes)
        return best, batch, lambda: scores(None)

    def at_its_best(self, name: str, run: Callable[[int], Any], sizes: tuple[int, ...]) -> tuple[Run, int]:
        """Return a run at the fastest of some batch sizes, and that."""

        def find() -> int:
            candidates = fitting(sizes, self.work.n * self.work.r)
            run(candidates[0])
            return best_batch(run, candidates, self.work.device, trials=1, patience=_PATIENCE)

        batch = self.once(name, find)
        return lambda: run(batch), batch

    def ratio(self, over: Run, run: Run, remark: str = "") -> Found:
        """Return how many times as long one run takes as another, after each has run once."""
        over(), run()
        times = interleaved({"over": over, "run": run}, self.rounds, self.work.device)
        return median_ratio(times["run"], times["over"]), times, remark


@dataclass(frozen=True)
class Figure:
    """A figure of a model, its bar, and of which models alone it is; of all, if none is named."""

    what: str
    measure: Callable[[Bench], Found]
    at_most: float | None = None
    at_least: float | None = None
    of: tuple[str, ...] = ()

    @property
    def bar(self) -> str:
        """The bar in words."""
        bars = (("at most", self.at_most), ("at least", self.at_least))
        return "".join(f"{words} {limit:g}" for words, limit in bars if limit is not None)

    def met(self, value: float) -> bool | None:
        """Whether a value reaches the bar, None where there is none."""
        if self.at_most is None and self.at_least is None:
            return None
        return value <= self.at_most if self.at_most is not None else value >= (self.at_least or 0.0)

    @staticmethod
    def all() -> tuple[Figure, ...]:
        """Return all figures, the most wanted first."""
        return FIGURES


def _over_floor(bench: Bench, precision: str = "float32") -> Found:
    lowest, batch = bench.floor(precision)
    return bench.ratio(lowest, bench.ours(precision=precision), f"the floor {batch} rows at a time")


def _revealcancel(bench: Bench) -> Found:
    return bench.ratio(bench.ours(), bench.ours("revealcancel"))


def _peer(bench: Bench, name: str) -> Found:
    best, batch, default = bench.peer(name)
    ours = bench.ours()
    result: Any = ours()
    difference = largest_difference(torch.as_tensor(default()).cpu(), result.contributions.sum(1))
    times, seconds, _ = bench.ratio(ours, best)
    remark = f"{batch} at a time; largest difference {difference:.0e} of the largest score"
    return times, seconds, remark + ("" if difference < AGREES else ": computes something else")


def _peer_by_default(bench: Bench, name: str) -> Found:
    return bench.ratio(bench.ours(), bench.peer(name)[2], f"{PEERS[name].default}")


def _form(bench: Bench, name: str) -> Found:
    """How long Rescale takes with a form of `Forms` over without it."""
    explainer, device = bench.explainer(), bench.work.device

    def by(used: bool) -> Run:
        forms = replace(forms_for(device), **{name: used})
        other = explainer.with_rule("rescale")
        other.runner = Runner(other.plan, device, other.dtype, half_precision=False, forms=forms)
        return lambda: other.explain(bench.work.sequences, bench.work.references)

    return bench.ratio(by(False), by(True))


def _second_call(bench: Bench) -> Found:
    work = bench.work
    x, references = work.sequences[:1], work.references[:1]
    alone = bench.explainer()
    keywords: dict[str, Any] = {"rule": "rescale", "device": work.device}
    return bench.ratio(
        lambda: alone.explain(x, references), lambda: genolift.deeplift(work.model, x, references, **keywords)
    )


def _error(bench: Bench, precision: str) -> Found:
    x, references = bench.work.sequences[:2], bench.work.references[:2, :4]  # float64 on a CPU is slow
    keywords: dict[str, Any] = {"rule": "rescale", "device": "cpu", "precision": "float64"}
    exact = bench.once(
        "exact",
        lambda: genolift.deeplift(bench.work.model, x, references, **keywords).contributions,
    )
    return largest_difference(bench.explainer(precision).explain(x, references).contributions, exact), {}, ""


FIGURES = (
    Figure("Rescale over the floor", _over_floor, at_most=1.15),
    Figure("RevealCancel over Rescale", _revealcancel, at_most=2.0),
    Figure(
        "times as fast as tangermeme, its best batch", lambda bench: _peer(bench, "tangermeme"), at_least=4.0
    ),
    Figure("error in float32 over the largest score", lambda bench: _error(bench, "float32"), at_most=1e-4),
    Figure("the same, tf32", lambda bench: _error(bench, "tf32")),
    Figure("the same, bfloat16", lambda bench: _error(bench, "bfloat16")),
    Figure("Rescale over the floor, both tf32", lambda bench: _over_floor(bench, "tf32"), at_most=1.15),
    Figure("Rescale over the floor, both bfloat16", lambda bench: _over_floor(bench, "bfloat16")),
    Figure("a second call over the engine, 1 sequence", _second_call, at_most=1.2),
    Figure("torch.compile on over off", lambda bench: _form(bench, "compiled")),
    Figure("channels last over as they are", lambda bench: _form(bench, "channels_last")),
    Figure("times as fast as Captum, its best batch", lambda bench: _peer(bench, "captum")),
    Figure(
        *("times as fast as tangermeme, its defaults", lambda bench: _peer_by_default(bench, "tangermeme")),
        at_least=4.0,
    ),
    Figure(
        "times as fast as shap, its best batch", lambda bench: _peer(bench, "shap"), of=("bpnet", "basset")
    ),
)
