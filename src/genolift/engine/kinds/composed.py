"""Operations composed of simpler ones: a small program is run on input and reference at once.

A program computes with `Compared` values. Each holds a value of the input and of its reference, and a tensor
that autograd follows, whose derivative by that of the program's argument is the multiplier: so a program is
written forwards, and its multipliers come from autograd.

Shapes: values of inputs and references broadcast against each other; ``change`` has the shape of both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from genolift.engine.graph.graph import Operation, fill_in
from genolift.engine.kinds.kind import FedBy, Kind, Sent, Step
from genolift.engine.kinds.pairs import BROADCAST_AXES, Pairs
from genolift.engine.kinds.reach import Reach
from genolift.engine.kinds.window import Window
from genolift.engine.rules.composites import Composite
from genolift.engine.rules.rules import Function, Rule


@dataclass(frozen=True)
class Compared:
    """A value of the input, x, and of its reference, x0, with the change that autograd follows.

    ``spreads`` are dx+ - dx- (>= 0), and what of it autograd follows as it does ``change``: behind a weighted
    layer, where RevealCancel needs them.
    """

    x: Tensor
    x0: Tensor
    change: Tensor
    spreads: tuple[Tensor, Tensor] | None = None

    @property
    def shape(self) -> torch.Size:
        """Of both, broadcast."""
        return self.change.shape

    def linear(self, function: Callable[..., Tensor], *others: Compared) -> Compared:
        """Return a linear function of the value, and of others; it has no parts that are told apart."""
        values = (self, *others)
        x, x0, change = ([getattr(value, field) for value in values] for field in ("x", "x0", "change"))
        return Compared(function(*x), function(*x0), function(*change))

    def net(self) -> Compared:
        """Return the value with its parts no longer told apart."""
        return replace(self, spreads=None)

    def __add__(self, other: Compared | Tensor) -> Compared:
        if isinstance(other, Tensor):
            return replace(self, x=self.x + other, x0=self.x0 + other)
        spreads = None
        if self.spreads is not None and other.spreads is not None:
            spreads = self.spreads[0] + other.spreads[0], self.spreads[1] + other.spreads[1]
        return Compared(self.x + other.x, self.x0 + other.x0, self.change + other.change, spreads)

    def __sub__(self, other: Compared) -> Compared:
        return self + other.linear(torch.neg)

    def __mul__(self, other: Compared) -> Compared:
        """Return the product, by the symmetric split: d(u v) = (u + u0)/2 dv + (v + v0)/2 du."""
        change = (self.x + self.x0) / 2 * other.change + (other.x + other.x0) / 2 * self.change
        return Compared(self.x * other.x, self.x0 * other.x0, change)

    def __getitem__(self, index: Any) -> Compared:
        spreads = None if self.spreads is None else (self.spreads[0][index], self.spreads[1][index])
        return Compared(self.x[index], self.x0[index], self.change[index], spreads)


Program = Callable[[Sequence[Any], int, int, Rule], Compared]
"""``program(arguments, axis, shift, rule)``: the operation's arguments, what depends on the input as
`Compared`; the axis of the argument at which ``shift`` more axes stand than in the operation's own shapes."""


def weighted(value: Compared, weight: Tensor, rule: Rule) -> Compared:
    """Return ``value @ weight.T``; with the spread |weight| |dx| where the rule needs it (section 3.5.1)."""
    result = value.linear(lambda z: torch.nn.functional.linear(z, weight))
    if not rule.uses_spread:
        return result
    dx, size = value.x - value.x0, weight.abs()
    spread = torch.nn.functional.linear(dx.abs(), size)
    spread_change = torch.nn.functional.linear(torch.sign(dx) * value.change, size)
    return replace(result, spreads=(spread, spread_change))


def activated(value: Compared, function: Function, rule: Rule) -> Compared:
    """Return an elementwise function of a value, by Rescale or, where there is a spread, RevealCancel."""
    change = function.changed(value.x, value.x0)
    return Compared(change.y, change.y0, rule.changed(change, value.change, value.spreads))


@dataclass(frozen=True)
class Composed(Kind):
    """A composition of other kinds, carried out by a program; ``pieces`` says what it is composed of."""

    program: Program
    pieces: str
    window: Window | None = None

    label = "composed"
    numbers, values = 40, 20

    def note(self) -> str:
        """Return what it is composed of."""
        return f"of {self.pieces}"

    def rule(self, composite: Composite, fed_by: FedBy) -> tuple[Rule | None, str]:
        """Return the rule of arithmetic: no weighted layer lies within, so that there are no parts."""
        rule = composite.within()
        return rule.for_arithmetic if rule.uses_spread else rule, self.pieces

    def back(self, step: Step, pairs: Pairs, a: Tensor, b: Tensor | None) -> Iterator[Sent]:
        """Run the program on input and reference at once; autograd follows the change."""
        operation, layout = step.operation, pairs.layout
        assert step.rule is not None
        names = pairs.dependent(operation)
        compared: dict[str, Any] = {**layout.constants}
        leaves: list[Tensor] = []
        for name in operation.inputs:
            if name in layout.constants:
                continue
            x, x0 = pairs.both(name)
            change = torch.zeros(torch.broadcast_shapes(x.shape, x0.shape), dtype=x.dtype, device=x.device)
            if name in names:
                leaves.append(change.requires_grad_(True))
            compared[name] = Compared(x, x0, change)
        axis = layout.axis[names[-1]]
        with torch.enable_grad():
            result = self.program(fill_in(operation.args, compared), axis, BROADCAST_AXES, step.rule).change
        seed = pairs.broadcast(a, operation.name)
        back = torch.autograd.grad(result, leaves, seed.expand_as(result))
        for name, change in zip(names, back, strict=True):
            yield Sent(name, pairs.rows(change, name))

    def reached(self, operation: Operation, reach: Reach) -> Tensor:
        """Run it about 1, where a logarithm is defined."""
        return reach.by_running(operation, base=1.0)
