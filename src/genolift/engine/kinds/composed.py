"""Programs for operations composed of simpler ones, run on input and reference at once.

A program computes with `Compared` values. Each holds a value of the input and of its reference, and a tensor
that autograd follows, whose derivative by that of the program's argument is the multiplier: so a program is
written forwards, and its multipliers come from autograd.

Shapes: values of inputs and references broadcast against each other; ``change`` has the shape of both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genolift.engine.rules.rules import RESCALE, Function, Rule


@dataclass(frozen=True)
class Compared:
    """A value of the input, x, and of its reference, x0, with the change that autograd follows.

    ``spread`` = dx+ - dx- (>= 0), and ``spread_change``, which autograd follows as it does ``change``, are
    there behind a weighted layer, where RevealCancel needs them.
    """

    x: Tensor
    x0: Tensor
    change: Tensor
    spread: Tensor | None = None
    spread_change: Tensor | None = None

    @property
    def shape(self) -> torch.Size:
        """Of both, broadcast."""
        return self.change.shape

    def linear(self, function: Callable[[Tensor], Tensor]) -> Compared:
        """Return a linear function of the value."""
        return Compared(function(self.x), function(self.x0), function(self.change))

    def __add__(self, other: Compared | Tensor) -> Compared:
        if isinstance(other, Tensor):
            return Compared(self.x + other, self.x0 + other, self.change, self.spread, self.spread_change)
        spread, spread_change = _sum(self.spread, other.spread), _sum(self.spread_change, other.spread_change)
        return Compared(
            self.x + other.x, self.x0 + other.x0, self.change + other.change, spread, spread_change
        )

    def __sub__(self, other: Compared) -> Compared:
        return self + other.linear(torch.neg)

    def __mul__(self, other: Compared) -> Compared:
        """Return the product, by the symmetric split: d(u v) = (u + u0)/2 dv + (v + v0)/2 du."""
        change = (self.x + self.x0) / 2 * other.change + (other.x + other.x0) / 2 * self.change
        return Compared(self.x * other.x, self.x0 * other.x0, change)

    def __getitem__(self, index: Any) -> Compared:
        spread = None if self.spread is None else self.spread[index]
        spread_change = None if self.spread_change is None else self.spread_change[index]
        return Compared(self.x[index], self.x0[index], self.change[index], spread, spread_change)


Program = Callable[[Sequence[Any], int, int, Rule], Compared]
"""``program(arguments, axis, shift, rule)``: the operation's arguments, what depends on the input as
`Compared`; the axis of the argument at which ``shift`` more axes stand than in the operation's own shapes."""


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    return None if one is None or other is None else one + other


def weighted(value: Compared, weight: Tensor, rule: Rule) -> Compared:
    """Return ``value @ weight.T``; with the spread |weight| |dx| where the rule needs it (section 3.5.1)."""
    result = value.linear(lambda z: torch.nn.functional.linear(z, weight))
    if not rule.uses_spread:
        return result
    dx, size = value.x - value.x0, weight.abs()
    spread = torch.nn.functional.linear(dx.abs(), size)
    spread_change = torch.nn.functional.linear(torch.sign(dx) * value.change, size)
    return Compared(result.x, result.x0, result.change, spread, spread_change)


def activated(value: Compared, function: Function, rule: Rule) -> Compared:
    """Return an elementwise function of a value, by Rescale or, where there is a spread, RevealCancel."""
    y, y0 = function.value(value.x), function.value(value.x0)
    if rule.uses_spread and value.spread is not None and value.spread_change is not None:
        m_plus, m_minus, *_ = rule.parts(function, value.x, value.x0, y, y0, value.spread)
        plus, minus = value.change + value.spread_change, value.change - value.spread_change
        return Compared(y, y0, (m_plus * plus + m_minus * minus) / 2)
    return Compared(y, y0, RESCALE.ratio(function, value.x, value.x0, y, y0) * value.change)


_EXP = Function(torch.exp, torch.exp, "absolute")
_LOG = Function(torch.log, torch.reciprocal, "relative")


def _log_sum_exp(value: Compared, axis: int) -> tuple[Compared, Compared]:
    """Return the value without infinities, and log(sum(exp(value))) over an axis.

    exp, sum and log are taken of the value less the largest of input and reference, which stands for a
    constant: neither gets credit for it.
    """
    lowest = torch.finfo(value.change.dtype).min / 8
    masked = (value.x == -torch.inf) & (value.x0 == -torch.inf)
    change = torch.where(masked, torch.zeros_like(value.change), value.change)
    value = Compared(value.x.clamp(min=lowest), value.x0.clamp(min=lowest), change)
    shift = torch.maximum(value.x.amax(axis, keepdim=True), value.x0.amax(axis, keepdim=True))
    exp = activated(value + -shift, _EXP, RESCALE)
    total = exp.linear(lambda z: z.sum(axis, keepdim=True))
    x, x0 = value.x.logsumexp(axis, keepdim=True), value.x0.logsumexp(axis, keepdim=True)
    ratio = RESCALE.ratio(_LOG, total.x, total.x0, x - shift, x0 - shift)
    return value, Compared(x, x0, ratio * total.change)


def _axis(dim: int, dims: int, axis: int, shift: int) -> int:
    """Return an operation's axis in a tensor that has ``shift`` more axes from ``axis`` on."""
    dim %= dims - shift
    return dim if dim < axis else dim + shift


def log_softmax(arguments: Sequence[Any], axis: int, shift: int, rule: Rule) -> Compared:
    """X - log(sum(exp(x)))."""
    value: Compared = arguments[0]
    value, total = _log_sum_exp(value, _axis(arguments[1], value.x.dim(), axis, shift))
    return Compared(value.x - total.x, value.x0 - total.x0, value.change - total.change)


def softmax(arguments: Sequence[Any], axis: int, shift: int, rule: Rule) -> Compared:
    """exp(x - log(sum(exp(x)))): so written nothing overflows, whatever the logits.

    Where all of a row is masked with minus infinity its change is 0, whether its values are NaN or 0.
    """
    return activated(log_softmax(arguments, axis, shift, rule), _EXP, RESCALE)


def logsumexp(arguments: Sequence[Any], axis: int, shift: int, rule: Rule) -> Compared:
    """log(sum(exp(x))) over one axis or several."""
    value: Compared = arguments[0]
    dims = value.x.dim()
    axes = sorted(_axis(dim, dims, axis, shift) for dim in arguments[1])
    last = list(range(dims - len(axes), dims))
    flat = value.linear(lambda z: z.movedim(axes, last).flatten(last[0]))
    total = _log_sum_exp(flat, -1)[1][..., 0]
    if len(arguments) > 2 and arguments[2]:
        total = total.linear(lambda z: _with_axes(z, axes))
    return total


def _with_axes(tensor: Tensor, axes: Sequence[int]) -> Tensor:
    for axis in axes:
        tensor = tensor.unsqueeze(axis)
    return tensor


def product(arguments: Sequence[Any], axis: int, shift: int, rule: Rule) -> Compared:
    """The product over an axis, as products of its first and its second half, and so on."""
    value: Compared = arguments[0]
    dim = _axis(arguments[1], value.x.dim(), axis, shift)
    value = value.linear(lambda z: z.movedim(dim, -1))
    while (size := value.x.shape[-1]) > 1:
        half = size // 2
        halves = value[..., :half] * value[..., half : 2 * half]
        if size % 2:
            rest = value[..., -1:]
            halves = Compared(
                *(
                    torch.cat([getattr(halves, field), getattr(rest, field)], -1)
                    for field in ("x", "x0", "change")
                )
            )
        value = halves
    keepdim = len(arguments) > 2 and arguments[2]
    return value.linear(lambda z: z.movedim(-1, dim)) if keepdim else value[..., 0]
