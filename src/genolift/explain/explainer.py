"""A model captured once, to explain many inputs: engine and targets joined. Prints nothing."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import ExportedProgram

from genolift.engine.devices import chosen_device, place
from genolift.engine.graph.own_state import one_capture_at_a_time, own_state, process_settings
from genolift.engine.plan import Plan, make_plan
from genolift.engine.rules.composites import GENOMICS_DEFAULT
from genolift.engine.run.budget import SHARE_OF_FREE_MEMORY, check_alone, split
from genolift.engine.run.footprint import bytes_per_pair, footprint, value_bytes
from genolift.engine.run.given import Explained, as_tensor, is_onehot
from genolift.engine.run.independence import check_rows_are_independent
from genolift.engine.run.job import Job, Path
from genolift.engine.run.run import Runner
from genolift.engine.run.sums import Sums
from genolift.errors import InputError
from genolift.explain.captured import Captured, CaptureKey, Model, captured
from genolift.explain.fingerprint import fingerprint
from genolift.explain.result import Attribution, bases_of
from genolift.targets.joined import Piece
from genolift.targets.targets import Target
from genolift.targets.trial import check_layer, check_output

References = Tensor | NDArray[Any] | Callable[[Tensor], Tensor]
"""(n, r, *event), (r, *event), or a function of some inputs that makes either, such as those of
`genolift.references`."""
PRECISIONS = ("float32", "float64", "tf32", "bfloat16")


@dataclass(frozen=True)
class Run:
    """How inputs are explained: the keywords of `Explainer.explain`, some as in `genolift.deeplift`."""

    extra_inputs: tuple[Tensor, ...] = ()
    keep_multipliers: bool = False
    batch_size: int | None = None
    progress: bool | Callable[[int], None] = False
    memory: int | None = None
    """Bytes that the process stays under; None for what is free."""
    besides: int = 0
    """Those of them that the caller takes meanwhile."""
    names: list[str] | None = None
    """What errors call the inputs; None for their numbers."""
    path: Path = ()
    """Points and weights of integrated gradients."""
    pieces: Sequence[Piece] = ()
    """Where several inputs lie that are flattened into one; empty for one input."""


@dataclass(frozen=True)
class _Prepared:
    """A plan by one rule and what runs it; the shape that contributions have, once it was tried on rows."""

    plan: Plan
    runner: Runner
    event: list[tuple[int, ...]]

    @property
    def constants(self) -> dict[str, Any]:
        """What it keeps beside the graph's own constants."""
        absolute = self.runner.layout.absolute.items()
        weights = {f"{name} {place}": value for name, each in absolute for place, value in each.items()}
        return {**self.runner.constants, **weights}


class Explainer:
    """A model captured once, to explain many inputs of one shape.

    `genolift.deeplift` keeps captures too, and captures a model again once it has changed. An explainer
    refuses to go on with a model that has changed since.

    Parameters
    ----------
    model, rule, layer, keep_final_activation, extra_inputs, device, precision
        As in `genolift.deeplift`. Of the extra inputs only shapes and dtypes matter.
    example
        (n, *event): inputs of the shape to explain.
    target
        A target, or a list of targets that share a graph.
    memory, besides
        Bytes that the process stays under, None for what is free; those of them that the caller will take.

    Raises
    ------
    UnsupportedOperation, InputError
        As `genolift.deeplift` does, but for what concerns inputs and references.

    Examples
    --------
    >>> explainer = genolift.Explainer(model, inputs[:1], target=0)
    >>> result = explainer.explain(inputs, genolift.references.dinucleotide_shuffle(r=20, seed=0))
    """

    @own_state()
    def __init__(
        self,
        model: Model,
        example: Tensor,
        *,
        rule: str = GENOMICS_DEFAULT,
        target: Target | Sequence[Target] = 0,
        layer: str | None = None,
        keep_final_activation: bool = False,
        extra_inputs: tuple[Tensor, ...] = (),
        device: str | torch.device | None = None,
        precision: str = "float32",
        memory: int | None = None,
        besides: int = 0,
    ) -> None:
        if precision not in PRECISIONS:
            raise InputError(
                f"{precision!r} is not a precision",
                where="precision",
                remedy=f"choose one of {', '.join(PRECISIONS)}",
            )
        if not isinstance(model, (nn.Module, ExportedProgram)):
            raise InputError(
                f"is a {type(model).__name__}",
                where="model",
                remedy="give a torch.nn.Module or an exported program",
            )
        dtype = torch.float64 if precision == "float64" else torch.float32
        rows = (
            as_tensor(example, "inputs")[:1],
            *(as_tensor(extra, "extra_inputs")[:1] for extra in extra_inputs),
        )
        if rows[0].shape[0] == 0:
            raise InputError("there is no input", where="inputs", remedy="give at least one")
        targets = tuple(target) if isinstance(target, (list, tuple)) else (target,)
        if not targets:
            raise InputError("there is no target", where="target", remedy="give at least one")
        events = CaptureKey.events_of(rows)
        key = CaptureKey(events, targets, layer, keep_final_activation, chosen_device(device), dtype)
        self._model: Callable[[], Model | None] = weakref.ref(model)
        with process_settings(dtype, key.device, tf32=precision == "tf32"):
            self._begin(captured(model, rows, key, rule), rows, rule, precision, memory, besides)

    @classmethod
    @own_state()
    def of(
        cls,
        found: Captured,
        rows: tuple[Tensor, ...],
        rule: str,
        *,
        precision: str = "float32",
        memory: int | None = None,
        besides: int = 0,
    ) -> Explainer:
        """Return an explainer of a model that is captured already from ``rows``; others as in `Explainer`."""
        explainer = cls.__new__(cls)
        explainer._model = lambda: None
        with process_settings(found.key.dtype, found.key.device, tf32=precision == "tf32"):
            explainer._begin(found, tuple(row[:1] for row in rows), rule, precision, memory, besides)
        return explainer

    def _begin(
        self,
        found: Captured,
        rows: tuple[Tensor, ...],
        rule: str,
        precision: str,
        memory: int | None,
        besides: int,
    ) -> None:
        """Make the plan, and check on a row of each input that it can be followed."""
        self.device, self.dtype, self.layer = found.key.device, found.key.dtype, found.key.layer
        self.precision, self._found = precision, found
        self.graph, self.read_off = found.graph, found.read_off
        self.stepped_over_of_tensors = found.stepped_over
        self.stepped_over = found.read_off.stepped_over(found.stepped_over)
        self.targets = found.read_off.explained
        self.target_names = found.names
        ready = self._prepared(rule)
        check_alone(self.runner, rows[0][0].numel(), memory, besides)
        if not ready.event:
            placed = tuple(self.runner.placed(row) for row in rows)
            event = self._check_shapes(placed)
            check_rows_are_independent(self.runner, placed)
            ready.event[:] = [event]  # another thread may have tried it at the same time
        (self.event,) = ready.event

    @property
    def target(self) -> Explained:
        """The target, the first where there are several."""
        return self.targets[0]

    def _planned(self, rule: str) -> Plan:
        return make_plan(self.graph, rule)

    def _prepared(self, rule: str) -> _Prepared:
        """Take the plan by a rule and what runs it from what was captured, where they are there already."""
        half = self.precision == "bfloat16"
        kept_as = type(self), rule, half
        ready = self._found.made.get(kept_as)
        if ready is None:
            plan = self._planned(rule)
            ready = _Prepared(plan, Runner(plan, self.device, self.dtype, half_precision=half), [])
            self._found.made[kept_as] = ready
        self.plan, self.runner = ready.plan, ready.runner
        return ready

    @own_state()
    def with_rule(self, rule: str) -> Explainer:
        """Return an explainer of the same captured model by another rule."""
        other = copy.copy(self)
        other._prepared(rule)
        return other

    def _check_shapes(self, rows: tuple[Tensor, ...]) -> tuple[int, ...]:
        """Check targets and layer on two rows; return the shape of what contributions are read at."""
        with torch.no_grad():
            pair = tuple(torch.cat([row, row]) for row in rows)
            activations = self.runner.forward(pair, carry=False)
            output = self.runner.output(activations)
            check_output(output, self.targets, 2)
            read = activations.values[self.graph.read]
            rows_first = self.runner.layout.axis.get(self.graph.read) == 0
            check_layer(read, rows_first and read.shape[0] == 2, self.layer)
            return tuple(read.shape[1:])

    def check_unchanged(self) -> None:
        """Raise `InputError`, naming what is another, if the model is not as it was when it was captured."""
        model = self._model()
        if model is None or not self._found.state.change(fingerprint(model)):
            return
        with one_capture_at_a_time():  # tracing in another thread replaces functions of torch
            change = self._found.state.change(fingerprint(model))
        if change:
            raise InputError(
                f"has changed since it was captured: the {change.removeprefix('the ')} is another",
                where="model",
                remedy="make a new Explainer of it",
            )

    def explain(self, inputs: Tensor, references: References, **keywords: Any) -> Attribution:
        """Return the contributions of ``inputs`` to the first target.

        Parameters
        ----------
        inputs, references
            As in `genolift.deeplift`.
        keywords
            Those of `Run`.

        Raises
        ------
        InputError
            As `genolift.deeplift`; if the model has changed since it was captured, naming what has; if the
            inputs are of another shape than the example.
        """
        given, shape = as_tensor(inputs, "inputs"), self._found.key.events[0][0]
        if given.shape[1:] != shape or 0 in given.shape[:1]:
            raise InputError(
                f"have shape {tuple(given.shape)}, and the example was (n, {', '.join(map(str, shape))})",
                where="inputs",
                remedy="give one or more of the example's shape, or make an Explainer of this one",
            )
        self.check_unchanged()
        return self.explain_each(inputs, references, **keywords)[0][0]

    @own_state()
    def explain_each(
        self, inputs: Tensor, references: References, **keywords: Any
    ) -> list[list[Attribution]]:
        """Return the contributions to each target, [target][piece], of the model as it was captured.

        Arguments as in `explain`.
        """
        run = Run(**keywords)
        if run.path and self.layer is not None:
            raise InputError(
                "integrated gradients go along the path of the input",
                where="layer",
                remedy="leave the layer out, or use deeplift",
            )
        inputs = _checked(as_tensor(inputs, "inputs"), run.names)
        job = Job(self.runner, self.targets, inputs, references, run.extra_inputs, run.path)
        divided = split(
            footprint(job, keep_multipliers=run.keep_multipliers),
            self.device,
            job.place.workers(),
            memory=run.memory,
            batch_size=None if run.batch_size is None else checked_size(run.batch_size),
            besides=run.besides,
        )
        limits = place(self.device).at_most(run.memory)
        with shown(run.progress, len(inputs) * job.r, "pair") as advance, self._settings(), limits:
            sums = [self._sums(number, inputs, job.r, run) for number in range(len(self.targets))]
            every = [each for of_target in sums for each in of_target]
            # Closed at once also after an error: threads end, and torch's number of them is set back.
            with closing(job.run(divided, lambda part: [each.of(part) for each in every])) as parts:
                # One behind: a GPU goes on with the next part while what it made is fetched.
                for made, _ in pairwise(chain(parts, [[]])):
                    for each, of_part in zip(every, made, strict=True):
                        each.add(of_part)
                    advance(made[0].convergence_error.numel())
        for each in every:
            each.check()
        return [
            [_result(each, inputs, self.dtype, name) for each in of_target]
            for of_target, name in zip(sums, self.target_names, strict=True)
        ]

    def _sums(self, number: int, inputs: Tensor, r: int, run: Run) -> list[Sums]:
        """Return the empty sums of a target, for each piece of the inputs."""
        n, sums = len(inputs), []
        empty = partial(Sums, n, r, number=number, keep_multipliers=run.keep_multipliers, names=run.names)
        for piece, event in run.pieces or [(..., self.event)]:
            own = inputs[:, piece].reshape(n, *event) if run.pieces else inputs
            sums.append(empty(event, onehot=self.layer is None and is_onehot(own), piece=piece))
        return sums

    def batch_size(self) -> int:
        """Return how many pairs to compute at a time where no job is at hand to be measured."""
        there = place(self.device)
        room = int(SHARE_OF_FREE_MEMORY * there.free())
        return there.fast_batch(room, bytes_per_pair(self.runner), value_bytes(self.runner))

    @contextmanager
    def _settings(self) -> Iterator[None]:
        """Set what precision asks of the whole process, and set it back."""
        tf32 = self.precision == "tf32"
        with process_settings(self.dtype, self.device, tf32=tf32), torch.no_grad():
            yield


def _result(sums: Sums, inputs: Tensor, dtype: torch.dtype, target: str) -> Attribution:
    own = inputs if sums.piece is ... else inputs[:, sums.piece].reshape(len(inputs), *sums.event)
    return Attribution(
        contributions=(sums.contributions / sums.r).to(dtype),
        hypothetical=None if sums.hypothetical is None else (sums.hypothetical / sums.r).to(dtype),
        standard_error=sums.standard_error().to(dtype),
        multipliers=sums.multipliers,
        output=sums.output.to(dtype),
        reference_output=sums.reference_output.to(dtype),
        convergence_error=sums.convergence_error.to(dtype),
        target=target,
        bases=None if sums.hypothetical is None else bases_of(own),
    )


def checked_size(size: Any) -> int:
    """Return a batch size, checked to be one."""
    if not isinstance(size, int) or size < 1:
        raise InputError(f"{size!r} rows", where="batch_size", remedy="give a whole number of 1 or more")
    return size


def _checked(inputs: Tensor, names: list[str] | None) -> Tensor:
    finite = torch.isfinite(inputs).reshape(len(inputs), -1).all(1)
    if not bool(finite.all()):
        row = int((~finite).nonzero()[0])
        raise InputError("holds NaN or infinity", where=f"sequence {names[row] if names else row}")
    return inputs


@contextmanager
def shown(progress: bool | Callable[[int], None], total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Yield what is called with the number done since the last call: the user's own, or that of a bar."""
    if callable(progress):
        yield progress
    elif progress:
        from tqdm import tqdm

        with tqdm(total=total, unit=unit) as bar:
            yield lambda done: bar.update(done) and None
    else:
        yield lambda done: None
