"""The registry: of which kind each core ATen operation is, and what the rules need to know of it.

To accept one more operation, add its name to a line here; its row in the printed plan and in
docs/operations.md follow, and the test table asks for its row.
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, TypeVar

import torch

from genolift.engine.graph.decomposition import REGISTERED
from genolift.engine.graph.graph import (
    Name,
    Operation,
    Result,
    UnsupportedOperation,
    aten,
    named,
    names_in,
)
from genolift.engine.graph.recurrent_operations import WHOLE_LAYERS
from genolift.engine.kinds import coefficients
from genolift.engine.kinds.composed import Composed
from genolift.engine.kinds.elementwise import STEP, Elementwise
from genolift.engine.kinds.joint import Joint
from genolift.engine.kinds.kind import Kind, NoKind
from genolift.engine.kinds.linear import Linear
from genolift.engine.kinds.product import Product
from genolift.engine.kinds.programs import log_softmax, logsumexp, product, softmax
from genolift.engine.kinds.recurrent import Recurrent, recurrent, stepped
from genolift.engine.kinds.selection import Selection
from genolift.engine.kinds.window import Window
from genolift.engine.rules.activations import RELU, SIGMOID, TANH
from genolift.engine.torch_internals import schema_of

K = TypeVar("K", bound=Kind)


def _table(*rows: tuple[K, str]) -> Mapping[Any, K]:
    """Return the kinds of operations; of one with several results, that of the first."""
    return {
        Result(each) if len(schema_of(each).returns) > 1 else each: kind
        for kind, names in rows
        for each in named(names)
    }


_MOVED = Linear(coefficients.SAME, moves=True)
_SAME = Linear(coefficients.SAME)  # sums and means of what is moved, by coefficients that are not negative
_PADDED = Linear(coefficients.SAME, window=Window(padding=1))
_OVER_ALL = Window("global pooling", whole=True)
_SIZED = Linear(coefficients.SAME, moves=True, sizes=1)
_AVERAGED = Linear(coefficients.SAME, window=Window("average pooling", kernel=1, stride=2, padding=3))
_ADAPTIVE = Window("adaptive pooling")
_LARGEST = Window("max pooling", kernel=1, stride=2, padding=3, dilation=4, outside=-math.inf)
_MIXED = Linear()
_SLIDING = Window(kernel=1, stride=3, padding=4, dilation=5)
_CONVOLUTION = Linear(coefficients.CONVOLUTION, weighted="convolution", factor=0, window=_SLIDING)
_PIECEWISE = Elementwise(curved=None)
_JUMPING = Elementwise(curved=None, activation=False)
# A jump is lost where RevealCancel takes the derivative for a part of dx that is rounding noise.
_SMOOTH = Elementwise()
_ARITHMETIC = Elementwise(activation=False)
_SCALE_FREE = Elementwise(curved="relative", activation=False)

# By the first argument (or the list that it is) alone, where no other depends on the input.
FIRST: Mapping[Any, Kind] = _table(
    (_SIZED, "view expand"),
    (_MOVED, "alias clone _to_copy permute squeeze.dims squeeze.dim unsqueeze repeat"),
    (_MOVED, "slice.Tensor select.int diagonal unfold index.Tensor index_select gather flip roll cat"),
    (_SAME, "tril triu im2col col2im cumsum"),
    (_SAME, "upsample_nearest1d.vec upsample_nearest2d.vec upsample_bilinear2d.vec"),
    (_PADDED, "reflection_pad1d reflection_pad2d reflection_pad3d replication_pad2d replication_pad3d"),
    (Linear(coefficients.PADDED, window=Window(padding=1)), "constant_pad_nd"),
    (Linear(coefficients.SAME, window=_OVER_ALL), "sum sum.dim_IntList mean mean.dim"),
    (_AVERAGED, "avg_pool1d avg_pool2d avg_pool3d"),
    (Linear(coefficients.SAME, window=_ADAPTIVE), "_adaptive_avg_pool2d _adaptive_avg_pool3d"),
    (_MIXED, "grid_sampler_2d _fft_r2c _fft_c2r _fft_c2c view_as_real view_as_complex"),
    (Linear(coefficients.NEGATED), "neg"),
    (Linear(coefficients.PRODUCT), "div.Scalar"),
    (Linear(coefficients.BATCH_NORM), "_native_batch_norm_legit_no_training"),
    (_CONVOLUTION, "convolution"),
    (Elementwise(RELU.slope, RELU.curved, relu=True), "relu"),
    (Elementwise(SIGMOID.slope, SIGMOID.curved), "sigmoid"),
    (Elementwise(TANH.slope, TANH.curved), "tanh"),
    (Elementwise(kinks=(-3.0, 3.0)), "hardsigmoid hardswish"),
    (Elementwise(kinks=(0.0,)), "elu celu"),
    (_PIECEWISE, "leaky_relu _prelu_kernel hardtanh softshrink clamp abs"),
    (_JUMPING, "hardshrink threshold fmod.Scalar remainder.Scalar"),
    (_SMOOTH, "gelu silu mish softplus log_sigmoid_forward erf sin cos asinh atan"),
    (_ARITHMETIC, "exp expm1 sinh cosh tan acos asin atanh log1p"),
    (_SCALE_FREE, "acosh log log2 log10 sqrt rsqrt reciprocal pow.Tensor_Scalar"),
    (Elementwise(lambda x: -torch.log(x) - 1, curved="relative", activation=False), "special_entr"),
    (STEP, "sign ceil floor round trunc isnan isinf logical_not bitwise_not"),
    (STEP, "eq.Scalar ne.Scalar lt.Scalar le.Scalar gt.Scalar ge.Scalar"),
    (Selection(_OVER_ALL), "any.dim any.dims amax max.dim"),
    (Selection(_OVER_ALL, smallest=True), "amin min.dim"),
    (Selection(_LARGEST, spatial=2), "max_pool2d_with_indices"),
    (Selection(_LARGEST, spatial=3), "max_pool3d_with_indices"),
    (Selection(_ADAPTIVE, spatial=2), "adaptive_max_pool2d"),
    (Composed(softmax, "exp, sum, log, exp"), "_softmax _safe_softmax"),
    (Composed(log_softmax, "exp, sum, log"), "_log_softmax"),
    (Composed(logsumexp, "exp, sum, log", _OVER_ALL), "logsumexp"),
    (Composed(product, "products of two halves"), "prod.dim_int"),
)

# Linear in each argument that depends on the input, together.
SUMS: Mapping[Any, Linear] = _table(
    (Linear(coefficients.SUM), "add.Tensor add.Scalar slice_scatter select_scatter"),
    (Linear(coefficients.DIFFERENCE), "sub.Tensor sub.Scalar"),
)

# As sums, but for a mask or index, which may not depend on the input.
SUMS_BUT: Mapping[Any, Linear] = _table(
    (Linear(coefficients.WHERE, mask=0), "where.self"),
    (Linear(mask=1), "index_put"),
    (Linear(coefficients.SCATTERED, mask=2), "scatter.src scatter.value scatter_add"),
)

# Linear in one argument that depends on the input, bilinear in two.
PRODUCTS: Mapping[Any, Product] = _table(
    (Product(Linear(coefficients.PRODUCT, pointwise=True)), "mul.Tensor mul.Scalar"),
    (Product(Linear(coefficients.PRODUCT, weighted="dense", factor=0)), "mm bmm"),
    (Product(Linear(coefficients.ADDMM, weighted="dense", factor=1)), "addmm"),
)

# A function of one argument where the others do not depend on the input, else of several at once.
JOINT: Mapping[Any, Elementwise] = _table(
    (_PIECEWISE, "where.self maximum minimum clamp.Tensor"),
    (_JUMPING, "fmod.Tensor remainder.Tensor"),
    (_ARITHMETIC, "pow.Scalar atan2"),
    (_SCALE_FREE, "pow.Tensor_Tensor"),
    (STEP, "heaviside div.Tensor_mode div.Scalar_mode"),
    (STEP, "eq.Tensor ne.Tensor lt.Tensor le.Tensor gt.Tensor ge.Tensor logical_and logical_or logical_xor"),
    (STEP, "bitwise_and.Tensor bitwise_and.Scalar bitwise_or.Tensor bitwise_or.Scalar"),
    (STEP, "bitwise_xor.Tensor bitwise_xor.Scalar"),
)

# Of the input, the initial state and a mask, the weights constant; each with its results.
RECURRENT: Mapping[Any, Kind] = {
    Result(operation, index): Recurrent(program(index), f"{pieces}, each step")
    for name, program, pieces in (
        ("lstm", partial(recurrent, "lstm", TANH), "dense, sigmoid, tanh, products"),
        ("gru", partial(recurrent, "gru", TANH), "dense, sigmoid, tanh, products"),
        ("rnn_tanh", partial(recurrent, "rnn", TANH), "dense, tanh"),
        ("rnn_relu", partial(recurrent, "rnn", RELU), "dense, relu"),
        ("stepped", stepped, "dense, activations, products, a mask"),
    )
    for operation in WHOLE_LAYERS[name]
    for index in range(len(schema_of(operation).returns))
}

_WRITTEN = {aten.slice_scatter.default, aten.select_scatter.default}


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
    by_keyword = any(name in dependent for name in names_in(dict(operation.kwargs)))
    kind = None if by_keyword or operation.batch_axis is None else _find(operation, where, dependent)
    if kind is None or not _holds_numbers(operation):
        raise UnsupportedOperation(
            f"no exact rule is known for the operation {operation.title}" + _reason(operation, where),
            where=operation.where,
            remedy="write the model without it, explain a layer after it, or give its rule with "
            f"genolift.register_rule({operation.full_name!r}, ...)",
        )
    return kind


def kind_or_any(operation: Operation, dependent: frozenset[Name]) -> Kind:
    """Return of which kind an operation is; one without a rule is of none in particular."""
    try:
        return kind_of(operation, dependent)
    except UnsupportedOperation:
        return NoKind()


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
        return Linear(coefficients.PRODUCT)
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
