"""Which operations torch takes apart when a model is captured, and how.

torch.export's own decompositions lead to core ATen. Kept whole are functions that have a rule as they are;
taken apart further is what core ATen keeps whole but is composed of operations that have one.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from genolift.engine.graph.graph import UnsupportedOperation, aten, named, operation_of
from genolift.engine.graph.source import first_line, model_line

KEPT_WHOLE = named(
    # Elementwise functions: split, their pieces would be comparisons and products.
    "_prelu_kernel celu hardshrink hardsigmoid hardswish heaviside log_sigmoid_forward mish silu softplus "
    "softshrink special_entr threshold "
    # Softmax: split, the largest logit, which is taken off first, would be credited.
    "_safe_softmax logsumexp "
    # Recurrent layers: split, they are a dozen operations for every time step.
    "lstm.input gru.input rnn_tanh.input rnn_relu.input"
)
REGISTERED: dict[Any, Any] = {}
"""The operations that users have given a kind, which they keep: see registration.py."""


def decomposed(program: ExportedProgram) -> ExportedProgram:
    """Return a program of operations that the registry knows, where torch can write it so.

    Raises
    ------
    UnsupportedOperation
        If torch cannot take it apart.
    """
    table: dict[Any, Any] = dict(torch.export.default_decompositions())
    table.update(TAKEN_APART)
    for operation in (*KEPT_WHOLE, *REGISTERED):
        table.pop(operation_of(operation), None)
    with warnings.catch_warnings(action="ignore"):
        try:
            return program.run_decompositions(table)
        except Exception as error:
            raise UnsupportedOperation(
                f"the model cannot be written in torch's core operations ({first_line(error)})",
                where=model_line(error),
            ) from error


def _standardised(x: Tensor, axes: list[int], eps: float) -> tuple[Tensor, Tensor, Tensor]:
    mean = x.mean(axes, keepdim=True)
    centred = x - mean
    scale = torch.rsqrt((centred * centred).mean(axes, keepdim=True) + eps)
    return centred * scale, mean, scale


def _layer_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    y, mean, scale = _standardised(x, list(range(x.dim() - len(shape), x.dim())), eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias, mean, scale


def _group_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    rows: int,
    channels: int,
    positions: int,
    groups: int,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    y, mean, scale = _standardised(x.reshape(rows, groups, -1), [2], eps)
    return _per_channel(y.reshape(x.shape), weight, bias), mean[..., 0], scale[..., 0]


def _per_channel(y: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    shape = (-1, *[1] * (y.dim() - 2))
    y = y if weight is None else y * weight.reshape(shape)
    return y if bias is None else y + bias.reshape(shape)


def _norm_of_batch(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, training: bool, momentum: float, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    # What instance norm becomes: rows and channels are one axis, so nothing is mixed.
    y, mean, scale = _standardised(x, [0, *range(2, x.dim())], eps)
    return _per_channel(y, weight, bias), mean.flatten(), scale.flatten()


def _variance(
    x: Tensor, dim: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> Tensor:
    axes = list(dim) if dim else list(range(x.dim()))
    centred = x - x.mean(axes, keepdim=True)
    freedom = math.prod(x.shape[axis] for axis in axes) - (1 if correction is None else correction)
    return (centred * centred).sum(axes, keepdim=keepdim) / freedom


def _variance_and_mean(
    x: Tensor, dim: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> tuple[Tensor, Tensor]:
    axes = list(dim) if dim else list(range(x.dim()))
    return _variance(x, dim, correction=correction, keepdim=keepdim), x.mean(axes, keepdim=keepdim)


def _absolute(x: Tensor) -> Tensor:
    # Of a complex number its two parts are arguments: what is elementwise has one.
    if not x.is_complex():
        return NotImplemented
    parts = torch.view_as_real(x)
    return (parts * parts).sum(-1).sqrt()


def _reduced_into(
    x: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    if reduce not in ("sum", "mean"):
        return NotImplemented
    ones, count = torch.ones_like(source), torch.ones_like(x)
    if not include_self:
        x = torch.where(torch.zeros_like(x).scatter_add(dim, index, ones) > 0, torch.zeros_like(x), x)
        count = torch.zeros_like(x)
    total = x.scatter_add(dim, index, source)
    if reduce == "sum":
        return total
    return total / count.scatter_add(dim, index, ones).clamp(min=1)


def _vector_norm(
    x: Tensor,
    order: float = 2,
    dim: Sequence[int] | int | None = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
) -> Tensor:
    axes = [dim] if isinstance(dim, int) else list(dim) if dim else list(range(x.dim()))
    if order == 2:
        return (x * x).sum(axes, keepdim=keepdim).sqrt()
    if order == torch.inf:
        return x.abs().amax(axes, keepdim=keepdim)
    if order == 1:
        return x.abs().sum(axes, keepdim=keepdim)
    return (x.abs() ** order).sum(axes, keepdim=keepdim) ** (1 / order)


def _trilinear(*arguments: Any) -> Tensor:
    """Three tensors, for each the axes that it lacks, and the axes to sum over."""
    factors = []
    for tensor, lacking in zip(arguments[:3], arguments[3:6], strict=True):
        for axis in lacking:
            tensor = tensor.unsqueeze(axis)
        factors.append(tensor)
    return (factors[0] * factors[1] * factors[2]).sum(list(arguments[6]))


def _split(x: Tensor, sizes: Sequence[int], dim: int = 0) -> list[Tensor]:
    return [x.narrow(dim, stop - size, size) for stop, size in zip(accumulate(sizes), sizes, strict=True)]


def _copied(target: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    return source.to(target.dtype).expand(target.shape).clone()


def _rrelu(
    x: Tensor, noise: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, *_training: Any
) -> tuple[Tensor, Tensor]:
    return torch.nn.functional.leaky_relu(x, (lower + upper) / 2), noise


def _zeros(size: Sequence[int], **options: Any) -> Tensor:
    # Memory that is not set differs from run to run.
    options.pop("memory_format", None)
    return torch.zeros(size, **options)


TAKEN_APART: Mapping[Any, Callable[..., Any]] = {
    aten.native_layer_norm.default: _layer_norm,
    aten.native_group_norm.default: _group_norm,
    aten._native_batch_norm_legit.no_stats: _norm_of_batch,
    aten.var.correction: _variance,
    aten.var_mean.correction: _variance_and_mean,
    aten.abs.default: _absolute,
    aten.scatter_reduce.two: _reduced_into,
    aten.linalg_vector_norm.default: _vector_norm,
    aten._trilinear.default: _trilinear,
    aten.split_with_sizes.default: _split,
    aten.copy.default: _copied,
    aten.rrelu_with_noise_functional.default: _rrelu,
    aten.detach.default: aten.alias.default,  # what is cut off from autograd is still what the model computes
    aten.empty.memory_format: _zeros,
    aten.empty_like.default: torch.zeros_like,
}
