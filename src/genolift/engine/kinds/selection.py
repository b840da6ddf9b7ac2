"""Selections: each output of a maximum or minimum is one of a window of inputs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genolift.engine.graph.graph import Operation, Result, fill_in
from genolift.engine.kinds.joint import share
from genolift.engine.kinds.kind import Computing, Kind, Sent, Step, Values, Window
from genolift.engine.kinds.pairs import Activations, Layout, Pairs
from genolift.engine.kinds.reach import Reach


@dataclass(frozen=True)
class Selection(Kind):
    """A maximum over axes, the second argument, ties going to the first; or over the windows of a pool."""

    window: Window
    smallest: bool = False
    """Whether the smallest is chosen, not the largest."""
    spatial: int = 0
    """How many of the last axes a pool goes over, which itself gives indices into these; 0 for no pool."""

    label = "selection"
    passes = "maximum of each"

    def forward(self, step: Step, computing: Computing, values: Values, activations: Activations) -> Any:
        """Return the maxima; where those of a pool were is kept."""
        operation = step.operation
        if not self.spatial or not isinstance(operation.target, Result):
            return computing.value(operation, values)
        args, kwargs = fill_in(operation.args, values), fill_in(operation.kwargs, values)
        largest, activations.chosen[operation.name] = operation.target.operation(*args, **kwargs)
        return largest

    def back(self, step: Step, pairs: Pairs, a: Tensor, b: Tensor | None) -> Iterator[Sent]:
        """Credit the input's maximum with what raises the output, the reference's with what lowers it.

        With i the input's maximum and j the reference's, y - y0 = [max(y, y0) - y0] + [y - max(y, y0)]; the
        first bracket goes to i, where dx is at least as large, the second to j (Lundberg & Lee 2017,
        DeepExplainer); of minima the other way round. Where i is j both are the whole of dx.
        """
        operation, number = step.operation, pairs.layout.number
        (name,) = pairs.dependent(operation)
        fast = pairs.fast(name) if self.spatial else None
        if fast is not None and fast.selects_in(self.spatial):
            chosen, chosen0 = (each.chosen[operation.name] for each in (pairs.sequences, pairs.references))
            chosen0 = chosen0 if pairs.shared is None else chosen0[[pairs.shared]]
            yield Sent(name, fast.select_largest(chosen, chosen0, a, self.spatial))
            return
        x, x0 = pairs.both_rows(name)
        axes = self._axes(operation, x.dim(), pairs.layout)
        order = [axis for axis in range(x.dim()) if axis not in axes] + axes
        kept = len(order) - len(axes)
        flat, flat0 = (each.permute(order).flatten(kept) for each in (x, x0))  # chosen from: the last axis
        if self.spatial:
            i, j = (each.flatten(kept) for each in pairs.both_rows(operation.name, chosen=True))
        else:
            sign = -1 if self.smallest else 1
            i, j = ((sign * each).argmax(-1, keepdim=True) for each in (flat, flat0))
        y, y0 = number(flat.gather(-1, i)), number(flat0.gather(-1, j))
        flat, flat0 = number(flat), number(flat0)
        if self.smallest:
            i, j = j, i
        higher = torch.maximum(y, y0)
        gained = share(higher - y0, (flat - flat0).gather(-1, i))
        lost = share(y - higher, (flat - flat0).gather(-1, j))
        gained = torch.where(i == j, torch.ones_like(gained), gained)
        lost = torch.where(i == j, torch.zeros_like(lost), lost)
        back = a.reshape(i.shape)
        result = torch.zeros_like(flat).scatter_add_(-1, i, back * gained).scatter_add_(-1, j, back * lost)
        inverse = [order.index(axis) for axis in range(x.dim())]
        result = result.reshape([x.shape[axis] for axis in order]).permute(inverse)
        yield Sent(name, result.contiguous())

    def _axes(self, operation: Operation, dims: int, layout: Layout) -> list[int]:
        """Return the axes that are chosen from, in order."""
        if self.spatial:
            return list(range(dims - self.spatial, dims))
        given = fill_in(operation.args[1:2], layout.constants)
        axes = [given[0]] if given and isinstance(given[0], int) else list(*given)
        return sorted(axis % dims for axis in (axes or range(dims)))

    def numbers_kept(self, step: Step) -> int:
        """Return the indices of a pool, which are of 64 bits."""
        return 2 * step.operation.row_numel if self.spatial else 0

    def reached(self, operation: Operation, reach: Reach) -> Tensor:
        """Run it on values above 0, or below 0 where the smallest is chosen."""
        return reach.by_running(operation, sign=-1.0 if self.smallest else 1.0)
