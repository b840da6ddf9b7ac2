"""Which operations torch takes apart when a model is captured, and how.

torch.export's own decompositions lead to core ATen. Kept whole are functions that have a rule as they are;
taken apart further is what core ATen keeps whole but is composed of operations that have one.
"""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from genolift.engine.graph.graph import UnsupportedOperation, aten, named, operation_of
from genolift.engine.graph.source import first_line, model_line
from genolift.engine.torch_internals import get_decompositions, precision_left_alone

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
    with warnings.catch_warnings(action="ignore"), precision_left_alone():
        try:
            return program.run_decompositions(table)
        except Exception as error:
            raise UnsupportedOperation(
                f"the model cannot be written in torch's core operations ({first_line(error)})",
                where=model_line(error),
            ) from error


_Given = Tensor | None


def _standardised(x: Tensor, axes: list[int], eps: float) -> tuple[Tensor, Tensor, Tensor]:
    mean = x.mean(axes, keepdim=True)
    centred = x - mean
    scale = torch.rsqrt((centred * centred).mean(axes, keepdim=True) + eps)
    return centred * scale, mean, scale


def _weighted(y: Tensor, weight: _Given, bias: _Given, shape: Sequence[int]) -> Tensor:
    y = y if weight is None else y * weight.reshape(shape)
    return y if bias is None else y + bias.reshape(shape)


def _layer_norm(
    x: Tensor, shape: Sequence[int], weight: _Given, bias: _Given, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    y, mean, scale = _standardised(x, list(range(x.dim() - len(shape), x.dim())), eps)
    return _weighted(y, weight, bias, shape), mean, scale


def _group_norm(
    x: Tensor, weight: _Given, bias: _Given, rows: int, _channels: int, _length: int, groups: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    y, mean, scale = _standardised(x.reshape(rows, groups, -1), [2], eps)
    y = _weighted(y.reshape(x.shape), weight, bias, (-1, *[1] * (x.dim() - 2)))
    return y, mean[..., 0], scale[..., 0]


def _variance_and_mean(
    x: Tensor, dim: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> tuple[Tensor, Tensor]:
    axes = list(dim) if dim else list(range(x.dim()))
    centred = x - x.mean(axes, keepdim=True)
    freedom = math.prod(x.shape[axis] for axis in axes) - (1 if correction is None else correction)
    return (centred * centred).sum(axes, keepdim=keepdim) / freedom, x.mean(axes, keepdim=keepdim)


def _variance(x: Tensor, dim: Sequence[int] | None = None, **options: Any) -> Tensor:
    return _variance_and_mean(x, dim, **options)[0]


def _absolute(x: Tensor) -> Tensor:
    # Of a complex number it is a function of two arguments, its parts, and not of one.
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


def _trilinear(*arguments: Any) -> Tensor:
    """Three tensors, for each the axes that it lacks, and the axes to sum over."""
    tensors = zip(arguments[:3], arguments[3:6], strict=True)
    one, two, three = (reduce(torch.unsqueeze, lacking, tensor) for tensor, lacking in tensors)
    return (one * two * three).sum(list(arguments[6]))


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
    # Instance norm becomes the latter: rows and channels are one axis, so that no rows are mixed.
    **get_decompositions(named("linalg_vector_norm _native_batch_norm_legit.no_stats")),
    aten.native_layer_norm.default: _layer_norm,
    aten.native_group_norm.default: _group_norm,
    aten.var.correction: _variance,
    aten.var_mean.correction: _variance_and_mean,
    aten.abs.default: _absolute,
    aten.scatter_reduce.two: _reduced_into,
    aten._trilinear.default: _trilinear,
    aten.split_with_sizes.default: _split,
    aten.copy.default: _copied,
    aten.rrelu_with_noise_functional.default: _rrelu,
    aten.detach.default: aten.alias.default,  # what is cut off from autograd is still what the model computes
    aten.empty.memory_format: _zeros,
    aten.empty_like.default: torch.zeros_like,
}
