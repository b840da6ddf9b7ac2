"""What a linear operation's arguments become where its coefficients are their absolute values.

So the operation carries the spread of a value: without its constant terms, each coefficient positive. A table
has a part for each argument in turn; arguments beyond its end stay as they are.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Part = Callable[[Any, bool], Any]
"""``part(argument, depends)`` is what becomes of an argument, which depends on the input or does not."""


def _kept(argument: Any, depends: bool) -> Any:
    """Return an argument that is neither a coefficient nor a constant term: an axis, an index, a mask."""
    return argument


def _term(argument: Any, depends: bool) -> Any:
    """Return 0 in place of a term that does not depend on the input."""
    if depends or argument is None:
        return argument
    return torch.zeros_like(argument) if isinstance(argument, Tensor) else 0


def _subtracted(argument: Any, depends: bool) -> Any:
    """Return a term for an operation that subtracts it: a - (-b) has the absolute coefficients of a - b."""
    return -_term(argument, depends)


def _factor(argument: Any, depends: bool) -> Any:
    """Return the absolute value of a factor that does not depend on the input: a coefficient."""
    is_truth = isinstance(argument, Tensor) and argument.dtype == torch.bool
    return argument if depends or argument is None or is_truth else abs(argument)


SAME: tuple[Part, ...] = ()
"""Coefficients are 0 and positive: they are their own absolute values."""
PADDED = _kept, _kept, _term
SUM = _term, _term
DIFFERENCE = _term, _subtracted
NEGATED = (_subtracted,)
PRODUCT = _factor, _factor
ADDMM = _term, _factor, _factor
CONVOLUTION = _kept, _factor, _term
BATCH_NORM = _kept, _factor, _term, _term
WHERE = _kept, _term, _term
SCATTERED = _term, _kept, _kept, _term
