"""Convolutions on a CPU with a position's channels side by side in memory. Knows nothing of rules or graphs.

There oneDNN's convolution needs no rearranging on the way in and out and is, at 64 channels and wide
dilations, up to 1.8 times as fast (benchmarks/README.md). What comes after keeps the layout by itself.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten

_FEWEST_CHANNELS = 16
"""With fewer, as of one-hot bases, the way back to the input is twice as slow as in the usual layout."""


def fits(device: torch.device, args: tuple[Any, ...]) -> bool:
    """Whether a convolution with these arguments is to have its channels side by side."""
    weight, transposed = args[1], args[6]
    return (
        device.type == "cpu"
        and isinstance(weight, Tensor)
        and weight.dtype in (torch.float32, torch.bfloat16)
        and weight.dim() in (3, 4)
        and not transposed
        and weight.shape[0] >= _FEWEST_CHANNELS
        and torch.backends.mkldnn.is_available()
    )


def laid_out(weight: Tensor) -> Tensor:
    """Return a weight (channels out, channels in, ...) with its channels side by side, of the same shape."""
    if weight.dim() == 3:
        return weight.unsqueeze(2).contiguous(memory_format=torch.channels_last).squeeze(2)
    return weight.contiguous(memory_format=torch.channels_last)


def convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    output_padding: list[int],
    groups: int,
) -> Tensor:
    """Return aten.convolution of the same arguments with its channels side by side."""
    one_dimension = x.dim() == 3
    if one_dimension:
        x = x.unsqueeze(2)
        weight = weight.unsqueeze(2)
        stride, padding, dilation = [1, *stride], [0, *padding], [1, *dilation]
        output_padding = [0, *output_padding]
    if x.shape[1] >= _FEWEST_CHANNELS:
        x = x.contiguous(memory_format=torch.channels_last)
    y = aten.convolution(x, weight, bias, stride, padding, dilation, transposed, output_padding, groups)
    y = y.contiguous(memory_format=torch.channels_last)
    return y.squeeze(2) if one_dimension else y
