"""Selections: each output of a maximum or minimum is one of a window of inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genolift.engine.backends import loops
from genolift.engine.graph.graph import Name, Operation, Result, fill_in
from genolift.engine.kinds.joint import share
from genolift.engine.kinds.kind import Computing, Kind, Sent, Step, Window
from genolift.engine.kinds.pairs import Activations, Pairs
from genolift.engine.kinds.reach import Reach

Arguments = tuple[Any, ...]


class Selection(Kind):
    """Each output is one of a window of inputs."""

    label = "selection"
    passes = "maximum of each"
    smallest = False
    """Whether the smallest is chosen, not the largest."""

    def flat(self, x: Tensor, args: Arguments) -> Tensor:
        """Return the input with the axes that are chosen from flattened into a last axis."""
        raise NotImplementedError

    def unflat(self, flat: Tensor, x: Tensor, args: Arguments) -> Tensor:
        """Undo `flat`."""
        raise NotImplementedError

    def flat_output(self, y: Tensor, x: Tensor, args: Arguments) -> Tensor:
        """Return the output as (..., outputs of one window axis)."""
        raise NotImplementedError

    def indices(
        self, operation: Operation, pairs: Pairs, x: Tensor, x0: Tensor | None, args: Arguments
    ) -> tuple[Tensor, Tensor | None]:
        """Return where the outputs of input and reference were chosen on the last axis of `flat`."""
        raise NotImplementedError

    def back(self, step: Step, pairs: Pairs, a: Tensor, b: Tensor | None) -> Iterator[Sent]:
        """Credit the input's maximum with what raises the output, the reference's with what lowers it.

        With i the input's maximum and j the reference's, y - y0 = [max(y, y0) - y0] + [y - max(y, y0)]; the
        first bracket goes to i, where dx is at least as large, the second to j (Lundberg & Lee 2017,
        DeepExplainer); of minima the other way round. Where i is j both are the whole of dx.
        """
        operation, layout = step.operation, pairs.layout
        (name,) = pairs.dependent(operation)
        args = (None, *fill_in(operation.args[1:], layout.constants))
        x = pairs.rows_of_sequences(name)
        x0 = pairs.rows_of_references(name) if layout.uses_reference else None
        back = self.flat_output(a, x, args)
        i, j = self.indices(operation, pairs, x, x0, args)
        flat = self.flat(x, args)
        if x0 is not None and j is not None:
            flat0 = self.flat(x0, args)
            y, y0 = layout.number(flat.gather(-1, i)), layout.number(flat0.gather(-1, j))
            flat, flat0 = layout.number(flat), layout.number(flat0)
            if self.smallest:
                i, j = j, i
            higher = torch.maximum(y, y0)
            gained = share(higher - y0, (flat - flat0).gather(-1, i))
            lost = share(y - higher, (flat - flat0).gather(-1, j))
            gained = torch.where(i == j, torch.ones_like(gained), gained)
            lost = torch.where(i == j, torch.zeros_like(lost), lost)
            result = (
                torch.zeros_like(flat).scatter_add_(-1, i, back * gained).scatter_add_(-1, j, back * lost)
            )
        else:
            result = torch.zeros_like(layout.number(flat)).scatter_add_(-1, i, back)
        yield Sent(name, self.unflat(result, x, args).contiguous())

    def reached(self, operation: Operation, reach: Reach) -> Tensor:
        """Run it on values above 0, or below 0 where the smallest is chosen."""
        return reach.by_running(operation, sign=-1.0 if self.smallest else 1.0)


@dataclass(frozen=True)
class Reduced(Selection):
    """A maximum, or with ``smallest`` a minimum, over axes; ties go to the first."""

    smallest: bool = False

    window = Window("global pooling", whole=True)

    def flat(self, x: Tensor, args: Arguments) -> Tensor:
        """Return the input with the reduced axes as one, the last."""
        return x.permute(_order(x, args)).flatten(x.dim() - len(_axes(x, args)))

    def unflat(self, flat: Tensor, x: Tensor, args: Arguments) -> Tensor:
        """Undo `flat`."""
        order = _order(x, args)
        inverse = [order.index(axis) for axis in range(x.dim())]
        return flat.reshape([x.shape[axis] for axis in order]).permute(inverse)

    def flat_output(self, y: Tensor, x: Tensor, args: Arguments) -> Tensor:
        """Return the output with a last axis of size 1."""
        axes = _axes(x, args)
        return y.reshape([size for axis, size in enumerate(x.shape) if axis not in axes] + [1])

    def indices(
        self, operation: Operation, pairs: Pairs, x: Tensor, x0: Tensor | None, args: Arguments
    ) -> tuple[Tensor, Tensor | None]:
        """Look for the maxima."""
        sign = -1 if self.smallest else 1
        i, j = (
            None if each is None else (sign * self.flat(each, args)).argmax(-1, keepdim=True)
            for each in (x, x0)
        )
        assert i is not None
        return i, j


@dataclass(frozen=True)
class Pooled(Selection):
    """A maximum over the windows of a pool that gives indices into its ``spatial`` last axes too."""

    spatial: int
    window: Window

    def forward(
        self,
        step: Step,
        computing: Computing,
        values: Mapping[str, Any],
        activations: Activations,
        *,
        carry: bool,
    ) -> Any:
        """Return the maxima; where they were is kept."""
        operation = step.operation
        assert isinstance(operation.target, Result)
        args, kwargs = fill_in(operation.args, values), fill_in(operation.kwargs, values)
        largest, activations.chosen[operation.name] = operation.target.operation(*args, **kwargs)
        return largest

    def numbers_kept(self, step: Step) -> int:
        """Return the indices, which are of 64 bits."""
        return 2 * step.operation.row_numel

    def flat(self, x: Tensor, args: Arguments) -> Tensor:
        """Return the input with the pooled axes as one."""
        return x.flatten(-self.spatial)

    def unflat(self, flat: Tensor, x: Tensor, args: Arguments) -> Tensor:
        """Undo `flat`."""
        return flat.reshape(x.shape)

    def flat_output(self, y: Tensor, x: Tensor, args: Arguments) -> Tensor:
        """Return the output with the pooled axes as one."""
        return y.flatten(-self.spatial)

    def indices(
        self, operation: Operation, pairs: Pairs, x: Tensor, x0: Tensor | None, args: Arguments
    ) -> tuple[Tensor, Tensor | None]:
        """Return what the forward passes kept."""
        i = pairs.rows_of_sequences(operation.name, pairs.sequences.chosen[operation.name])
        if x0 is None:
            return i.flatten(-self.spatial), None
        j = pairs.rows_of_references(operation.name, pairs.references.chosen[operation.name])
        return i.flatten(-self.spatial), j.flatten(-self.spatial)

    def back(self, step: Step, pairs: Pairs, a: Tensor, b: Tensor | None) -> Iterator[Sent]:
        """As every selection does; by one compiled loop, where there is one for how values lie."""
        name: Name
        (name,) = pairs.dependent(step.operation)
        fast = pairs.fast(name)
        if not isinstance(fast, loops.Facing) or not fast.selects_in(self.spatial):
            yield from super().back(step, pairs, a, b)
            return
        chosen, chosen0 = (each.chosen[step.operation.name] for each in (pairs.sequences, pairs.references))
        chosen0 = chosen0 if pairs.shared is None else chosen0[[pairs.shared]]
        yield Sent(name, fast.select_largest(chosen, chosen0, a, self.spatial))


def _axes(x: Tensor, args: Arguments) -> list[int]:
    axes = args[1] if len(args) > 1 else []
    axes = [axes] if isinstance(axes, int) else list(axes)
    return sorted(axis % x.dim() for axis in (axes or range(x.dim())))


def _order(x: Tensor, args: Arguments) -> list[int]:
    axes = _axes(x, args)
    return [axis for axis in range(x.dim()) if axis not in axes] + axes
