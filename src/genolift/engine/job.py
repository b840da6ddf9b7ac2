"""The pairs of one call, computed in batches and summed over references. Knows nothing of files or models.

A batch that does not fit the device's memory is split in two and run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genolift.engine.backward import multipliers as multipliers_of
from genolift.engine.run import Activations, Pairs, Runner, batches
from genolift.errors import InputError
from genolift.targets import Explained

Path = Sequence[tuple[float, float]]
"""Points between reference (0) and input (1) and their weights, which sum to 1."""


@dataclass(frozen=True)
class Part:
    """What was computed for some sequences and some of their references, on the device.

    Inputs and reference are values of what contributions are read at: the model's input, or a layer. Shapes:
    inputs (n, 1, *event), reference (n or 1, r, *event); for each target multipliers (n, r, *event), output
    (n,) and reference_output (n or 1, r).
    """

    sequences: slice
    references: slice
    inputs: Tensor
    reference: Tensor
    multipliers: tuple[Tensor, ...]
    output: tuple[Tensor, ...]
    reference_output: tuple[Tensor, ...]


class Job:
    """The pairs of one call.

    Parameters
    ----------
    runner, targets
        The plan to carry out, and what of its output is explained: for all one forward, for each a backward.
    inputs
        (n, *event).
    references
        (n, r, *event), (r, *event), or a function of inputs that gives either; it is given all inputs at once
        only if it has the attribute ``shared``.
    held
        The model's further arguments, each (n, ...).
    path
        Points and weights of integrated gradients; empty for multipliers at the input itself.
    names
        What the inputs are called in errors; their numbers where None.

    Raises
    ------
    InputError
        If shapes do not fit each other, or a reference is not finite.
    """

    def __init__(
        self,
        runner: Runner,
        targets: Sequence[Explained],
        inputs: Tensor,
        references: Any,
        held: tuple[Tensor, ...],
        path: Path,
        names: Sequence[str] | None,
    ) -> None:
        self.runner, self.targets = runner, tuple(targets)
        self.inputs, self.path, self.names = inputs, path, names
        self.held = tuple(as_tensor(extra, "extra_inputs") for extra in held)
        for extra in self.held:
            if len(extra) != len(inputs):
                raise InputError(f"{len(extra)} rows for {len(inputs)} inputs", where="extra_inputs")
        self.make: Callable[[Tensor], Tensor] | None = None
        if not callable(references):
            given = as_tensor(references, "references")
        elif getattr(references, "shared", False):
            given = as_tensor(references(inputs), "references")
        else:
            given = as_tensor(references(inputs[:1]), "references")
            self.make = references if given.dim() == inputs.dim() + 1 else None
        self.per_sequence = given.dim() == inputs.dim() + 1
        self.given = given
        self._check(given)
        self.r = given.shape[1] if self.per_sequence else given.shape[0]
        # With one sequence, or arguments that differ between sequences, nothing is saved by sharing.
        self.share = not self.per_sequence and len(inputs) > 1 and not self.held
        self._made: tuple[slice, Tensor] | None = None
        self._last: tuple[slice, Activations] | None = None
        self._shared: Activations | None = None

    def _check(self, given: Tensor) -> None:
        event = tuple(self.inputs.shape[1:])
        wanted = (1 if self.make else len(self.inputs), given.shape[1], *event) if self.per_sequence else None
        fits = (
            given.dim() in (len(event) + 1, len(event) + 2)
            and tuple(given.shape[given.dim() - len(event) :]) == event
        )
        if not fits or (wanted and tuple(given.shape) != wanted):
            raise InputError(
                f"references have the shape {tuple(given.shape)}, inputs {tuple(self.inputs.shape)}",
                where="references",
                remedy="give (n, r, *event), or (r, *event) for the same references everywhere",
            )
        if given.shape[1 if self.per_sequence else 0] == 0:
            raise InputError("there is no reference", where="references", remedy="give at least one")
        if not bool(torch.isfinite(given).all()):
            raise InputError("a reference holds NaN or infinity", where="references")

    def run(self, size: int) -> Iterator[Part]:
        """Yield the parts of the job, each of at most ``size`` pairs."""
        n = len(self.inputs)
        if self.share or not self.runner.plan.uses_reference:
            tasks = [(rows, slice(0, self.r)) for rows, _ in batches(n, 1, size)]
        else:
            tasks = list(batches(n, self.r, size))
        tasks.reverse()
        while tasks:
            rows, references = tasks.pop()
            try:
                parts = list(self._part(rows, references))
            except torch.OutOfMemoryError as error:
                halves = self._halves(rows, references)
                if not halves:
                    raise InputError(
                        "one sequence and one reference do not fit the device's memory",
                        where=f"device {self.runner.device}",
                        remedy="free memory on it, use another device, or device: cpu",
                    ) from error
                self._last = self._shared = None
                torch.cuda.empty_cache()
                tasks += reversed(halves)
                continue
            yield from parts

    def _halves(self, rows: slice, references: slice) -> list[tuple[slice, slice]]:
        if rows.stop - rows.start > 1:
            middle = (rows.start + rows.stop) // 2
            return [(slice(rows.start, middle), references), (slice(middle, rows.stop), references)]
        if references.stop - references.start > 1 and not self.share:
            middle = (references.start + references.stop) // 2
            return [(rows, slice(references.start, middle)), (rows, slice(middle, references.stop))]
        return []

    def _references(self, rows: slice, references: slice) -> Tensor:
        """Return the references of some sequences, (n or 1, r, *event)."""
        if self.make is not None:
            # Made once for each sequence, however many batches its references take.
            if self._made is None or self._made[0] != rows:
                self._made = rows, as_tensor(self.make(self.inputs[rows]), "references")
            return self.runner.placed(self._made[1][:, references])
        given = self.given[rows] if self.per_sequence else self.given[None]
        return self.runner.placed(given[:, references])

    def _sequences(self, rows: slice, carry: bool) -> Activations:
        if self._last is not None and self._last[0] == rows and not carry:
            return self._last[1]
        held = tuple(self.runner.placed(extra[rows]) for extra in self.held)
        activations = self.runner.forward((self.runner.placed(self.inputs[rows]), *held), carry=carry)
        finite = torch.stack([torch.isfinite(output) for output in self._outputs(activations)]).all(0)
        if not bool(finite.all()):
            bad = rows.start + int((~finite).nonzero()[0])
            raise InputError(
                "the model's output is NaN or infinite",
                where=f"sequence {self.names[bad] if self.names else bad}",
                remedy="check the model's weights and that it takes this input",
            )
        self._last = None if carry else (rows, activations)
        return activations

    def _part(self, rows: slice, references: slice) -> Iterator[Part]:
        reference = self._references(rows, references)
        if not self.runner.plan.uses_reference:
            yield self._gradient_part(rows, references, reference)
        elif self.share:
            yield from self._shared_parts(rows, reference)
        else:
            yield self._own_part(rows, references, reference)

    def _own_part(self, rows: slice, references: slice, reference: Tensor) -> Part:
        sequences = self._sequences(rows, carry=False)
        n, r = sequences.rows, reference.shape[1]
        flat = reference.expand(n, *reference.shape[1:]).flatten(0, 1).contiguous()
        carrier = self._forward_references(flat, rows, r, carry=True)
        multipliers = self._multipliers(Pairs(sequences, carrier, carrier, r))
        return self._made_part(rows, references, sequences, carrier, multipliers)

    def _shared_parts(self, rows: slice, reference: Tensor) -> Iterator[Part]:
        sequences = self._sequences(rows, carry=True)
        if self._shared is None:
            self._shared = self.runner.forward((reference[0],), carry=False)
        for k in range(self.r):
            pairs = Pairs(sequences, self._shared, sequences, 1, shared=k)
            multipliers = self._multipliers(pairs, again=k < self.r - 1)
            one = slice(k, k + 1)
            yield self._made_part(rows, one, sequences, self._shared, multipliers, one)

    def _gradient_part(self, rows: slice, references: slice, reference: Tensor) -> Part:
        n, r = rows.stop - rows.start, reference.shape[1]
        flat = reference if self.share else reference.expand(n, *reference.shape[1:])
        compared = self._forward_references(flat.flatten(0, 1), rows, r, carry=False)
        sequences = self._sequences(rows, carry=not self.path)
        if self.path:
            x = self.runner.placed(self.inputs[rows])[:, None]
            difference = (x - reference).flatten(0, 1)
            start = reference.expand(n, *reference.shape[1:]).flatten(0, 1)
            sums = [torch.zeros_like(difference) for _ in self.targets]
            for point, weight in self.path:
                there = self._forward_references(start + point * difference, rows, r, carry=True)
                pairs = Pairs(there, there, there, 1)
                seeds = self._seeds(sequences, r)
                for total, gradient in zip(sums, self._multipliers(pairs, seeds=seeds), strict=True):
                    total += weight * gradient[:, 0]
            multipliers = [total.unflatten(0, (n, r)) for total in sums]
        else:
            each = self._multipliers(Pairs(sequences, sequences, sequences, 1))
            multipliers = [one.expand(n, r, *one.shape[2:]) for one in each]
        return self._made_part(rows, references, sequences, compared, multipliers)

    def _seeds(self, sequences: Activations, r: int) -> list[Tensor]:
        output = self.runner.output(sequences)
        return [target.seed(output, r) for target in self.targets]

    def _multipliers(
        self, pairs: Pairs, *, again: bool = False, seeds: Sequence[Tensor] = ()
    ) -> list[Tensor]:
        """Return the multipliers of each target, (n, r, *event): a backward pass each."""
        seeds = seeds or self._seeds(pairs.sequences, pairs.r)
        last = len(seeds) - 1
        return [
            multipliers_of(self.runner, pairs, seed, again=again or number < last).unflatten(
                0, (pairs.sequences.rows, pairs.r)
            )
            for number, seed in enumerate(seeds)
        ]

    def _made_part(
        self,
        rows: slice,
        references: slice,
        sequences: Activations,
        compared: Activations,
        multipliers: Sequence[Tensor],
        taken: slice = slice(None),
    ) -> Part:
        r = multipliers[0].shape[1] if taken == slice(None) else compared.rows
        read = self.runner.graph.read
        output, reference_output = (self.runner.output(each) for each in (sequences, compared))
        reference_output = reference_output.unflatten(0, (-1, r))[:, taken]
        return Part(
            rows,
            references,
            sequences.values[read][:, None],
            compared.values[read].unflatten(0, (-1, r))[:, taken],
            tuple(multipliers),
            tuple(target.of(output) for target in self.targets),
            tuple(target.of_reference(reference_output, output) for target in self.targets),
        )

    def _forward_references(self, flat: Tensor, rows: slice, r: int, *, carry: bool) -> Activations:
        held = tuple(self.runner.placed(extra[rows]).repeat_interleave(r, 0) for extra in self.held)
        return self.runner.forward((flat, *held), carry=carry)

    def _outputs(self, activations: Activations) -> list[Tensor]:
        output = self.runner.output(activations)
        return [target.of(output) for target in self.targets]


class Sums:
    """Sums over references for one target, in float64, so that no result depends on how pairs were batched.

    Parameters
    ----------
    n, r, event
        Numbers of inputs and of references, and the shape of what contributions are read at.
    onehot
        Whether the inputs are one-hot: hypothetical contributions are summed too.
    keep_multipliers
        Keep the multipliers of every pair.
    piece
        The part of a flat event that these sums are of, (start, stop), and of the shape ``event``; None for
        all of it.
    """

    def __init__(
        self,
        n: int,
        r: int,
        event: Sequence[int],
        *,
        onehot: bool,
        keep_multipliers: bool,
        piece: tuple[int, int] | None = None,
    ) -> None:
        # Per-base: summed over the base axis, where there is one.
        self.base_axis = 2 if len(event) > 1 else None
        per_base = tuple(event[1:] if self.base_axis else event)
        double = torch.float64
        self.r, self.event, self.piece = r, tuple(event), piece
        self.contributions = torch.zeros((n, *event), dtype=double)
        self.hypothetical = torch.zeros((n, *event), dtype=double) if onehot else None
        self.first = torch.zeros((n, *per_base), dtype=double)
        self.second = torch.zeros((n, *per_base), dtype=double)
        self.output = torch.zeros(n, dtype=double)
        self.reference_output = torch.zeros((n, r), dtype=double)
        self.convergence_error = torch.zeros((n, r), dtype=double)
        self.multipliers = torch.zeros((n, r, *event), dtype=torch.float32) if keep_multipliers else None

    def add(self, part: Part, number: int = 0) -> None:
        """Add the pairs of one part, for the target of that number."""
        rows, references = part.sequences, part.references
        whole = part.multipliers[number]
        each = whole * (part.inputs - part.reference)
        total = each.reshape(*each.shape[:2], -1).sum(2, dtype=torch.float64)
        output, reference_output = part.output[number].double(), part.reference_output[number].double()
        self.convergence_error[rows, references] = (total - (output[:, None] - reference_output)).abs().cpu()
        self.output[rows] = output.cpu()
        self.reference_output[rows, references] = reference_output.expand(len(whole), -1).cpu()
        m, inputs, reference = (self._of_piece(each) for each in (whole, part.inputs, part.reference))
        each = m * (inputs - reference)
        self.contributions[rows] += each.sum(1, dtype=torch.float64).cpu()
        per_base = each.sum(self.base_axis) if self.base_axis else each
        self.first[rows] += per_base.sum(1, dtype=torch.float64).cpu()
        self.second[rows] += (per_base.double() ** 2).sum(1).cpu()
        if self.hypothetical is not None:
            held = (m * reference).sum(2, keepdim=True)
            self.hypothetical[rows] += (m - held).sum(1, dtype=torch.float64).cpu()
        if self.multipliers is not None:
            self.multipliers = self.multipliers.to(m.dtype)
            self.multipliers[rows, references] = m.cpu()

    def _of_piece(self, values: Tensor) -> Tensor:
        if self.piece is None:
            return values
        start, stop = self.piece
        return values[:, :, start:stop].reshape(*values.shape[:2], *self.event)

    def check(self, names: Sequence[str] | None) -> None:
        """Raise `InputError` if a sum is not finite, naming the sequence."""
        bad = ~torch.isfinite(self.convergence_error).all(1)
        if bool(bad.any()):
            row = int(bad.nonzero()[0])
            raise InputError(
                "a reference's output or a contribution is NaN or infinite",
                where=f"sequence {names[row] if names else row}",
                remedy="check the model's weights and the references",
            )

    def standard_error(self) -> Tensor:
        """Return the standard error over references of the per-base contribution; NaN with one reference."""
        mean = self.first / self.r
        if self.r == 1:
            return torch.full_like(mean, torch.nan)
        variance = (self.second / self.r - mean**2).clamp(min=0) * self.r / (self.r - 1)
        return (variance / self.r).sqrt()


def as_tensor(values: Any, where: str) -> Tensor:
    """Return a tensor or array as a tensor cut off from autograd, whole numbers as float32.

    Raises
    ------
    InputError
        If it is neither.
    """
    if isinstance(values, np.ndarray):
        values = torch.from_numpy(values)
    if not isinstance(values, Tensor):
        raise InputError(f"is a {type(values).__name__}", where=where, remedy="give a tensor or an array")
    if where != "extra_inputs" and not values.is_floating_point():
        values = values.float()
    return values.detach()


def is_onehot(inputs: Tensor) -> bool:
    """Whether ``inputs`` is (n, 4, length) with one 1, or (at an N) nothing, in every column."""
    if inputs.dim() != 3 or inputs.shape[1] != 4:
        return False
    return bool(((inputs == 0) | (inputs == 1)).all()) and bool((inputs.sum(1) <= 1).all())
