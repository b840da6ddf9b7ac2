"""Convolutions with a position's channels side by side in memory.

On a CPU, oneDNN's convolution then needs no rearranging on the way in and out and is, at 64 channels and wide
dilations, up to 1.8 times as fast (benchmarks/README.md). What comes after keeps the layout by itself.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten

_FEWEST_CHANNELS = 16
"""With fewer in the output there is nothing to gain. Back to fewer in the input, as to one-hot bases, oneDNN
takes up to twice as long a row for several rows as for one, so that rows are passed back one by one."""
_OF_INPUT = [True, False, False]
"""Which gradients of a convolution are asked for: of its input, not of its weight and bias."""


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
    if x.dim() == 3:
        args = weight.unsqueeze(2), bias, *_with_an_axis(*options)
        return convolution(x.unsqueeze(2), *args).squeeze(2)
    return laid_out(aten.convolution(laid_out(x), weight, bias, *options))


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
        n, channels, *positions = self.shape
        if len(positions) == 1:
            args = weight.unsqueeze(2), None, *_with_an_axis(*options)
            flat = Transpose(torch.Size((n, channels, 1, *positions)), self.dtype, args)
            return flat(a.unsqueeze(2)).squeeze(2)
        a = laid_out(a.to(self.dtype))
        one_by_one = channels < _FEWEST_CHANNELS and self.dtype == torch.float32 and a.device.type == "cpu"
        parts = []
        for rows in a.split(1) if one_by_one else [a]:
            shape = len(rows), channels, *positions
            like: dict[str, Any] = {"dtype": self.dtype, "device": a.device}
            inputs = torch.empty(shape, memory_format=torch.channels_last, **like)  # never read
            parts.append(aten.convolution_backward(rows, inputs, weight, None, *options, _OF_INPUT)[0])
        return parts[0] if len(parts) == 1 else torch.cat(parts)


def _with_an_axis(
    stride: Any, padding: Any, dilation: Any, transposed: Any, output_padding: Any, groups: Any
) -> tuple[Any, ...]:
    """Return a convolution's options for one more axis, of size 1, before the others."""
    return [1, *stride], [0, *padding], [1, *dilation], transposed, [0, *output_padding], groups
