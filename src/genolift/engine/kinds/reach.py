"""What of an operation's result some positions of the input reach, for the receptive field."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genolift.engine.graph.graph import Graph, Name, Operation, execute


@dataclass(frozen=True)
class Reach:
    """The values so far: those that depend on the input are 0 where none of a row's positions reaches."""

    graph: Graph
    rows: int
    values: dict[str, Any]
    random: torch.Generator

    def dependent(self, operation: Operation) -> dict[Name, Tensor]:
        """Return the arguments that depend on the input."""
        return {name: self.values[name] for name in operation.inputs if name in self.graph.dependent}

    def pointwise(self, operation: Operation) -> Tensor:
        """Return a result each of whose elements depends on those at its place."""
        shapes = (self.values[name] for name in operation.inputs)
        shape = torch.broadcast_shapes(*(one.shape for one in shapes if isinstance(one, Tensor)))
        reached = [(one != 0).expand(shape) for one in self.dependent(operation).values()]
        return torch.stack(reached).any(0).float()

    def everywhere(self, operation: Operation) -> Tensor:
        """Return a result all of which depends on each of a row's positions that reach any of it."""
        like = execute(operation, self.values)
        reached = torch.zeros(self.rows, dtype=torch.bool)
        for name, value in self.dependent(operation).items():
            reached |= by_row(self.graph.by_name.get(name), value, self.rows).any(1)
        axis, outer = operation.batch_axis or 0, operation.outer
        more = like.shape[axis] // (self.rows * outer)
        along = reached[None, :, None].expand(outer, self.rows, more).reshape(-1)
        shape = [-1 if at == axis else 1 for at in range(like.dim())]
        return along.reshape(shape).expand(like.shape).float()

    def by_running(
        self,
        operation: Operation,
        *,
        base: float = 0.0,
        sign: float = 1.0,
        given: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Return where the result of random values, 0 where nothing reaches, is not that of zeros alone.

        ``base`` is added to both, ``sign`` their sign; ``given`` are values in place of constants.
        """
        with_rows, without = {}, {}
        for name, value in self.dependent(operation).items():
            noise = sign * value * (0.5 + torch.rand(value.shape, generator=self.random))
            with_rows[str(name)] = base + noise
            without[str(name)] = torch.full_like(noise, base)
        values = {**self.values, **(given or {})}
        here, there = (execute(operation, {**values, **each}) for each in (with_rows, without))
        return (here != there).to(here.dtype if here.is_complex() else torch.float32)


def by_row(operation: Operation | None, value: Tensor, rows: int) -> Tensor:
    """Return where an operation's result, None's the input, is not zero, (row, unit)."""
    axis, outer = (0, 1) if operation is None else (operation.batch_axis or 0, operation.outer)
    first = (value != 0).movedim(axis, 0)
    return first.reshape(outer, rows, -1).transpose(0, 1).reshape(rows, -1)
