"""Coefficients of linear operations by their absolute values: what carries the spread of a value.

Each function takes an operation's arguments and which of them depend on the input, and returns the arguments
of the same operation with the absolute values of its coefficients and no constant term.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

Arguments = tuple[Any, ...]
Depends = tuple[bool, ...]


def _zero(argument: Any) -> Any:
    return torch.zeros_like(argument) if isinstance(argument, Tensor) else 0


def _absolute(argument: Any) -> Any:
    if isinstance(argument, Tensor):
        return argument if argument.dtype == torch.bool else argument.abs()
    return abs(argument)


def same(args: Arguments, dependent: Depends) -> Arguments:
    """Coefficients are 0 and positive: they are their own absolute values."""
    return args


def padded(args: Arguments, dependent: Depends) -> Arguments:
    """What is padded with is a constant."""
    return args[0], args[1], 0


def summed(args: Arguments, dependent: Depends) -> Arguments:
    """Terms that do not depend on the input are constants."""
    return tuple(arg if depends else _zero(arg) for arg, depends in zip(args, dependent, strict=True))


def subtracted(args: Arguments, dependent: Depends) -> Arguments:
    """A - b has the coefficients 1 and -1, whose absolute values are those of a - (-b)."""
    kept = summed(args, dependent)
    return kept[0], -kept[1] if isinstance(kept[1], Tensor) else kept[1]


def scaled(args: Arguments, dependent: Depends) -> Arguments:
    """The factor that does not depend on the input is the coefficient."""
    return tuple(arg if depends else _absolute(arg) for arg, depends in zip(args, dependent, strict=True))


def negated(args: Arguments, dependent: Depends) -> Arguments:
    """A negation: -(-x)."""
    return (-args[0],)


def batch_norm(args: Arguments, dependent: Depends) -> Arguments:
    """The scale is the coefficient, mean and bias are constants."""
    values, weight, bias, mean, variance, *rest = args
    weight = None if weight is None else weight.abs()
    return values, weight, None if bias is None else _zero(bias), _zero(mean), variance, *rest


def convolution(args: Arguments, dependent: Depends) -> Arguments:
    """The weight is the coefficient."""
    values, weight, _, *rest = args
    return values, weight.abs(), None, *rest


def addmm(args: Arguments, dependent: Depends) -> Arguments:
    """The matrix is the coefficient, what is added a constant."""
    return (_zero(args[0]), *scaled(args[1:], dependent[1:]))


def where(args: Arguments, dependent: Depends) -> Arguments:
    """A choice by a constant mask: what is chosen and does not depend on the input is a constant."""
    return args[0], *summed(args[1:], dependent[1:])


def written(args: Arguments, dependent: Depends) -> Arguments:
    """Writing one tensor into another: one that does not depend on the input is a constant."""
    first, second = summed(args[:2], dependent[:2])
    return first, second, *args[2:]


def scattered(args: Arguments, dependent: Depends) -> Arguments:
    """Writing the argument after axis and index into the first: see `written`."""
    first, second = summed((args[0], args[3]), (dependent[0], dependent[3]))
    return first, args[1], args[2], second, *args[4:]
