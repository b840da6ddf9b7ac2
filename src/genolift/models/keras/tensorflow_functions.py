"""The TensorFlow functions that can be read from a file of Keras 2, in torch, by the names that it writes.

Arguments have TensorFlow's names; the first is positional, the others are keywords. Constants are numbers, or
tensors where a function cannot take a number.

Source: tf.math, tf.nn, tf.linalg and the array operations of TensorFlow 2.15.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Axes = int | list[int] | None


@dataclass(frozen=True)
class Sizes:
    """The result of tf.shape, or a part of it: a single value, since a list would mean several outputs."""

    listed: tuple[int, ...]


@dataclass(frozen=True)
class Function:
    """A function with TensorFlow's arguments."""

    compute: Callable[..., Any]
    takes_numbers: bool = True
    """Whether constants may stay Python numbers."""
    takes_list: bool = False
    """Whether its first argument is a list of tensors."""


def part_of(x: Any, slice_spec: Any = None) -> Any:
    """Return ``x[slice_spec]``; unlike torch's, steps may be negative, as for the reverse strand."""
    keys = list(slice_spec) if isinstance(slice_spec, (list, tuple)) else [slice_spec]
    keys = [
        slice(each["start"], each["stop"], each["step"]) if isinstance(each, dict) else each for each in keys
    ]
    if isinstance(x, Sizes):
        (key,) = keys
        return Sizes(x.listed[key]) if isinstance(key, slice) else x.listed[key]
    taken = sum(each is not None and each is not ... for each in keys)
    for place in [number for number, each in enumerate(keys) if each is ...]:
        keys[place : place + 1] = [slice(None)] * (x.dim() - taken)
    axis = 0
    for number, each in enumerate(keys):
        if isinstance(each, slice) and (each.step or 1) < 0:
            x = x.flip(axis)
            start, stop, step = each.indices(x.shape[axis])
            last = x.shape[axis] - 1
            keys[number] = slice(last - start, last - stop, -step)
        axis += each is not None  # None adds an axis
    return x[tuple(keys)]


def _axes(x: Tensor, axis: Axes) -> list[int]:
    return list(range(x.dim())) if axis is None else [axis] if isinstance(axis, int) else list(axis)


def _reduced(of: Callable[[Tensor, list[int], bool], Tensor]) -> Function:
    """Return a reduction; ``of`` takes a tensor, the axes to reduce and whether to keep them."""

    def compute(input_tensor: Tensor, axis: Axes = None, keepdims: bool | None = None) -> Tensor:
        return of(input_tensor, _axes(input_tensor, axis), bool(keepdims))

    return Function(compute)


def _product(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    for axis in sorted((axis % x.dim() for axis in axes), reverse=True):
        x = x.prod(axis, keepdim=keep)
    return x


def _norm(tensor: Tensor, axis: Axes = None, keepdims: bool | None = None) -> Tensor:
    return (tensor * tensor).sum(_axes(tensor, axis), keepdim=bool(keepdims)).sqrt()


def _l2_normalize(x: Tensor, axis: Axes = None, epsilon: float = 1e-12) -> Tensor:
    return x * (x * x).sum(_axes(x, axis), keepdim=True).clamp(min=epsilon).rsqrt()


def _truediv(x: Any, y: Any) -> Any:
    whole = [each.dtype for each in (x, y) if isinstance(each, Tensor) and not each.is_floating_point()]
    if whole and whole[0] in (torch.int32, torch.int64):
        return (x.double() if isinstance(x, Tensor) else x) / (y.double() if isinstance(y, Tensor) else y)
    return x / y


def _floor_div(x: Any, y: Any) -> Any:
    return torch.floor(x / y) if isinstance(x, Tensor) or isinstance(y, Tensor) else x // y  # of sizes


def _divide_no_nan(x: Tensor, y: Tensor) -> Tensor:
    none = y == 0
    return torch.where(none, 0.0, x / torch.where(none, 1.0, y))


def _matmul(a: Tensor, b: Tensor, transpose_a: bool | None = None, transpose_b: bool | None = None) -> Tensor:
    return (a.transpose(-1, -2) if transpose_a else a) @ (b.transpose(-1, -2) if transpose_b else b)


def _tensordot(a: Tensor, b: Tensor, axes: Any) -> Tensor:
    listed = axes if isinstance(axes, int) else [[each] if isinstance(each, int) else each for each in axes]
    return torch.tensordot(a, b, listed)


def _clip(t: Tensor, clip_value_min: Any, clip_value_max: Any) -> Tensor:
    return torch.maximum(torch.minimum(t, clip_value_max), clip_value_min)


def _gelu(features: Tensor, approximate: bool | None = None) -> Tensor:
    return functional.gelu(features, approximate="tanh" if approximate else "none")


def _silu(features: Tensor, beta: float = 1.0) -> Tensor:
    return functional.silu(features) if beta == 1 else features * torch.sigmoid(beta * features)


def _transpose(a: Tensor, perm: list[int] | None = None) -> Tensor:
    return a.permute(list(range(a.dim()))[::-1] if perm is None else perm)


def _squeeze(input: Tensor, axis: Axes = None) -> Tensor:
    if axis is None:  # a batch of one row stays a batch
        taken = [number for number in range(1, input.dim()) if input.shape[number] == 1]
    else:
        taken = [number % input.dim() for number in _axes(input, axis)]
    if any(input.shape[number] != 1 for number in taken):
        raise ValueError(f"axes {taken} of {tuple(input.shape)} are not all of size 1")
    return input[tuple(0 if number in taken else slice(None) for number in range(input.dim()))]


def _reshape(tensor: Tensor, shape: Any) -> Tensor:
    return tensor.reshape(shape.listed if isinstance(shape, Sizes) else tuple(shape))


def _reverse(tensor: Tensor, axis: list[int]) -> Tensor:
    return tensor.flip(axis)


def _concat(values: list[Tensor], axis: int) -> Tensor:
    return torch.cat(values, axis)


def _stack(values: list[Tensor], axis: int = 0) -> Tensor:
    return torch.stack(values, axis)


def _unstack(value: Any, num: int | None = None, axis: int = 0) -> list[Any]:
    return list(value.listed) if isinstance(value, Sizes) else list(value.unbind(axis))


def _split(value: Tensor, num_or_size_splits: Any, axis: int = 0) -> list[Tensor]:
    size = value.shape[axis]
    if isinstance(num_or_size_splits, int):
        return list(value.split(size // num_or_size_splits, axis))
    known = sum(each for each in num_or_size_splits if each >= 0)
    return list(value.split([each if each >= 0 else size - known for each in num_or_size_splits], axis))


def _tile(input: Tensor, multiples: list[int]) -> Tensor:
    return input.repeat(*multiples)


def _repeat(input: Tensor, repeats: int, axis: int) -> Tensor:
    return input.repeat_interleave(repeats, axis)


def _pad(tensor: Tensor, paddings: list[list[int]], constant_values: float = 0) -> Tensor:
    return functional.pad(
        tensor, [each for pair in reversed(paddings) for each in pair], value=constant_values
    )


def _roll(input: Tensor, shift: Any, axis: Any) -> Tensor:
    return input.roll(shift, axis)


def _gather(params: Tensor, indices: Any, axis: int | None = None) -> Tensor:
    axis = 0 if axis is None else axis
    if isinstance(indices, int):
        return params.select(axis, indices)
    return params.index_select(axis, torch.tensor(indices, device=params.device))


def _slice(input_: Tensor, begin: list[int], size: list[int]) -> Tensor:
    ends = [None if many < 0 else start + many for start, many in zip(begin, size, strict=True)]
    return input_[tuple(slice(*each) for each in zip(begin, ends, strict=True))]


def _cumsum(x: Tensor, axis: int = 0, reverse: bool = False) -> Tensor:
    return x.flip(axis).cumsum(axis).flip(axis) if reverse else x.cumsum(axis)


def _of_values(compute: Callable[[Any], Any]) -> Function:
    """Return a function of one tensor without settings."""
    return Function(lambda x: compute(x))


def _of_two(compute: Callable[[Any, Any], Any], *, takes_numbers: bool = True) -> Function:
    """Return a function of two tensors without settings."""
    return Function(lambda x, y: compute(x, y), takes_numbers)


GET_ITEM = "__operators__.getitem"
CAST = "cast"
"""`operators.TensorFlowFunction` computes this itself, since it depends on the model's precision."""
FUNCTIONS: Mapping[str, Function] = {
    GET_ITEM: Function(part_of),
    CAST: Function(lambda x, dtype: x),
    "__operators__.add": _of_two(lambda x, y: x + y),
    "math.add": _of_two(lambda x, y: x + y),
    "math.subtract": _of_two(lambda x, y: x - y),
    "math.multiply": _of_two(lambda x, y: x * y),
    "math.truediv": _of_two(_truediv),
    "math.divide_no_nan": _of_two(_divide_no_nan, takes_numbers=False),
    "math.pow": _of_two(lambda x, y: x**y),
    "math.maximum": _of_two(torch.maximum, takes_numbers=False),
    "math.minimum": _of_two(torch.minimum, takes_numbers=False),
    "math.squared_difference": _of_two(lambda x, y: (x - y) ** 2),
    "compat.v1.floor_div": _of_two(_floor_div),
    "math.floormod": _of_two(torch.remainder),
    "math.add_n": Function(lambda inputs: reduce(torch.add, inputs), takes_list=True),
    "math.greater": _of_two(lambda x, y: x > y),
    "math.greater_equal": _of_two(lambda x, y: x >= y),
    "math.less": _of_two(lambda x, y: x < y),
    "math.less_equal": _of_two(lambda x, y: x <= y),
    "math.equal": _of_two(lambda x, y: x == y),
    "math.not_equal": _of_two(lambda x, y: x != y),
    "math.logical_and": _of_two(torch.logical_and, takes_numbers=False),
    "math.logical_or": _of_two(torch.logical_or, takes_numbers=False),
    "math.logical_not": _of_values(torch.logical_not),
    "where": Function(lambda condition, x, y: torch.where(condition, x, y), takes_numbers=False),
    "clip_by_value": Function(_clip, takes_numbers=False),
    "math.abs": _of_values(torch.abs),
    "math.atan": _of_values(torch.atan),
    "math.ceil": _of_values(torch.ceil),
    "math.cos": _of_values(torch.cos),
    "math.cosh": _of_values(torch.cosh),
    "math.erf": _of_values(torch.erf),
    "math.exp": _of_values(torch.exp),
    "math.expm1": _of_values(torch.expm1),
    "math.floor": _of_values(torch.floor),
    "math.log": _of_values(torch.log),
    "math.log1p": _of_values(torch.log1p),
    "math.log_sigmoid": _of_values(functional.logsigmoid),
    "math.negative": _of_values(torch.neg),
    "math.reciprocal": _of_values(torch.reciprocal),
    "math.round": _of_values(torch.round),
    "math.rsqrt": _of_values(torch.rsqrt),
    "math.sigmoid": _of_values(torch.sigmoid),
    "math.sign": _of_values(torch.sign),
    "math.sin": _of_values(torch.sin),
    "math.sinh": _of_values(torch.sinh),
    "math.softplus": _of_values(functional.softplus),
    "math.sqrt": _of_values(torch.sqrt),
    "math.square": _of_values(torch.square),
    "math.tanh": _of_values(torch.tanh),
    "nn.elu": _of_values(functional.elu),
    "nn.gelu": Function(_gelu),
    "nn.leaky_relu": Function(lambda features, alpha=0.2: functional.leaky_relu(features, alpha)),
    "nn.log_softmax": Function(lambda logits, axis=-1: torch.log_softmax(logits, axis)),
    "nn.relu": _of_values(torch.relu),
    "nn.relu6": _of_values(functional.relu6),
    "nn.selu": _of_values(functional.selu),
    "nn.silu": Function(_silu),
    "nn.softmax": Function(lambda logits, axis=-1: torch.softmax(logits, axis)),
    "nn.softsign": _of_values(functional.softsign),
    "nn.bias_add": Function(lambda value, bias: value + bias),
    "math.reduce_all": _reduced(lambda x, axes, keep: torch.all(x, axes, keepdim=keep)),
    "math.reduce_any": _reduced(lambda x, axes, keep: torch.any(x, axes, keepdim=keep)),
    "math.reduce_logsumexp": _reduced(lambda x, axes, keep: torch.logsumexp(x, axes, keepdim=keep)),
    "math.reduce_max": _reduced(lambda x, axes, keep: torch.amax(x, axes, keepdim=keep)),
    "math.reduce_mean": _reduced(lambda x, axes, keep: torch.mean(x, axes, keepdim=keep)),
    "math.reduce_min": _reduced(lambda x, axes, keep: torch.amin(x, axes, keepdim=keep)),
    "math.reduce_prod": _reduced(_product),
    "math.reduce_std": _reduced(lambda x, axes, keep: torch.var(x, axes, correction=0, keepdim=keep).sqrt()),
    "math.reduce_sum": _reduced(lambda x, axes, keep: torch.sum(x, axes, keepdim=keep)),
    "math.reduce_variance": _reduced(lambda x, axes, keep: torch.var(x, axes, correction=0, keepdim=keep)),
    "compat.v1.norm": Function(_norm),
    "math.l2_normalize": Function(_l2_normalize),
    "math.cumsum": Function(_cumsum),
    "linalg.matmul": Function(_matmul),
    "linalg.matrix_transpose": Function(lambda a: a.transpose(-1, -2)),
    "tensordot": Function(_tensordot),
    "compat.v1.transpose": Function(_transpose),
    "compat.v1.squeeze": Function(_squeeze),
    "expand_dims": Function(lambda input, axis: input.unsqueeze(axis)),
    "reshape": Function(_reshape),
    "keras.backend.batch_flatten": Function(lambda x: x.reshape(x.shape[0], -1)),
    "reverse": Function(_reverse),
    "concat": Function(_concat, takes_numbers=False, takes_list=True),
    "stack": Function(_stack, takes_numbers=False, takes_list=True),
    "unstack": Function(_unstack),
    "split": Function(_split),
    "tile": Function(_tile),
    "repeat": Function(_repeat),
    "compat.v1.pad": Function(_pad),
    "roll": Function(_roll),
    "compat.v1.gather": Function(_gather),
    "slice": Function(_slice),
    "compat.v1.shape": Function(lambda input: Sizes(tuple(input.shape))),
    "identity": Function(lambda input: input.clone()),
    "zeros_like": Function(lambda input: torch.zeros_like(input)),
    "ones_like": Function(lambda input: torch.ones_like(input)),
}
