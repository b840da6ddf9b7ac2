"""The rules' formulas of relu, fused by torch's compiler into one pass over a GPU's memory.

Compiling takes tens of seconds and needs a C compiler. Where it fails, formulas are computed as they are
written, from then on; where memory is exhausted, that is for the batch to be halved, and compiling goes on.
"""

import logging
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from genolift.engine.rules.activations import RELU
from genolift.engine.rules.rules import Multipliers, Rule
from genolift.engine.torch_internals import says_memory_is_exhausted

_LOG = logging.getLogger("genolift")
_Formula = Callable[..., Multipliers]


def as_written(rule: Rule, x: Tensor, x0: Tensor, of_y: Multipliers, spread: Tensor | None) -> Multipliers:
    """Return the multipliers of relu's input, given those of its output: see `Rule.pass_back`."""
    return rule.pass_back(RELU.changed(x, x0), of_y, spread)


@cache
def _in_use() -> list[_Formula]:
    """Return what is run: the compiled formula, until it fails. One serves all sizes."""
    return [torch.compile(as_written, dynamic=True)]


def relu_passed_back(
    rule: Rule, x: Tensor, x0: Tensor, of_y: Multipliers, spread: Tensor | None
) -> Multipliers:
    """Return what `as_written` does, of values of n sequences and r references, (1, n, r, ...).

    To the compiler the axes behind are one, and nothing is a view: it would compile for each number of axes,
    and for each shape that is viewed.
    """

    def flat(values: Tensor) -> Tensor:
        return values.flatten(0, 1).flatten(2).detach()

    formula, (a, b) = _in_use(), of_y
    of_y = flat(a), None if b is None else flat(b)
    flat_ones = rule, flat(x), flat(x0), of_y, None if spread is None else flat(spread)
    try:
        made = formula[0](*flat_ones)
    except Exception as error:
        if formula[0] is as_written or says_memory_is_exhausted(error):
            raise
        _LOG.debug("the formulas of relu are computed without a compiler: %s", error)
        formula[0] = as_written
        made = as_written(*flat_ones)
    return made[0].view(a.shape), None if made[1] is None else made[1].view(a.shape)
