"""What is kept of the pairs of a call: sums over references.

A part of a job is summed where it was computed, by the thread or on the device that did; sums of parts are
then added in order. All is summed in float64, so that no result depends on how pairs were batched.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import EllipsisType

import torch
from torch import Tensor

from genolift.engine.devices import place
from genolift.engine.graph.outputs import check_finite
from genolift.engine.run.job import Part
from genolift.errors import InputError


@dataclass(frozen=True)
class PartSums:
    """The sums of one part for one target, on the host: see `Sums`, whose rows these are."""

    sequences: slice
    references: slice
    arrived: Callable[[], object]
    """To be called before they are read: it waits for what is still on its way."""
    contributions: Tensor
    first: Tensor
    second: Tensor
    output: Tensor
    reference_output: Tensor
    convergence_error: Tensor
    hypothetical: Tensor | None = None
    multipliers: Tensor | None = None


class Sums:
    """Sums over references for one target.

    Parameters
    ----------
    n, r, event
        Numbers of inputs and of references, and the shape of what contributions are read at.
    onehot
        Whether the inputs are one-hot: hypothetical contributions are summed too.
    keep_multipliers
        Keep the multipliers of every pair.
    names
        What the inputs are called in errors; their numbers where None.
    number
        The target's place among those of the job.
    piece
        The part of a flat event that these sums are of, of the shape ``event``; ... for all of it.
    """

    def __init__(
        self,
        n: int,
        r: int,
        event: Sequence[int],
        *,
        onehot: bool,
        keep_multipliers: bool,
        names: Sequence[str] | None = None,
        number: int = 0,
        piece: slice | EllipsisType = ...,
    ) -> None:
        # Per-base: summed over the base axis, where there is one.
        self.base_axis = 2 if len(event) > 1 else None
        per_base = tuple(event[1:] if self.base_axis else event)
        double = torch.float64
        self.r, self.event, self.piece = r, tuple(event), piece
        self.names, self.number, self.onehot, self.keep_multipliers = names, number, onehot, keep_multipliers
        self.contributions = torch.zeros((n, *event), dtype=double)
        self.hypothetical = torch.zeros((n, *event), dtype=double) if onehot else None
        self.first = torch.zeros((n, *per_base), dtype=double)
        self.second = torch.zeros((n, *per_base), dtype=double)
        self.output = torch.zeros(n, dtype=double)
        self.reference_output = torch.zeros((n, r), dtype=double)
        self.convergence_error = torch.zeros((n, r), dtype=double)
        self.multipliers = torch.zeros((n, r, *event), dtype=torch.float32) if keep_multipliers else None

    def of(self, part: Part) -> PartSums:
        """Return the sums of one part, made on its device; nothing of this object is changed."""
        of_all = part.multipliers[self.number] * (part.inputs - part.reference)
        totals = of_all.reshape(*of_all.shape[:2], -1).sum(2, dtype=torch.float64)  # an input may be a number
        m, reference = (self._of_piece(each) for each in (part.multipliers[self.number], part.reference))
        output, reference_output = (
            each[self.number].double() for each in (part.output, part.reference_output)
        )
        each = self._of_piece(of_all).double()
        per_base = each.sum(self.base_axis) if self.base_axis else each
        sums = {
            "contributions": each.sum(1),
            "first": per_base.sum(1),
            "second": (per_base**2).sum(1),
            "output": output,
            "reference_output": reference_output.expand(len(m), -1),
            "convergence_error": (totals - (output[:, None] - reference_output)).abs(),
        }
        if self.onehot:
            own = (m * reference).sum(2, keepdim=True, dtype=torch.float64)
            sums["hypothetical"] = (m - own).sum(1)
        if self.keep_multipliers:
            sums["multipliers"] = m
        fetched, arrived = place(m.device).fetched(tuple(sums.values()))
        return PartSums(part.sequences, part.references, arrived, **dict(zip(sums, fetched, strict=True)))

    def add(self, part: PartSums) -> None:
        """Add the sums of one part.

        Raises
        ------
        InputError
            If an output of the model is not finite.
        """
        part.arrived()
        rows, references = part.sequences, part.references
        check_output(part.output, rows, self.names)
        self.output[rows] = part.output
        self.reference_output[rows, references] = part.reference_output
        self.convergence_error[rows, references] = part.convergence_error
        self.contributions[rows] += part.contributions
        self.first[rows] += part.first
        self.second[rows] += part.second
        if self.hypothetical is not None and part.hypothetical is not None:
            self.hypothetical[rows] += part.hypothetical
        if self.multipliers is not None and part.multipliers is not None:
            self.multipliers = self.multipliers.to(part.multipliers.dtype)
            self.multipliers[rows, references] = part.multipliers

    def _of_piece(self, values: Tensor) -> Tensor:
        return values[:, :, self.piece].reshape(*values.shape[:2], *self.event)

    def check(self) -> None:
        """Raise `InputError` if a sum is not finite, naming the sequence."""
        bad = ~torch.isfinite(self.convergence_error).all(1)
        if bool(bad.any()):
            row = int(bad.nonzero()[0])
            raise InputError(
                "a reference's output or a contribution is NaN or infinite",
                where=f"sequence {self.names[row] if self.names else row}",
                remedy="check the model's weights and the references",
            )

    def standard_error(self) -> Tensor:
        """Return the standard error over references of the per-base contribution; NaN with one reference."""
        mean = self.first / self.r
        if self.r == 1:
            return torch.full_like(mean, torch.nan)
        variance = (self.second / self.r - mean**2).clamp(min=0) * self.r / (self.r - 1)
        return (variance / self.r).sqrt()


def check_output(output: Tensor, rows: slice, names: Sequence[str] | None) -> None:
    """Raise `InputError` if an output, of the sequences ``rows``, is not finite."""
    check_finite(output, lambda row: f"sequence {names[rows.start + row] if names else rows.start + row}")
