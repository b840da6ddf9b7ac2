"""Rules of the user's own for operations."""

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from genolift.engine.graph.decomposition import REGISTERED
from genolift.engine.graph.graph import Result
from genolift.engine.kinds.elementwise import Elementwise
from genolift.engine.kinds.kind import Kind
from genolift.engine.kinds.linear import Linear
from genolift.engine.kinds.product import Product
from genolift.engine.kinds.registered import OwnRule, Registered
from genolift.engine.torch_internals import OpOverload, OpOverloadPacket, schema_of
from genolift.errors import InputError

_KINDS: dict[str, Kind] = {"linear": Linear(), "elementwise": Elementwise(), "product": Product(Linear())}


def register_rule(operation: str | Callable[..., Any], rule: str | OwnRule | None) -> None:
    """Say how multipliers pass through an operation that genolift does not know, or knows otherwise.

    Parameters
    ----------
    operation
        An operation of torch, as ``torch.ops.aten.cumprod.default`` or by the name that an error or a plan
        gives it, "aten.cumprod.default"; or one of your own from `torch.library`, "mine::name". Where it has
        several results, the rule is that of the first.
    rule
        "linear": linear in the arguments that depend on the input; multipliers pass by its transpose, from
        autograd. "elementwise": a function of every element of one argument; Rescale or RevealCancel.
        "product": linear in each of two such arguments. Or a function
        ``rule(compute, x, x0, multiplier)`` that returns the multiplier of x: x and x0, (pairs, ...), are
        input and reference of the one argument that depends on the input, ``compute(x)`` is the operation
        with its other arguments held, and ``multiplier`` is that of its result, of the result's shape. None
        takes back what was registered.

    Raises
    ------
    InputError
        If there is no such operation or rule.

    Notes
    -----
    A rule is exact if, for every pair, the sum of (multiplier of x) (x - x0) is the sum of ``multiplier``
    (compute(x) - compute(x0)). ``genolift plan --check`` compares the two for every operation.

    Examples
    --------
    A running product; every element is credited with its share of all that changed: crude, but exact.

    >>> def cumulative_product(compute, x, x0, multiplier):
    ...     change = (multiplier * (compute(x) - compute(x0))).sum(-1, keepdim=True)
    ...     size = (x - x0).abs().sum(-1, keepdim=True).clamp_min(1e-12)
    ...     return change * (x - x0).sign() / size
    >>> genolift.register_rule("aten.cumprod.default", cumulative_product)
    """
    target = operation_named(operation)
    if rule is None:
        REGISTERED.pop(target, None)
    elif callable(rule):
        REGISTERED[target] = Registered(_checked(rule, str(operation)))
    elif rule in _KINDS:
        REGISTERED[target] = _KINDS[rule]
    else:
        raise InputError(
            f"there is no rule {rule!r}",
            where="rule",
            remedy=f"choose {', '.join(_KINDS)}, or give a function",
        )


def _checked(rule: OwnRule, operation: str) -> OwnRule:
    """Return the rule with a check of what it gives: torch would say nothing of whose mistake it is."""

    def checked(compute: Callable[[Tensor], Tensor], x: Tensor, x0: Tensor, multiplier: Tensor) -> Tensor:
        given: Any = rule(compute, x, x0, multiplier)
        if not isinstance(given, Tensor) or given.shape != x.shape:
            shape = f" of shape {tuple(given.shape)}" if isinstance(given, Tensor) else ""
            raise InputError(
                f"the rule registered for {operation} returns a {type(given).__name__}{shape}",
                where="register_rule",
                remedy=f"return the multiplier of x, of the shape of x, {tuple(x.shape)}",
            )
        return given

    return checked


def operation_named(operation: str | Callable[..., Any]) -> Any:
    """Return an operation, or the first of its results, as it stands in a graph.

    Raises
    ------
    InputError
        If there is no such operation.
    """
    overload: Any = _looked_up(operation) if isinstance(operation, str) else operation
    if isinstance(overload, OpOverloadPacket):
        overload = overload.default if "default" in overload.overloads() else None
    if not isinstance(overload, OpOverload):
        raise InputError(
            f"{operation!r} is not an operation of torch",
            where="register_rule",
            remedy='give it as an error or a plan names it, such as "aten.cumprod.default"',
        )
    return Result(overload) if len(schema_of(overload).returns) > 1 else overload


def _looked_up(name: str) -> Any:
    try:
        return reduce(getattr, name.replace("::", ".").split("."), torch.ops)
    except AttributeError:
        return None
