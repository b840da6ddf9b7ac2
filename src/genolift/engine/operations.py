"""The registry: which kind each core ATen operation is, and what the rules need to know of it. Data only.

To accept one more operation, add its line here; its row in the test table and in the printed plan follow.
Knows nothing of rules or of how they are carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch
from torch import Tensor

from genolift.engine.graph import Name, Operation, UnsupportedOperation, names_in

aten = torch.ops.aten


class Kind(Enum):
    """What an operation is in what depends on the input; it decides how multipliers pass through it."""

    LINEAR = "linear"
    ELEMENTWISE = "elementwise"
    PRODUCT = "product"
    SELECTION = "selection"


@dataclass(frozen=True)
class Linear:
    """Linear (or affine) in the arguments that depend on the input: multipliers pass by its transpose.

    ``absolute(args, dependent)`` gives the arguments of the same operation with its coefficients' absolute
    values and no constant term: what carries the spread, and the |W| of a weighted layer. None where the
    coefficients are not at hand; the spread is then made afresh behind the operation.
    ``weighted`` names the kind of layer that splits its net difference afresh (section 3.5.1).
    """

    absolute: Callable[[tuple[Any, ...], tuple[bool, ...]], tuple[Any, ...]] | None = None
    weighted: str | None = None
    kind: Kind = Kind.LINEAR


@dataclass(frozen=True)
class Elementwise:
    """One function applied to every element.

    ``derivative`` of the function where a formula is cheaper than autograd. ``curved``: "absolute" where the
    function's slope changes on a scale of about 1, "relative" where it changes on the scale of the argument,
    None where the function only selects and scales, so that differences are exact however small. ``kinks``
    are the arguments where the slope of a curved function jumps.
    """

    derivative: Callable[[Tensor], Tensor] | None = None
    curved: str | None = "absolute"
    kinks: tuple[float, ...] = ()
    kind: Kind = Kind.ELEMENTWISE


@dataclass(frozen=True)
class Product:
    """Bilinear in two arguments that both depend on the input."""

    kind: Kind = Kind.PRODUCT


@dataclass(frozen=True)
class Selection:
    """Each output is one of a window of inputs.

    ``window(x, args)`` gives the input with the axes that are chosen from flattened into a last axis, and
    ``choose(x, args)`` the index on that axis of every output, (..., outputs of one window axis).
    """

    window: Callable[[Tensor, tuple[Any, ...]], Tensor]
    unwindow: Callable[[Tensor, Tensor, tuple[Any, ...]], Tensor]
    choose: Callable[[Tensor, tuple[Any, ...]], Tensor]
    flatten_output: Callable[[Tensor, Tensor, tuple[Any, ...]], Tensor]
    kind: Kind = Kind.SELECTION


Entry = Linear | Elementwise | Product | Selection


def _zero(argument: Any) -> Any:
    return torch.zeros_like(argument) if isinstance(argument, Tensor) else 0


def _absolute(argument: Any) -> Any:
    return argument.abs() if isinstance(argument, Tensor) else abs(argument)


def _same(args: tuple[Any, ...], dependent: tuple[bool, ...]) -> tuple[Any, ...]:
    return args


def _pad(args: tuple[Any, ...], dependent: tuple[bool, ...]) -> tuple[Any, ...]:
    return args[0], args[1], 0


def _sum(args: tuple[Any, ...], dependent: tuple[bool, ...]) -> tuple[Any, ...]:
    return tuple(arg if depends else _zero(arg) for arg, depends in zip(args, dependent, strict=True))


def _subtraction(args: tuple[Any, ...], dependent: tuple[bool, ...]) -> tuple[Any, ...]:
    # a - b has the coefficients 1 and -1, whose absolute values are those of a - (-b).
    kept = _sum(args, dependent)
    return kept[0], -kept[1] if isinstance(kept[1], Tensor) else kept[1]


def _scaled(args: tuple[Any, ...], dependent: tuple[bool, ...]) -> tuple[Any, ...]:
    return tuple(arg if depends else _absolute(arg) for arg, depends in zip(args, dependent, strict=True))


def _negation(args: tuple[Any, ...], dependent: tuple[bool, ...]) -> tuple[Any, ...]:
    return (-args[0],)


def _batch_norm(args: tuple[Any, ...], dependent: tuple[bool, ...]) -> tuple[Any, ...]:
    values, weight, bias, mean, variance, *rest = args
    weight = None if weight is None else weight.abs()
    return values, weight, None if bias is None else _zero(bias), _zero(mean), variance, *rest


def _convolution(args: tuple[Any, ...], dependent: tuple[bool, ...]) -> tuple[Any, ...]:
    values, weight, _, *rest = args
    return values, weight.abs(), None, *rest


def _addmm(args: tuple[Any, ...], dependent: tuple[bool, ...]) -> tuple[Any, ...]:
    return (_zero(args[0]), *_scaled(args[1:], dependent[1:]))


def _flat_last_two(x: Tensor, args: tuple[Any, ...]) -> Tensor:
    return x.flatten(-2)


def _flat_last_three(x: Tensor, args: tuple[Any, ...]) -> Tensor:
    return x.flatten(-3)


def _like(flat: Tensor, x: Tensor, args: tuple[Any, ...]) -> Tensor:
    return flat.reshape(x.shape)


def _axes(x: Tensor, args: tuple[Any, ...]) -> list[int]:
    axes = args[1] if len(args) > 1 else []
    axes = [axes] if isinstance(axes, int) else list(axes)
    return sorted(axis % x.dim() for axis in (axes or range(x.dim())))


def _order(x: Tensor, args: tuple[Any, ...]) -> list[int]:
    axes = _axes(x, args)
    return [axis for axis in range(x.dim()) if axis not in axes] + axes


def _reduced_window(x: Tensor, args: tuple[Any, ...]) -> Tensor:
    return x.permute(_order(x, args)).flatten(x.dim() - len(_axes(x, args)))


def _reduced_unwindow(flat: Tensor, x: Tensor, args: tuple[Any, ...]) -> Tensor:
    order = _order(x, args)
    inverse = [order.index(axis) for axis in range(x.dim())]
    return flat.reshape([x.shape[axis] for axis in order]).permute(inverse)


def _reduced_output(y: Tensor, x: Tensor, args: tuple[Any, ...]) -> Tensor:
    axes = _axes(x, args)
    return y.reshape([size for axis, size in enumerate(x.shape) if axis not in axes] + [1])


def _reduced(sign: int) -> Selection:
    def choose(x: Tensor, args: tuple[Any, ...]) -> Tensor:
        return (sign * _reduced_window(x, args)).argmax(-1, keepdim=True)

    return Selection(_reduced_window, _reduced_unwindow, choose, _reduced_output)


def _pooled(pool: Callable[..., Any], spatial: int) -> Selection:
    def choose(x: Tensor, args: tuple[Any, ...]) -> Tensor:
        return pool(x, *args[1:])[1].flatten(-spatial)

    def flatten_output(y: Tensor, x: Tensor, args: tuple[Any, ...]) -> Tensor:
        return y.flatten(-spatial)

    return Selection(_flat_last_two if spatial == 2 else _flat_last_three, _like, choose, flatten_output)


def _relu_slope(x: Tensor) -> Tensor:
    return (x > 0).to(x.dtype)


def _sigmoid_slope(x: Tensor) -> Tensor:
    y = torch.sigmoid(x)
    return y * (1 - y)


def _tanh_slope(x: Tensor) -> Tensor:
    return 1 - torch.tanh(x) ** 2


_MOVED = Linear(_same)
_PIECEWISE = Elementwise(curved=None)
_SMOOTH = Elementwise()
_SCALE_FREE = Elementwise(curved="relative")

# Linear in the first argument (or in the list that is the first argument), the others held.
FIRST: Mapping[Any, Entry] = {
    aten.alias.default: _MOVED,
    aten.clone.default: _MOVED,
    aten.detach.default: _MOVED,
    aten._to_copy.default: _MOVED,
    aten.view.default: _MOVED,
    aten.permute.default: _MOVED,
    aten.squeeze.dims: _MOVED,
    aten.squeeze.dim: _MOVED,
    aten.unsqueeze.default: _MOVED,
    aten.expand.default: _MOVED,
    aten.repeat.default: _MOVED,
    aten.slice.Tensor: _MOVED,
    aten.select.int: _MOVED,
    aten.index.Tensor: _MOVED,
    aten.index_select.default: _MOVED,
    aten.gather.default: _MOVED,
    aten.flip.default: _MOVED,
    aten.cat.default: _MOVED,
    aten.constant_pad_nd.default: Linear(_pad),
    aten.sum.default: _MOVED,
    aten.sum.dim_IntList: _MOVED,
    aten.mean.default: _MOVED,
    aten.mean.dim: _MOVED,
    aten.cumsum.default: _MOVED,
    aten.avg_pool1d.default: _MOVED,
    aten.avg_pool2d.default: _MOVED,
    aten.avg_pool3d.default: _MOVED,
    aten._adaptive_avg_pool2d.default: _MOVED,
    aten._adaptive_avg_pool3d.default: _MOVED,
    aten.upsample_nearest1d.vec: _MOVED,
    aten.upsample_nearest2d.vec: _MOVED,
    aten.neg.default: Linear(_negation),
    aten._native_batch_norm_legit_no_training.default: Linear(_batch_norm),
    aten.convolution.default: Linear(_convolution, weighted="convolution"),
    aten.relu.default: Elementwise(_relu_slope, curved=None),
    aten.sigmoid.default: Elementwise(_sigmoid_slope),
    aten.tanh.default: Elementwise(_tanh_slope),
    aten.leaky_relu.default: _PIECEWISE,
    aten._prelu_kernel.default: _PIECEWISE,
    aten.hardtanh.default: _PIECEWISE,
    aten.hardsigmoid.default: Elementwise(kinks=(-3.0, 3.0)),
    aten.clamp.default: _PIECEWISE,
    aten.abs.default: _PIECEWISE,
    aten.threshold.default: _PIECEWISE,
    aten.elu.default: Elementwise(kinks=(0.0,)),
    aten.celu.default: Elementwise(kinks=(0.0,)),
    aten.gelu.default: _SMOOTH,
    aten.silu.default: _SMOOTH,
    aten.mish.default: _SMOOTH,
    aten.softplus.default: _SMOOTH,
    aten.log_sigmoid_forward.default: _SMOOTH,
    aten.hardswish.default: Elementwise(kinks=(-3.0, 3.0)),
    aten.exp.default: _SMOOTH,
    aten.expm1.default: _SMOOTH,
    aten.erf.default: _SMOOTH,
    aten.sin.default: _SMOOTH,
    aten.cos.default: _SMOOTH,
    aten.log.default: _SCALE_FREE,
    aten.log1p.default: _SMOOTH,
    aten.sqrt.default: _SCALE_FREE,
    aten.rsqrt.default: _SCALE_FREE,
    aten.reciprocal.default: _SCALE_FREE,
    aten.pow.Tensor_Scalar: _SCALE_FREE,
    aten.amax.default: _reduced(1),
    aten.amin.default: _reduced(-1),
    aten.max.dim: _reduced(1),
    aten.min.dim: _reduced(-1),
    aten.max_pool2d_with_indices.default: _pooled(aten.max_pool2d_with_indices.default, 2),
    aten.max_pool3d_with_indices.default: _pooled(aten.max_pool3d_with_indices.default, 3),
    aten.adaptive_max_pool2d.default: _pooled(aten.adaptive_max_pool2d.default, 2),
}

# Linear in each argument that depends on the input, together.
SUMS: Mapping[Any, Entry] = {
    aten.add.Tensor: Linear(_sum),
    aten.add.Scalar: Linear(_sum),
    aten.sub.Tensor: Linear(_subtraction),
    aten.sub.Scalar: Linear(_subtraction),
}

# Linear in one argument that depends on the input, bilinear in two.
PRODUCTS: Mapping[Any, Entry] = {
    aten.mul.Tensor: Linear(_scaled),
    aten.mul.Scalar: Linear(_scaled),
    aten.mm.default: Linear(_scaled, weighted="dense"),
    aten.bmm.default: Linear(_scaled, weighted="dense"),
    aten.addmm.default: Linear(_addmm, weighted="dense"),
}

# The smaller or larger of the input and a constant is a function of the input alone.
WITH_CONSTANT: Mapping[Any, Entry] = {
    aten.maximum.default: _PIECEWISE,
    aten.minimum.default: _PIECEWISE,
}


def entry_of(operation: Operation, dependent: frozenset[Name]) -> Entry:
    """Return what ``operation`` is, given which values depend on the input.

    Raises
    ------
    UnsupportedOperation
        If no exact rule is known for it.
    """
    target = operation.target
    where = [any(name in dependent for name in names_in([argument])) for argument in operation.args]
    named = any(name in dependent for name in names_in(dict(operation.kwargs)))
    if operation.batch_axis is not None and not named:
        if target in FIRST and not any(where[1:]):
            return FIRST[target]
        if target in SUMS:
            return SUMS[target]
        if target in PRODUCTS:
            if sum(where) == 1:
                # In addmm the first argument is added, not multiplied.
                return Linear() if target is aten.addmm.default and where[0] else PRODUCTS[target]
            return Product()
        if target is aten.div.Tensor and not where[1]:
            return Linear(_scaled)
        if target in WITH_CONSTANT and sum(where) == 1:
            return WITH_CONSTANT[target]
        if target is aten.convolution.default and not where[2]:
            return Product()
    raise UnsupportedOperation(
        f"no exact rule is known for the operation {operation.title}" + _reason(operation, where),
        where=operation.source or f"model, value {operation.name}",
        remedy="write the model without it, or explain a layer before it",
    )


def _reason(operation: Operation, where: list[bool]) -> str:
    if operation.batch_axis is None:
        return " over the rows of a batch" if operation.row_numel == 0 else ""
    return " with more than one argument that depends on the input" if sum(where) > 1 else ""
