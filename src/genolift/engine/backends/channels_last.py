"""Convolutions on a CPU with a position's channels side by side in memory.

There oneDNN's convolution needs no rearranging on the way in and out and is, at 64 channels and wide
dilations, up to 1.8 times as fast (benchmarks/README.md). What comes after keeps the layout by itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from threading import local
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten

_FEWEST_CHANNELS = 16
"""With fewer in the output there is nothing to gain. Back to fewer in the input, as to one-hot bases, oneDNN
takes up to twice as long a row for several rows as for one, so that rows are passed back one by one."""
_kept = local()


def fits(args: tuple[Any, ...]) -> bool:
    """Whether a convolution with these arguments is to have its channels side by side."""
    weight, transposed = args[1], args[6]
    return (
        isinstance(weight, Tensor)
        and weight.dtype in (torch.float32, torch.bfloat16)
        and weight.dim() in (3, 4)
        and not transposed
        and weight.shape[0] >= _FEWEST_CHANNELS
    )


def laid_out(values: Tensor) -> Tensor:
    """Return values, or a weight, (rows, channels, ...), with their channels side by side."""
    if values.dim() == 3:
        return values.unsqueeze(2).contiguous(memory_format=torch.channels_last).squeeze(2)
    return values.contiguous(memory_format=torch.channels_last)


def convolution(x: Tensor, weight: Tensor, bias: Tensor | None, *options: Any) -> Tensor:
    """Return aten.convolution of the same arguments with its channels side by side."""
    x, one_dimension = laid_out(x), x.dim() == 3
    if one_dimension:
        x, weight, options = x.unsqueeze(2), weight.unsqueeze(2), _with_an_axis(options)
    y = laid_out(aten.convolution(x, weight, bias, *options))
    return y.squeeze(2) if one_dimension else y


@dataclass(frozen=True)
class Transpose:
    """The way back through a convolution. Unlike autograd's it keeps no input: that takes no part in it.

    So the values of a layer are let go of, and half the memory of a pass is never gone through again.
    """

    shape: torch.Size
    dtype: torch.dtype
    args: tuple[Any, ...]
    """The convolution's arguments after its input."""

    def __call__(self, a: Tensor) -> Tensor:
        """Return the multipliers of the input from those of the output, a."""
        weight, _, *options = self.args
        shape, a = self.shape, laid_out(a.to(self.dtype))
        one_dimension = len(shape) == 3
        if one_dimension:
            shape, weight, a = torch.Size((*shape[:2], 1, shape[2])), weight.unsqueeze(2), a.unsqueeze(2)
            options = list(_with_an_axis(tuple(options)))
        one_by_one = shape[1] < _FEWEST_CHANNELS and self.dtype == torch.float32
        parts = [
            aten.convolution_backward(
                rows,
                _any_values((len(rows), *shape[1:]), self.dtype),
                weight,
                None,
                *options,
                [True, False, False],
            )[0]
            for rows in (a.split(1) if one_by_one else [a])
        ]
        back = parts[0] if len(parts) == 1 else torch.cat(parts)
        return back.squeeze(2) if one_dimension else back


def _with_an_axis(options: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return stride, padding, dilation and so on for one more axis, of size 1, before the others."""
    stride, padding, dilation, transposed, output_padding, groups = options
    return [1, *stride], [0, *padding], [1, *dilation], transposed, [0, *output_padding], groups


def _any_values(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Return memory of a shape that is neither read nor written, one for each thread."""
    needed = math.prod(shape)
    memory: dict[torch.dtype, Tensor] = _kept.__dict__.setdefault("memory", {})
    if dtype not in memory or memory[dtype].numel() < needed:
        memory[dtype] = torch.empty(needed, dtype=dtype)
    n, channels, *positions = shape
    return memory[dtype][:needed].view(n, *positions, channels).movedim(-1, 1)
