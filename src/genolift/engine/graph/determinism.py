"""Whether a model gives the same when it is called again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from genolift.engine.graph.graph import UnsupportedOperation
from genolift.engine.graph.outputs import tensors_of

_ROUNDING = 1e-5
"""What two calls may differ by through rounding, as a share of the largest value."""


def check_same(call: Callable[..., Any], module: nn.Module, inputs: Sequence[Tensor], first: Any) -> None:
    """Call a copy of a model again and, where that gives something else, name the first layer that does.

    Parameters
    ----------
    call
        Runs the copy on inputs.
    module
        The copy, whose layers are looked at.
    inputs, first
        What it was called with, and what it gave.

    Raises
    ------
    UnsupportedOperation
        If it gives something else.
    """
    second = call(*inputs)
    pairs = list(zip(tensors_of(first), tensors_of(second), strict=False))
    if all(_alike(one, other) for one, other in pairs):
        return
    largest = max(_difference(one, other) for one, other in pairs)
    layer = _changing_layer(call, module, inputs)
    raise UnsupportedOperation(
        f"the model gives another output when called again (by {largest:.2g})",
        where=f"model, layer {layer}" if layer else "model",
        remedy="it draws at random or changes its own state when predicting; mend its forward",
    )


def _difference(one: Tensor, other: Tensor) -> float:
    """Return the largest difference of two values; infinity if they have different shapes."""
    if one.shape != other.shape:
        return torch.inf
    return float((one - other).abs().max()) if one.numel() else 0.0


def _changing_layer(call: Callable[..., Any], module: nn.Module, inputs: Sequence[Tensor]) -> str | None:
    """Return the innermost layer that first gives another output for the same input; None where none does."""
    seen: list[list[tuple[str, Any]]] = []

    def see(name: str, layer: nn.Module) -> Any:
        called = f"{name} ({type(layer).__name__})"
        return layer.register_forward_hook(lambda _module, _, output: seen[-1].append((called, output)))

    hooks = [see(name, layer) for name, layer in module.named_modules() if name]
    try:
        for _ in range(2):
            seen.append([])
            call(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    for (name, one), (_, other) in zip(*seen, strict=False):
        same = zip(tensors_of(one), tensors_of(other), strict=False)
        if not all(_alike(before, after) for before, after in same):
            return name
    return None


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether two values are the same but for rounding: a GPU may sum in another order at each call."""
    if one.shape != other.shape or not one.is_floating_point():
        return torch.equal(one, other)
    finite = one[torch.isfinite(one)].abs()
    largest = float(finite.max()) if finite.numel() else 0.0
    return torch.allclose(one, other, rtol=0, atol=_ROUNDING * largest, equal_nan=True)
