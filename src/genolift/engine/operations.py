"""The registry: which kind each core ATen operation is, and what the rules need to know of it.

To accept one more operation, add its line here; its row in the printed plan and in docs/operations.md follow,
and the test table asks for its row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from genolift.engine.graph.graph import Name, Operation, Result, UnsupportedOperation, aten, names_in
from genolift.engine.graph.recurrent_operations import genolift
from genolift.engine.kinds import coefficients
from genolift.engine.kinds.composed import log_softmax, logsumexp, product, softmax
from genolift.engine.kinds.kinds import Composed, Elementwise, Entry, Joint, Linear, Product, Registered
from genolift.engine.kinds.recurrent import gru, lstm, rnn_relu, rnn_tanh, stepped
from genolift.engine.kinds.selection import pooled, reduced
from genolift.engine.rules.activations import RELU, SIGMOID, TANH


def _entr_slope(x: Tensor) -> Tensor:
    return -torch.log(x) - 1


_MOVED = Linear(coefficients.same)
_MIXED = Linear()
_PIECEWISE = Elementwise(curved=None)
# A jump is lost where RevealCancel takes the derivative for a part of dx that is rounding noise.
_JUMPING = Elementwise(curved=None, activation=False)
_SMOOTH = Elementwise()
_ARITHMETIC = Elementwise(activation=False)
_SCALE_FREE = Elementwise(curved="relative", activation=False)
STEP = Elementwise(torch.zeros_like, curved=None, activation=False)
"""Flat but for jumps; so too any function of one truth value, which has two values alone."""

# Linear in the first argument (or in the list that is the first argument), the others held.
FIRST: Mapping[Any, Entry] = {
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
    aten.tril.default: _MOVED,
    aten.triu.default: _MOVED,
    aten.constant_pad_nd.default: Linear(coefficients.padded),
    aten.reflection_pad1d.default: _MOVED,
    aten.reflection_pad2d.default: _MOVED,
    aten.reflection_pad3d.default: _MOVED,
    aten.replication_pad2d.default: _MOVED,
    aten.replication_pad3d.default: _MOVED,
    aten.im2col.default: _MOVED,
    aten.col2im.default: _MOVED,
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
    aten.upsample_bilinear2d.vec: _MOVED,
    aten.grid_sampler_2d.default: _MIXED,
    aten._fft_r2c.default: _MIXED,
    aten._fft_c2r.default: _MIXED,
    aten._fft_c2c.default: _MIXED,
    aten.view_as_real.default: _MIXED,
    aten.view_as_complex.default: _MIXED,
    aten.neg.default: Linear(coefficients.negated),
    Result(aten._native_batch_norm_legit_no_training.default): Linear(coefficients.batch_norm),
    aten.convolution.default: Linear(coefficients.convolution, weighted="convolution"),
    aten.relu.default: Elementwise(RELU.slope, RELU.curved),
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
    aten.any.dim: reduced(1),
    aten.any.dims: reduced(1),
    aten.amax.default: reduced(1),
    aten.amin.default: reduced(-1),
    Result(aten.max.dim): reduced(1),
    Result(aten.min.dim): reduced(-1),
    Result(aten.max_pool2d_with_indices.default): pooled(aten.max_pool2d_with_indices.default, 2),
    Result(aten.max_pool3d_with_indices.default): pooled(aten.max_pool3d_with_indices.default, 3),
    Result(aten.adaptive_max_pool2d.default): pooled(aten.adaptive_max_pool2d.default, 2),
    aten._softmax.default: Composed(softmax, "exp, sum, log, exp"),
    aten._safe_softmax.default: Composed(softmax, "exp, sum, log, exp"),
    aten._log_softmax.default: Composed(log_softmax, "exp, sum, log"),
    aten.logsumexp.default: Composed(logsumexp, "exp, sum, log"),
    aten.prod.dim_int: Composed(product, "products of two halves"),
}

# Linear in each argument that depends on the input, together.
SUMS: Mapping[Any, Entry] = {
    aten.add.Tensor: Linear(coefficients.summed),
    aten.add.Scalar: Linear(coefficients.summed),
    aten.sub.Tensor: Linear(coefficients.subtracted),
    aten.sub.Scalar: Linear(coefficients.subtracted),
    aten.slice_scatter.default: Linear(coefficients.written),
    aten.select_scatter.default: Linear(coefficients.written),
}

# As sums, but for a mask or index, at this place among the arguments, that may not depend on the input.
SUMS_BUT: Mapping[Any, tuple[int, Entry]] = {
    aten.where.self: (0, Linear(coefficients.where)),
    aten.index_put.default: (1, _MIXED),
    aten.scatter.src: (2, Linear(coefficients.scattered)),
    aten.scatter.value: (2, Linear(coefficients.scattered)),
    aten.scatter_add.default: (2, Linear(coefficients.scattered)),
}

# Linear in one argument that depends on the input, bilinear in two.
PRODUCTS: Mapping[Any, Entry] = {
    aten.mul.Tensor: Linear(coefficients.scaled),
    aten.mul.Scalar: Linear(coefficients.scaled),
    aten.mm.default: Linear(coefficients.scaled, weighted="dense"),
    aten.bmm.default: Linear(coefficients.scaled, weighted="dense"),
    aten.addmm.default: Linear(coefficients.addmm, weighted="dense"),
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
RECURRENT: Mapping[Any, Entry] = {
    Result(operation, index): Composed(program(index), pieces, recurrent=True)
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

REGISTERED: dict[Any, Entry] = {}
"""What users have registered; it goes before everything else."""


def entry_of(operation: Operation, dependent: frozenset[Name]) -> Entry:
    """Return what ``operation`` is, given which values depend on the input.

    Raises
    ------
    UnsupportedOperation
        If no exact rule is known for it.
    """
    where = [any(name in dependent for name in names_in([argument])) for argument in operation.args]
    named = any(name in dependent for name in names_in(dict(operation.kwargs)))
    entry = None if named or operation.batch_axis is None else _find(operation, where, dependent)
    if entry is None or not _holds_numbers(operation):
        raise UnsupportedOperation(
            f"no exact rule is known for the operation {operation.title}" + _reason(operation, where),
            where=operation.source or f"model, value {operation.name}",
            remedy="write the model without it, explain a layer after it, or give its rule with "
            f"genolift.register_rule({operation.full_name!r}, ...)",
        )
    return entry


def _find(operation: Operation, where: list[bool], dependent: frozenset[Name]) -> Entry | None:
    target = operation.target
    only_first = not any(where[1:])
    number = sum(name in dependent for name in operation.inputs)
    if target in REGISTERED:
        of_one = isinstance(REGISTERED[target], (Elementwise, Registered))
        return REGISTERED[target] if number == 1 or not of_one else None
    if target is aten._to_copy.default and not _is_floating(operation):
        return STEP
    if target in FIRST and only_first:
        return FIRST[target]
    if target in SUMS and operation.dtype == torch.bool and target not in _WRITTEN:
        return STEP if number == 1 else Joint()  # the sum of truth values is whether one is true
    if target in SUMS:
        return SUMS[target]
    if target in SUMS_BUT and not where[SUMS_BUT[target][0]]:
        return SUMS_BUT[target][1]
    if target in PRODUCTS:
        if sum(where) > 1:
            return Product()
        # In addmm the first argument is added, not multiplied.
        return _MIXED if target is aten.addmm.default and where[0] else PRODUCTS[target]
    if target is aten.div.Tensor and only_first:
        return Linear(coefficients.scaled)
    if target in JOINT:
        return JOINT[target] if number == 1 else Joint()
    if target in RECURRENT and not where[2]:
        return RECURRENT[target]
    if target is aten.convolution.default and not where[2]:
        return Product()
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
