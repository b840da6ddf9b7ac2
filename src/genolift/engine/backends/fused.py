"""The rules' formulas of relu, fused by torch's compiler, for values on a GPU.

Compiling takes tens of seconds and needs a C compiler, so that only long jobs ask for it (choice.py); where
it fails, the formulas are computed as they are written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from genolift.engine.rules.activations import RELU
from genolift.engine.rules.rules import Multipliers, Rule

_LOG = logging.getLogger("genolift")


def relu_passed_back(
    rule: Rule, x: Tensor, x0: Tensor, of_y: Multipliers, spread: Tensor | None
) -> Multipliers:
    """Return the multipliers of relu's input, given those of its output: see `Rule.pass_back`."""
    return rule.pass_back(RELU, x, x0, (torch.relu(x), torch.relu(x0)), of_y, spread)


@cache
def _compiled() -> list[Callable[..., Multipliers]]:
    """Return what is to be run: the compiled formula, until it fails."""
    return [torch.compile(relu_passed_back, dynamic=True)]


def fused_relu(rule: Rule, x: Tensor, x0: Tensor, of_y: Multipliers, spread: Tensor | None) -> Multipliers:
    """Return what `relu_passed_back` does, compiled where that can be."""
    formula = _compiled()
    try:
        return formula[0](rule, x, x0, of_y, spread)
    except Exception as error:
        if formula[0] is relu_passed_back:
            raise
        _LOG.debug("the formulas of relu are computed without a compiler: %s", error)
        formula[0] = relu_passed_back
        return relu_passed_back(rule, x, x0, of_y, spread)
