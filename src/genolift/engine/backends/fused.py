"""The loops of kernels.py for values on a GPU: the same formulas in torch, which its compiler fuses.

Compiling takes tens of seconds and needs a C compiler, so that only jobs ask for it that take longer; where
it fails, the formulas are computed as they are written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from genolift.engine.rules.rules import ROUNDING_UNITS

_LOG = logging.getLogger("genolift")


def rescale_relu(x: Tensor, x0: Tensor, a: Tensor) -> Tensor:
    """Rescale of relu: see `kernels.rescale_relu`."""
    difference = x - x0
    ratio = (torch.relu(x) - torch.relu(x0)) / difference
    return a * torch.where(difference == 0, (x0 > 0).to(x.dtype), ratio)


def reveal_cancel_relu(
    x: Tensor, x0: Tensor, spread: Tensor, a: Tensor, b: Tensor | None
) -> tuple[Tensor, Tensor]:
    """RevealCancel of relu: see `kernels.reveal_cancel_relu`."""
    difference = x - x0
    plus, minus = (difference + spread) / 2, (difference - spread) / 2
    at_plus, at_minus, y, y0 = (torch.relu(each) for each in (x0 + plus, x0 + minus, x, x0))
    largest = torch.maximum(torch.maximum(x.abs(), x0.abs()), spread.abs())
    noise = largest * (ROUNDING_UNITS * torch.finfo(x.dtype).eps)
    before = (x0 > 0).to(x.dtype)
    slope_plus = (before + (x0 + minus > 0).to(x.dtype)) / 2
    slope_minus = (before + (x0 + plus > 0).to(x.dtype)) / 2
    m_plus = torch.where(plus.abs() > noise, ((at_plus - y0) + (y - at_minus)) / (2 * plus), slope_plus)
    m_minus = torch.where(minus.abs() > noise, ((at_minus - y0) + (y - at_plus)) / (2 * minus), slope_minus)
    m_plus = m_plus * (a if b is None else a + b)
    m_minus = m_minus * (a if b is None else a - b)
    return (m_plus + m_minus) / 2, (m_plus - m_minus) / 2


def size_of_difference(x: Tensor, x0: Tensor) -> Tensor:
    """abs(x - x0)."""
    return (x - x0).abs()


def add_signed(x: Tensor, x0: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """A + sign(x - x0) b."""
    return a + torch.sign(x - x0) * b


_compiled: dict[Callable[..., Any], Callable[..., Any]] = {}


def _fused(formula: Callable[..., Any]) -> Callable[..., Any]:
    """Return a formula compiled, which falls back on itself where it cannot be."""
    if formula not in _compiled:
        compiled = torch.compile(formula, dynamic=True)

        def run(*arguments: Any) -> Any:
            try:
                return compiled(*arguments)
            except Exception as error:
                _LOG.debug("%s is computed without a compiler: %s", formula.__name__, error)
                _compiled[formula] = formula
                return formula(*arguments)

        _compiled[formula] = run
    return _compiled[formula]


class Facing:
    """Values of sequences, x, and of their references, x0, that broadcast against each other.

    Parameters
    ----------
    x, x0
        As `Runner.facing` gives them.
    facing, rows
        From rows (n r k, ...) to their shape, and back.
    compiled
        Whether to compile.
    """

    def __init__(
        self,
        x: Tensor,
        x0: Tensor,
        facing: Callable[[Tensor], Tensor],
        rows: Callable[[Tensor], Tensor],
        compiled: bool,
    ) -> None:
        self.x, self.x0, self._facing, self._rows, self._compiles = x, x0, facing, rows, compiled

    def _run(self, formula: Callable[..., Any], *arguments: Tensor | None) -> Any:
        facing = (None if each is None else self._facing(each) for each in arguments)
        return (_fused(formula) if self._compiles else formula)(self.x, self.x0, *facing)

    def rescale_relu(self, a: Tensor) -> Tensor:
        """Return the multipliers of relu's input by Rescale, (n r k, ...)."""
        return self._rows(self._run(rescale_relu, a))

    def reveal_cancel_relu(self, spread: Tensor, a: Tensor, b: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the mean of the multipliers of relu's input by RevealCancel, and half their difference."""
        mean, half = self._run(reveal_cancel_relu, spread, a, b)
        return self._rows(mean), self._rows(half)

    def size_of_difference(self) -> Tensor:
        """Return abs(x - x0), (n r k, ...)."""
        return self._rows(self._run(size_of_difference))

    def add_signed(self, a: Tensor, b: Tensor) -> Tensor:
        """Return a + sign(x - x0) b."""
        return self._rows(self._run(add_signed, a, b))
