"""Selections: each output of a maximum or minimum is one of a window of inputs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genolift.engine.graph.graph import Operation, Result, fill_in
from genolift.engine.kinds.joint import share
from genolift.engine.kinds.kind import Computing, Kind, Sent, Step, Values
from genolift.engine.kinds.pairs import BROADCAST_AXES, Activations, Layout, Pairs
from genolift.engine.kinds.reach import Reach
from genolift.engine.kinds.window import Window


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
        operation = step.operation
        (name,) = pairs.dependent(operation)
        fast = pairs.fast(name) if self.spatial else None
        if fast is not None and fast.selects_in(self.spatial):
            chosen, chosen0 = (each.chosen[operation.name] for each in (pairs.sequences, pairs.references))
            chosen0 = chosen0 if pairs.shared is None else chosen0[[pairs.shared]]
            yield Sent(name, fast.select_largest(chosen, chosen0, a, self.spatial))
            return
        layout, named = pairs.layout, operation.name
        x, x0 = pairs.both(name)
        behind_rows = [axis > layout.axis[name] for axis in range(x.dim() - BROADCAST_AXES)]
        chosen_from = self._axes(operation, len(behind_rows), layout)
        axes = [axis + BROADCAST_AXES * behind_rows[axis] for axis in chosen_from]
        order = [axis for axis in range(x.dim()) if axis not in axes] + axes
        kept = len(order) - len(axes)
        flat, flat0 = (each.permute(order).flatten(kept) for each in (x, x0))  # chosen from: the last axis
        if self.spatial:
            i, j = (each.flatten(kept) for each in pairs.both_chosen(named))
        else:
            sign = -1 if self.smallest else 1
            i, j = ((sign * each).argmax(-1, keepdim=True) for each in (flat, flat0))
        # At i and at j, of input and of reference: differences of all values would be many more.
        y, y0 = torch.take_along_dim(flat, i, -1), torch.take_along_dim(flat0, j, -1)
        rise = y - torch.take_along_dim(flat0, i, -1)
        fall = torch.take_along_dim(flat, j, -1) - y0
        if self.smallest:
            i, j, rise, fall = j, i, fall, rise
        i, j = torch.broadcast_tensors(i, j)
        higher, same = torch.maximum(y, y0), i == j
        gained, lost = share(higher - y0, rise), share(y - higher, fall)
        a = pairs.broadcast(a, named).reshape(i.shape)
        put = Tensor.scatter_add_ if self._overlaps(operation) else Tensor.scatter_
        # First what is lost: where i is j, that is 0, and written over.
        result = a.new_zeros((*i.shape[:-1], flat.shape[-1]))
        for places, credit in ((j, lost.masked_fill(same, 0)), (i, gained.masked_fill(same, 1))):
            put(result, -1, places, a * credit)
        inverse = [order.index(axis) for axis in range(x.dim())]
        result = result.unflatten(-1, [x.shape[axis] for axis in axes]).permute(inverse)
        yield Sent(name, pairs.rows(result, name).contiguous())

    def _overlaps(self, operation: Operation) -> bool:
        """Whether a value may be in several windows, whose credits then have to be added up."""
        if self.window.whole or self.window.padding is None:  # all together, or of sizes that vary
            return not self.window.whole
        given = dict(zip(("size", "stride", "padding", "dilation"), operation.args[1:5], strict=False))
        size, dilation = torch.tensor(given["size"]), torch.tensor(given.get("dilation", 1))
        return bool(((size - 1) * dilation >= torch.tensor(given.get("stride") or given["size"])).any())

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
