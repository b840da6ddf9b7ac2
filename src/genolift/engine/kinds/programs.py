"""The programs of softmax, log-softmax, logsumexp and products over an axis."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from genolift.engine.kinds.composed import Compared, activated
from genolift.engine.rules.rules import RESCALE, Change, Function, Rule

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
    ratio = RESCALE.ratio(Change(_LOG, total.x, total.x0, x - shift, x0 - shift))
    return value, Compared(x, x0, ratio * total.change)


def _axis(dim: int, dims: int, axis: int, shift: int) -> int:
    """Return an operation's axis in a tensor that has ``shift`` more axes from ``axis`` on."""
    dim %= dims - shift
    return dim if dim < axis else dim + shift


def log_softmax(arguments: Sequence[Any], axis: int, shift: int, rule: Rule) -> Compared:
    """X - log(sum(exp(x)))."""
    value: Compared = arguments[0]
    value, total = _log_sum_exp(value, _axis(arguments[1], value.x.dim(), axis, shift))
    return value.linear(torch.sub, total)


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
        for kept in axes:
            total = total.linear(partial(torch.unsqueeze, dim=kept))
    return total


def product(arguments: Sequence[Any], axis: int, shift: int, rule: Rule) -> Compared:
    """The product over an axis, as products of its first and its second half, and so on."""
    value: Compared = arguments[0]
    dim = _axis(arguments[1], value.x.dim(), axis, shift)
    value = value.linear(lambda z: z.movedim(dim, -1))
    while (size := value.x.shape[-1]) > 1:
        half = size // 2
        halves = value[..., :half] * value[..., half : 2 * half]
        if size % 2:
            halves = halves.linear(lambda *both: torch.cat(both, -1), value[..., -1:])
        value = halves
    keepdim = len(arguments) > 2 and arguments[2]
    return value.linear(lambda z: z.movedim(-1, dim)) if keepdim else value[..., 0]
