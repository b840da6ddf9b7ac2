"""What Keras 3 has no longer or not on torch, as torch functions of inputs, weights and config."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "elu": functional.elu,
    "selu": torch.selu,
    "softplus": functional.softplus,
}


def locally_connected(inputs: Tensor, weights: Mapping[str, Tensor], config: Mapping[str, Any]) -> Tensor:
    """Return a convolution with weights of its own at each place, in one or two dimensions, unpadded.

    The kernel is (place, kernel position and channel, filter), as Keras 2 saved it with implementation 1;
    with channels first, it has them before the kernel's positions.
    """
    sizes, strides = _numbers(config["kernel_size"]), _numbers(config["strides"])
    first = config.get("data_format") == "channels_first"
    x = inputs.movedim(1, -1) if first else inputs
    for axis, (size, stride) in enumerate(zip(sizes, strides, strict=True), 1):
        n = (x.shape[axis] - size) // stride + 1
        taken = torch.arange(n)[:, None] * stride + torch.arange(size)[None]
        # the kernel's axes go behind those of the places, before the channels
        x = x.index_select(axis, taken.flatten()).unflatten(axis, (n, size)).movedim(axis + 1, -2)
    places = x.shape[1 : 1 + len(sizes)]
    if first:
        x = x.movedim(-1, 1 + len(sizes))
    rows = x.reshape(x.shape[0], places.numel(), -1)
    y = torch.einsum("npf,pfo->npo", rows, weights["kernel"]).unflatten(1, places)
    if "bias" in weights:
        bias = weights["bias"]
        # Keras reshapes where it should transpose, and its models are trained so
        y = y + (bias.reshape(-1, *places).movedim(0, -1) if first else bias)
    y = _ACTIVATIONS[config.get("activation") or "linear"](y)
    return y.movedim(-1, 1) if first else y


def thresholded_relu(inputs: Tensor, config: Mapping[str, Any]) -> Tensor:
    """Return what is above the threshold, and 0 elsewhere."""
    return inputs * (inputs > config["threshold"])


def part_of(x: Tensor, key: Any) -> Tensor:
    """Return ``x[key]``; steps may be negative, as the other strand is taken, which torch's own may not."""
    keys = list(key) if isinstance(key, (list, tuple)) else [key]
    if ... in keys:
        place = keys.index(...)
        keys[place : place + 1] = [slice(None)] * (x.dim() - len(keys) + 1)
    for axis, each in enumerate(keys):
        if isinstance(each, slice) and (each.step or 1) < 0:
            x = x.flip(axis)
            start, stop, step = each.indices(x.shape[axis])
            last = x.shape[axis] - 1
            keys[axis] = slice(last - start, last - stop, -step)
    return x[tuple(keys)]


def _numbers(given: int | Sequence[int]) -> list[int]:
    return [given] if isinstance(given, int) else list(given)


ABSENT: Mapping[str, Callable[..., Any]] = {
    "LocallyConnected1D": locally_connected,
    "LocallyConnected2D": locally_connected,
    "ThresholdedReLU": thresholded_relu,
}
