"""The registry: of which kind each core ATen operation is, and what the rules need to know of it.

To accept one more operation, add its line here; its row in the printed plan and in docs/operations.md follow,
and the test table asks for its row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from genolift.engine.graph.decomposition import REGISTERED
from genolift.engine.graph.graph import (
    Name,
    Operation,
    Result,
    UnsupportedOperation,
    aten,
    names_in,
    short_name,
)
from genolift.engine.graph.recurrent_operations import genolift
from genolift.engine.kinds import coefficients
from genolift.engine.kinds.composed import Composed
from genolift.engine.kinds.elementwise import STEP, Elementwise
from genolift.engine.kinds.joint import Joint
from genolift.engine.kinds.kind import Kind, Window
from genolift.engine.kinds.linear import Linear
from genolift.engine.kinds.product import Product
from genolift.engine.kinds.programs import log_softmax, logsumexp, product, softmax
from genolift.engine.kinds.recurrent import Recurrent, gru, lstm, rnn_relu, rnn_tanh, stepped
from genolift.engine.kinds.selection import Pooled, Reduced
from genolift.engine.rules.activations import RELU, SIGMOID, TANH


def _entr_slope(x: Tensor) -> Tensor:
    return -torch.log(x) - 1


_MOVED = Linear(coefficients.same, moves=True)
_SUMMED = Linear(coefficients.same)
"""Sums and means of what is moved: the coefficients are positive."""
_PADDED = Linear(coefficients.same, window=Window(padding=1))
_POOLED_ALL = Linear(coefficients.same, window=Window("global pooling", whole=True))
_AVERAGED = Linear(coefficients.same, window=Window("average pooling", padding=3))
_ADAPTIVE = Linear(coefficients.same, window=Window("adaptive pooling"))
_LARGEST = Window("max pooling", padding=3)
_MIXED = Linear()
_CONVOLUTION = Linear(coefficients.convolution, weighted="convolution", factor=0, window=Window(padding=4))
_MATRIX = Linear(coefficients.scaled, weighted="dense", factor=0)
_SCALED = Linear(coefficients.scaled, pointwise=True)
_PIECEWISE = Elementwise(curved=None)
# A jump is lost where RevealCancel takes the derivative for a part of dx that is rounding noise.
_JUMPING = Elementwise(curved=None, activation=False)
_SMOOTH = Elementwise()
_ARITHMETIC = Elementwise(activation=False)
_SCALE_FREE = Elementwise(curved="relative", activation=False)
# Linear in the first argument (or in the list that is the first argument), the others held.
FIRST: Mapping[Any, Kind] = {
    aten.alias.default: _MOVED,
    aten.clone.default: _MOVED,
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
    aten.diagonal.default: _MOVED,
    aten.unfold.default: _MOVED,
    aten.index.Tensor: _MOVED,
    aten.index_select.default: _MOVED,
    aten.gather.default: _MOVED,
    aten.flip.default: _MOVED,
    aten.roll.default: _MOVED,
    aten.cat.default: _MOVED,
    aten.tril.default: _SUMMED,
    aten.triu.default: _SUMMED,
    aten.constant_pad_nd.default: Linear(coefficients.padded, window=Window(padding=1)),
    aten.reflection_pad1d.default: _PADDED,
    aten.reflection_pad2d.default: _PADDED,
    aten.reflection_pad3d.default: _PADDED,
    aten.replication_pad2d.default: _PADDED,
    aten.replication_pad3d.default: _PADDED,
    aten.im2col.default: _SUMMED,
    aten.col2im.default: _SUMMED,
    aten.sum.default: _POOLED_ALL,
    aten.sum.dim_IntList: _POOLED_ALL,
    aten.mean.default: _POOLED_ALL,
    aten.mean.dim: _POOLED_ALL,
    aten.cumsum.default: _SUMMED,
    aten.avg_pool1d.default: _AVERAGED,
    aten.avg_pool2d.default: _AVERAGED,
    aten.avg_pool3d.default: _AVERAGED,
    aten._adaptive_avg_pool2d.default: _ADAPTIVE,
    aten._adaptive_avg_pool3d.default: _ADAPTIVE,
    aten.upsample_nearest1d.vec: _SUMMED,
    aten.upsample_nearest2d.vec: _SUMMED,
    aten.upsample_bilinear2d.vec: _SUMMED,
    aten.grid_sampler_2d.default: _MIXED,
    aten._fft_r2c.default: _MIXED,
    aten._fft_c2r.default: _MIXED,
    aten._fft_c2c.default: _MIXED,
    aten.view_as_real.default: _MIXED,
    aten.view_as_complex.default: _MIXED,
    aten.neg.default: Linear(coefficients.negated),
    Result(aten._native_batch_norm_legit_no_training.default): Linear(coefficients.batch_norm),
    aten.convolution.default: _CONVOLUTION,
    aten.relu.default: Elementwise(RELU.slope, RELU.curved, relu=True),
    aten.sigmoid.default: Elementwise(SIGMOID.slope, SIGMOID.curved),
    aten.tanh.default: Elementwise(TANH.slope, TANH.curved),
    aten.leaky_relu.default: _PIECEWISE,
    aten._prelu_kernel.default: _PIECEWISE,
    aten.hardtanh.default: _PIECEWISE,
    aten.hardsigmoid.default: Elementwise(kinks=(-3.0, 3.0)),
    aten.hardshrink.default: _JUMPING,
    aten.softshrink.default: _PIECEWISE,
    aten.clamp.default: _PIECEWISE,
    aten.abs.default: _PIECEWISE,
    aten.threshold.default: _JUMPING,
    aten.elu.default: Elementwise(kinks=(0.0,)),
    aten.celu.default: Elementwise(kinks=(0.0,)),
    aten.gelu.default: _SMOOTH,
    aten.silu.default: _SMOOTH,
    aten.mish.default: _SMOOTH,
    aten.softplus.default: _SMOOTH,
    Result(aten.log_sigmoid_forward.default): _SMOOTH,
    aten.hardswish.default: Elementwise(kinks=(-3.0, 3.0)),
    aten.special_entr.default: Elementwise(_entr_slope, curved="relative", activation=False),
    aten.exp.default: _ARITHMETIC,
    aten.expm1.default: _ARITHMETIC,
    aten.erf.default: _SMOOTH,
    aten.sin.default: _SMOOTH,
    aten.cos.default: _SMOOTH,
    aten.sinh.default: _ARITHMETIC,
    aten.cosh.default: _ARITHMETIC,
    aten.asinh.default: _SMOOTH,
    aten.atan.default: _SMOOTH,
    aten.tan.default: _ARITHMETIC,
    aten.acos.default: _ARITHMETIC,
    aten.asin.default: _ARITHMETIC,
    aten.acosh.default: _SCALE_FREE,
    aten.atanh.default: _ARITHMETIC,
    aten.log.default: _SCALE_FREE,
    aten.log2.default: _SCALE_FREE,
    aten.log10.default: _SCALE_FREE,
    aten.log1p.default: _ARITHMETIC,
    aten.sqrt.default: _SCALE_FREE,
    aten.rsqrt.default: _SCALE_FREE,
    aten.reciprocal.default: _SCALE_FREE,
    aten.pow.Tensor_Scalar: _SCALE_FREE,
    aten.sign.default: STEP,
    aten.ceil.default: STEP,
    aten.floor.default: STEP,
    aten.round.default: STEP,
    aten.trunc.default: STEP,
    aten.isnan.default: STEP,
    aten.isinf.default: STEP,
    aten.logical_not.default: STEP,
    aten.bitwise_not.default: STEP,
    aten.eq.Scalar: STEP,
    aten.ne.Scalar: STEP,
    aten.lt.Scalar: STEP,
    aten.le.Scalar: STEP,
    aten.gt.Scalar: STEP,
    aten.ge.Scalar: STEP,
    aten.fmod.Scalar: _JUMPING,
    aten.remainder.Scalar: _JUMPING,
    aten.div.Scalar: Linear(coefficients.scaled),
    aten.any.dim: Reduced(),
    aten.any.dims: Reduced(),
    aten.amax.default: Reduced(),
    aten.amin.default: Reduced(smallest=True),
    Result(aten.max.dim): Reduced(),
    Result(aten.min.dim): Reduced(smallest=True),
    Result(aten.max_pool2d_with_indices.default): Pooled(2, _LARGEST),
    Result(aten.max_pool3d_with_indices.default): Pooled(3, _LARGEST),
    Result(aten.adaptive_max_pool2d.default): Pooled(2, Window("adaptive pooling")),
    aten._softmax.default: Composed(softmax, "exp, sum, log, exp"),
    aten._safe_softmax.default: Composed(softmax, "exp, sum, log, exp"),
    aten._log_softmax.default: Composed(log_softmax, "exp, sum, log"),
    aten.logsumexp.default: Composed(logsumexp, "exp, sum, log", _POOLED_ALL.window),
    aten.prod.dim_int: Composed(product, "products of two halves"),
}

# Linear in each argument that depends on the input, together.
SUMS: Mapping[Any, Kind] = {
    aten.add.Tensor: Linear(coefficients.summed),
    aten.add.Scalar: Linear(coefficients.summed),
    aten.sub.Tensor: Linear(coefficients.subtracted),
    aten.sub.Scalar: Linear(coefficients.subtracted),
    aten.slice_scatter.default: Linear(coefficients.written),
    aten.select_scatter.default: Linear(coefficients.written),
}

# As sums, but for a mask or index, which may not depend on the input.
SUMS_BUT: Mapping[Any, Linear] = {
    aten.where.self: Linear(coefficients.where, mask=0),
    aten.index_put.default: Linear(mask=1),
    aten.scatter.src: Linear(coefficients.scattered, mask=2),
    aten.scatter.value: Linear(coefficients.scattered, mask=2),
    aten.scatter_add.default: Linear(coefficients.scattered, mask=2),
}

# Linear in one argument that depends on the input, bilinear in two.
PRODUCTS: Mapping[Any, Product] = {
    aten.mul.Tensor: Product(_SCALED),
    aten.mul.Scalar: Product(_SCALED),
    aten.mm.default: Product(_MATRIX),
    aten.bmm.default: Product(_MATRIX),
    aten.addmm.default: Product(Linear(coefficients.addmm, weighted="dense", factor=1)),
}

# A function of one argument where the others do not depend on the input, else of several at once.
JOINT: Mapping[Any, Elementwise] = {
    aten.where.self: _PIECEWISE,
    aten.maximum.default: _PIECEWISE,
    aten.minimum.default: _PIECEWISE,
    aten.clamp.Tensor: _PIECEWISE,
    aten.fmod.Tensor: _JUMPING,
    aten.remainder.Tensor: _JUMPING,
    aten.pow.Scalar: _ARITHMETIC,
    aten.pow.Tensor_Tensor: _SCALE_FREE,
    aten.atan2.default: _ARITHMETIC,
    aten.heaviside.default: STEP,
    aten.div.Tensor_mode: STEP,
    aten.div.Scalar_mode: STEP,
    aten.eq.Tensor: STEP,
    aten.ne.Tensor: STEP,
    aten.lt.Tensor: STEP,
    aten.le.Tensor: STEP,
    aten.gt.Tensor: STEP,
    aten.ge.Tensor: STEP,
    aten.logical_and.default: STEP,
    aten.logical_or.default: STEP,
    aten.logical_xor.default: STEP,
    aten.bitwise_and.Tensor: STEP,
    aten.bitwise_and.Scalar: STEP,
    aten.bitwise_or.Tensor: STEP,
    aten.bitwise_or.Scalar: STEP,
    aten.bitwise_xor.Tensor: STEP,
    aten.bitwise_xor.Scalar: STEP,
}

# Of the input, the initial state and a mask, the weights held; each with its results.
RECURRENT: Mapping[Any, Kind] = {
    Result(operation, index): Recurrent(program(index), pieces)
    for operations, program, pieces, results in (
        ((aten.lstm.input, genolift.lstm.default), lstm, "dense, sigmoid, tanh, products, each step", 3),
        ((aten.gru.input, genolift.gru.default), gru, "dense, sigmoid, tanh, products, each step", 2),
        ((aten.rnn_tanh.input, genolift.rnn_tanh.default), rnn_tanh, "dense, tanh, each step", 2),
        ((aten.rnn_relu.input, genolift.rnn_relu.default), rnn_relu, "dense, relu, each step", 2),
        ((genolift.stepped.default,), stepped, "dense, activations, products, a mask, each step", 3),
    )
    for operation in operations
    for index in range(results)
}

_WRITTEN = {aten.slice_scatter.default, aten.select_scatter.default}

MOVES = frozenset(short_name(target) for target, kind in FIRST.items() if kind.moves)
"""The names of what only places values elsewhere: it says little of a model, and there is much of it."""


def only_moves(operation: Operation) -> bool:
    """Whether an operation only places values elsewhere."""
    kind = FIRST.get(operation.target)
    return kind is not None and kind.moves


def kind_of(operation: Operation, dependent: frozenset[Name]) -> Kind:
    """Return of which kind ``operation`` is, given which values depend on the input.

    Raises
    ------
    UnsupportedOperation
        If no exact rule is known for it.
    """
    where = [any(name in dependent for name in names_in([argument])) for argument in operation.args]
    named = any(name in dependent for name in names_in(dict(operation.kwargs)))
    kind = None if named or operation.batch_axis is None else _find(operation, where, dependent)
    if kind is None or not _holds_numbers(operation):
        raise UnsupportedOperation(
            f"no exact rule is known for the operation {operation.title}" + _reason(operation, where),
            where=operation.source or f"model, value {operation.name}",
            remedy="write the model without it, explain a layer after it, or give its rule with "
            f"genolift.register_rule({operation.full_name!r}, ...)",
        )
    return kind


def _find(operation: Operation, where: list[bool], dependent: frozenset[Name]) -> Kind | None:
    target = operation.target
    only_first = not any(where[1:])
    number = sum(name in dependent for name in operation.inputs)
    if target in REGISTERED:
        return REGISTERED[target] if number == 1 or not REGISTERED[target].of_one else None
    if target is aten._to_copy.default and not _is_floating(operation):
        return STEP
    if target in FIRST and only_first:
        return FIRST[target]
    if target in SUMS and operation.dtype == torch.bool and target not in _WRITTEN:
        return STEP if number == 1 else Joint()  # the sum of truth values is whether one is true
    if target in SUMS:
        return SUMS[target]
    if target in SUMS_BUT and not where[SUMS_BUT[target].mask or 0]:
        return SUMS_BUT[target]
    if target in PRODUCTS:
        bilinear = PRODUCTS[target]
        # In addmm the first argument is added, not multiplied.
        added = any(where[: bilinear.linear.factor or 0])
        return bilinear if sum(where) > 1 else _MIXED if added else bilinear.linear
    if target is aten.div.Tensor and only_first:
        return Linear(coefficients.scaled)
    if target in JOINT:
        return JOINT[target] if number == 1 else Joint()
    if target in RECURRENT and not where[2]:
        return RECURRENT[target]
    if target is aten.convolution.default and not where[2]:
        return Product(_CONVOLUTION)
    return None


def _is_floating(operation: Operation) -> bool:
    dtype = operation.dtype
    return dtype is None or dtype.is_floating_point or dtype.is_complex


def _holds_numbers(operation: Operation) -> bool:
    """Whole numbers (an index, a rank) are no measure of how much changes; truth values are 0 and 1."""
    return _is_floating(operation) or operation.dtype == torch.bool


def _reason(operation: Operation, where: list[bool]) -> str:
    if operation.batch_axis is None:
        return " over the rows of a batch" if operation.row_numel == 0 else ""
    if not _holds_numbers(operation):
        return " with whole numbers as its result"
    return " with more than one argument that depends on the input" if sum(where) > 1 else ""
