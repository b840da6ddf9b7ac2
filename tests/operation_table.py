"""One row for every operation of the registry: arguments that hypothesis draws, for tests of exactness.

A row is a function of `Draw` that returns the arguments of one call. The graph around it has the input "x",
(rows, channels, positions), and the values of operation_values.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from genolift.engine.graph.cells import CELLS
from genolift.engine.graph.graph import Name, Result, aten
from genolift.engine.graph.recurrent_operations import genolift
from genolift.engine.rules.activations import ACTIVATIONS

X, U, V, M, W = (Name(letter) for letter in "xuvmw")


@dataclass
class Draw:
    """The source of a row's random choices, and the input's shape."""

    data: st.DataObject
    dtype: torch.dtype
    channels: int = 0
    positions: int = 0
    constants: dict[str, Tensor] = field(default_factory=dict)
    made: dict[str, tuple[Any, tuple[Any, ...]]] = field(default_factory=dict)
    """Values computed from the input: operation and arguments."""

    def integer(self, low: int, high: int) -> int:
        return self.data.draw(st.integers(low, high))

    def boolean(self) -> bool:
        return self.data.draw(st.booleans())

    def one_of(self, *choices: Any) -> Any:
        return self.data.draw(st.sampled_from(choices))

    def constant(self, *shape: int, positive: bool = False) -> Name:
        """Add a constant of normal values to the graph, and return its name."""
        values = torch.randn(*shape, generator=self.generator(), dtype=torch.float64).to(self.dtype)
        return self.keep(values.abs() + 0.1 if positive else values)

    def indices(self, size: int, *shape: int) -> Name:
        return self.keep(torch.randint(size, shape, generator=self.generator()))

    def mask(self, *shape: int) -> Name:
        return self.keep(torch.rand(*shape, generator=self.generator()) > 0.5)

    def keep(self, values: Tensor) -> Name:
        name = Name(f"constant{len(self.constants)}")
        self.constants[name] = values
        return name

    def start(self, layers: int, size: int) -> Name:
        """Add an initial state that depends on the input, (layers, rows, size), and return its name."""
        weight = self.constant(self.channels * self.positions, layers * size)
        name = f"start{len(self.made)}"
        self.made[f"{name}_flat"] = aten.mm.default, (Name("flat"), weight)
        self.made[f"{name}_split"] = aten.view.default, (Name(f"{name}_flat"), [-1, layers, size])
        self.made[name] = aten.permute.default, (Name(f"{name}_split"), [1, 0, 2])
        return Name(name)

    def generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.integer(0, 2**31))

    @property
    def axis(self) -> int:
        return self.one_of(1, 2, -1)

    @property
    def axes(self) -> list[int]:
        return self.one_of([1], [2], [-1], [1, 2])


@dataclass(frozen=True)
class Row:
    """How one operation is called, and what its input may be."""

    arguments: Callable[[Draw], tuple[Any, ...]]
    domain: str = "real"
    """real, positive (from 0.2), unit (within -0.9 to 0.9) or above one (from 1.2)."""
    shape: tuple[int, int] | None = None
    """Smallest numbers of channels and positions."""
    options: Callable[[Draw], dict[str, Any]] = lambda d: {}
    square: bool = False
    """The input has one more axis, so that windows run over two."""


def _of_x(*rest: Any, **options: Any) -> Row:
    return Row(lambda d: (X, *rest), **options)


def _positive(*rest: Any) -> Row:
    return _of_x(*rest, domain="positive")


def _window(d: Draw) -> tuple[list[int], list[int], list[int], list[int]]:
    """Kernel, stride (often below the kernel), padding and dilation over two axes."""
    kernel = [d.integer(1, 3), d.integer(1, 3)]
    stride = [d.integer(1, 2), d.integer(1, 3)]
    padding = [d.integer(0, size // 2) for size in kernel]
    return kernel, stride, padding, [1, d.integer(1, 2)]


def _max_pool(d: Draw) -> tuple[Any, ...]:
    kernel, stride, padding, dilation = _window(d)
    return X, kernel, stride, padding, dilation, d.boolean()


def _average_pool(d: Draw) -> tuple[Any, ...]:
    kernel, stride, padding, _ = _window(d)
    return X, kernel, stride, padding, d.boolean(), d.boolean()


def _convolution(d: Draw) -> tuple[Any, ...]:
    groups = d.one_of(1, d.channels)
    transposed = d.boolean()
    kernel, out = d.integer(1, 3), 2
    if transposed:
        weight = d.constant(d.channels, out, kernel)
    else:
        weight = d.constant(out * groups, d.channels // groups, kernel)
    bias = d.one_of(None, d.constant(out * groups))
    stride = d.integer(1, 2)
    return X, weight, bias, [stride], [d.integer(0, 1)], [d.integer(1, 2)], transposed, [0], groups


def _batch_norm(d: Draw) -> tuple[Any, ...]:
    weight, bias, mean = (d.constant(d.channels) for _ in range(3))
    variance = d.constant(d.channels, positive=True)
    return X, weight, bias, mean, variance, 0.1, 1e-3


def _recurrent(gates: int, states: int) -> Row:
    def arguments(d: Draw) -> tuple[Any, ...]:
        layers, both, first, biases = d.integer(1, 2), d.boolean(), d.boolean(), d.boolean()
        projected = 2 if states == 2 and d.boolean() else 0
        directions, hidden = 1 + both, d.integer(1 + projected, 3)
        seen = projected or hidden
        parameters: list[Name] = []
        for layer in range(layers):
            width = d.positions if layer == 0 else seen * directions
            for _ in range(directions):
                parameters += [d.constant(gates * hidden, width), d.constant(gates * hidden, seen)]
                parameters += [d.constant(gates * hidden) for _ in range(2)] if biases else []
                parameters += [d.constant(projected, hidden)] if projected else []
        start = [d.start(layers * directions, size) for size in (seen, hidden)[:states]]
        values = X if first else Name("timed")
        options = (biases, layers, 0.0, False, both, first)
        return values, start if states == 2 else start[0], parameters, *options

    return Row(arguments)


def _stepped(d: Draw) -> tuple[Any, ...]:
    cell = d.one_of(*CELLS)
    gates, units = {"lstm": 4, "rnn": 1}.get(cell, 3), d.integer(1, 3)
    start: list[Name] = []
    if d.boolean():
        for _ in range(2 if cell == "lstm" else 1):
            whole = d.start(1, units)
            d.made[f"{whole}_of_rows"] = aten.select.int, (whole, 0, 0)
            start.append(Name(f"{whole}_of_rows"))
    weights = [d.constant(gates * units, width) for width in (d.positions, units)]
    biases = [d.constant(gates * units) for _ in range(2)]
    # 1 where a sequence's own value is above 0, so at different places from its reference
    d.made |= {
        "first": (aten.select.int, (X, 2, 0)),
        "sign": (aten.sign.default, (Name("first"),)),
        "counts": (aten.relu.default, (Name("sign"),)),
    }
    activations = d.one_of(*ACTIVATIONS), d.one_of(*ACTIVATIONS)
    return X, start, [*weights, *biases], d.one_of(None, Name("counts")), cell, *activations


_MOVES = {
    aten.alias.default: _of_x(),
    aten.clone.default: _of_x(),
    aten._to_copy.default: Row(lambda d: (X,), options=lambda d: {"dtype": d.one_of(d.dtype, torch.bool)}),
    aten.view.default: Row(lambda d: (X, [-1, d.channels * d.positions])),
    aten.permute.default: _of_x([0, 2, 1]),
    aten.squeeze.dims: Row(lambda d: (X, [1]), shape=None),
    aten.squeeze.dim: _of_x(1),
    aten.unsqueeze.default: Row(lambda d: (X, d.integer(1, 3))),
    aten.expand.default: Row(lambda d: (X, [-1, -1, d.positions])),
    aten.repeat.default: Row(lambda d: (X, [1, d.integer(1, 3), d.integer(1, 2)])),
    aten.slice.Tensor: Row(lambda d: (X, 2, d.integer(0, 1), d.integer(2, 9), d.integer(1, 2))),
    aten.select.int: Row(lambda d: (X, d.one_of(1, 2), -1)),
    aten.diagonal.default: _of_x(0, 1, 2),
    aten.unfold.default: Row(lambda d: (X, 2, d.integer(1, 2), d.integer(1, 2))),
    aten.index.Tensor: Row(lambda d: (X, [None, d.indices(d.channels, 5)])),
    aten.index_select.default: Row(lambda d: (X, 1, d.indices(d.channels, 5))),
    aten.gather.default: Row(lambda d: (X, 2, Name("places"))),
    aten.flip.default: Row(lambda d: (X, d.axes)),
    aten.roll.default: Row(lambda d: (X, [d.integer(-2, 2)], [d.one_of(1, 2)])),
    aten.cat.default: Row(lambda d: (d.one_of([X, U, V], [M, W]), d.axis)),
    aten.tril.default: Row(lambda d: (X, d.integer(-1, 1))),
    aten.triu.default: Row(lambda d: (X, d.integer(-1, 1))),
    aten.constant_pad_nd.default: Row(lambda d: (X, [d.integer(-1, 2), d.integer(0, 2)], 0.7)),
    aten.reflection_pad1d.default: _of_x([1, 1]),
    aten.reflection_pad2d.default: _of_x([1, 1, 1, 0], square=True),
    aten.reflection_pad3d.default: Row(lambda d: (Name("deep"), [1, 1, 0, 1, 1, 0])),
    aten.replication_pad2d.default: _of_x([1, 2, 1, 0], square=True),
    aten.replication_pad3d.default: Row(lambda d: (Name("deep"), [1, 1, 0, 1, 1, 0])),
    aten.im2col.default: _of_x([2, 2], [1, 1], [0, 0], [1, 1], square=True),
    aten.col2im.default: Row(lambda d: (Name("columns"), [3, 3], [2, 2], [1, 1], [0, 0], [1, 1])),
    aten.upsample_nearest1d.vec: Row(lambda d: (X, None, [float(d.integer(1, 3))])),
    aten.upsample_nearest2d.vec: _of_x(None, [2.0, 3.0], square=True),
    aten.upsample_bilinear2d.vec: Row(lambda d: (X, None, d.boolean(), [2.0, 3.0]), square=True),
    aten.view_as_real.default: Row(lambda d: (Name("complex"),)),
    aten.view_as_complex.default: Row(lambda d: (Name("pairs"),)),
    aten._fft_r2c.default: Row(lambda d: (X, [2], d.integer(0, 2), d.boolean())),
    aten._fft_c2r.default: Row(lambda d: (Name("complex"), [2], d.integer(0, 2), 2 * d.positions - 1)),
    aten._fft_c2c.default: Row(lambda d: (Name("complex"), [2], d.integer(0, 2), d.boolean())),
}
_LINEAR = {
    aten.sum.dim_IntList: Row(lambda d: (X, d.axes, d.boolean())),
    aten.mean.dim: Row(lambda d: (X, d.axes, d.boolean())),
    aten.cumsum.default: Row(lambda d: (X, d.axis)),
    aten.avg_pool1d.default: Row(lambda d: (X, [2], [d.integer(1, 2)], [d.integer(0, 1)], d.boolean())),
    aten.avg_pool2d.default: Row(_average_pool, square=True),
    aten.avg_pool3d.default: Row(lambda d: (Name("deep"), [2, 2, 2], [1, 1, 2])),
    aten._adaptive_avg_pool2d.default: Row(lambda d: (X, [d.integer(1, 3), d.integer(1, 3)]), square=True),
    aten._adaptive_avg_pool3d.default: Row(lambda d: (Name("deep"), [1, 2, 2])),
    aten.neg.default: _of_x(),
    aten.div.Scalar: _of_x(-1.7),
    aten.div.Tensor: Row(lambda d: (X, d.constant(d.channels, 1, positive=True))),
    aten.grid_sampler_2d.default: Row(
        lambda d: (X, Name("grid"), d.integer(0, 1), 0, d.boolean()), square=True
    ),
    Result(aten._native_batch_norm_legit_no_training.default): Row(_batch_norm),
    aten.add.Tensor: Row(
        lambda d: d.one_of(
            (U, V), (U, d.constant(d.channels, 1)), (U, 0.3), (U, M), (M, W), (M, d.mask(d.channels, 1))
        )
    ),
    aten.add.Scalar: Row(lambda d: d.one_of((X, 0.7), (M, 0.7))),
    aten.sub.Tensor: Row(lambda d: d.one_of((U, V), (U, d.constant(d.channels, 1)), (d.constant(1), V))),
    aten.sub.Scalar: _of_x(0.7),
    aten.slice_scatter.default: Row(lambda d: (*d.one_of((U, V), (M, W)), 2)),
    aten.select_scatter.default: Row(lambda d: (U, Name("last"), 2, 0)),
    aten.where.self: Row(
        lambda d: (
            (
                d.one_of(M, d.mask(d.channels, d.positions)),
                *d.one_of((U, V), (U, d.constant(1)), (d.constant(1), V), (X, X), (W, d.mask(1)), (W, W)),
            )
            if d.boolean()
            else (M, *d.one_of((d.constant(1), d.constant(d.channels, 1)), (d.mask(1), d.mask(1))))
        )
    ),
    aten.index_put.default: Row(
        lambda d: d.one_of(
            (U, [None, d.indices(d.channels, 1)], d.one_of(Name("narrow"), d.constant(1)), d.boolean()),
            (M, [None, d.indices(d.channels, 1)], d.mask(1)),
        )
    ),
    aten.scatter.src: Row(
        lambda d: d.one_of(
            (U, 2, Name("order"), V), (M, 2, Name("order"), W), (M, 2, Name("places"), Name("truths"))
        )
    ),
    aten.scatter.value: Row(lambda d: d.one_of((U, 2, Name("places"), 0.4), (M, 2, Name("places"), True))),
    aten.scatter_add.default: Row(lambda d: (U, 2, Name("order"), V)),
    aten.mul.Tensor: Row(
        lambda d: d.one_of(
            (U, V), (U, U), (U, M), (U, d.constant(d.channels, 1)), (M, W), (M, d.mask(d.channels, 1))
        )
    ),
    aten.mul.Scalar: _of_x(-1.3),
    aten.mm.default: Row(lambda d: (Name("flat"), d.constant(d.channels * d.positions, 3))),
    aten.addmm.default: Row(lambda d: (d.constant(3), Name("flat"), d.constant(d.channels * d.positions, 3))),
    aten.bmm.default: Row(lambda d: (U, Name("turned"))),
    aten.convolution.default: Row(_convolution, shape=(1, 4)),
}
_FUNCTIONS = {
    aten.relu.default: _of_x(),
    aten.sigmoid.default: _of_x(),
    aten.tanh.default: _of_x(),
    aten.leaky_relu.default: _of_x(0.1),
    aten._prelu_kernel.default: Row(lambda d: (X, d.constant(1, d.channels, 1))),
    aten.hardtanh.default: _of_x(-0.5, 0.5),
    aten.hardsigmoid.default: _of_x(),
    aten.hardshrink.default: _of_x(0.5),
    aten.softshrink.default: _of_x(0.5),
    aten.clamp.default: Row(lambda d: (X, *d.one_of((-0.5, 0.5), (0.0, None), (None, 0.5)))),
    aten.abs.default: _of_x(),
    aten.threshold.default: _of_x(0.5, 0.2),
    aten.elu.default: Row(lambda d: (X, *d.one_of((), (1.7, 1.05, 1.0)))),
    aten.celu.default: _of_x(0.7),
    aten.gelu.default: Row(lambda d: (X,), options=lambda d: {"approximate": d.one_of("none", "tanh")}),
    aten.silu.default: _of_x(),
    aten.mish.default: _of_x(),
    aten.softplus.default: _of_x(),
    Result(aten.log_sigmoid_forward.default): _of_x(),
    aten.hardswish.default: _of_x(),
    aten.special_entr.default: _positive(),
    aten.exp.default: _of_x(),
    aten.expm1.default: _of_x(),
    aten.erf.default: _of_x(),
    aten.sin.default: _of_x(),
    aten.cos.default: _of_x(),
    aten.sinh.default: _of_x(),
    aten.cosh.default: _of_x(),
    aten.asinh.default: _of_x(),
    aten.atan.default: _of_x(),
    aten.tan.default: _of_x(domain="unit"),
    aten.acos.default: _of_x(domain="unit"),
    aten.asin.default: _of_x(domain="unit"),
    aten.acosh.default: _of_x(domain="above one"),
    aten.atanh.default: _of_x(domain="unit"),
    aten.log.default: _positive(),
    aten.log2.default: _positive(),
    aten.log10.default: _positive(),
    aten.log1p.default: _positive(),
    aten.sqrt.default: _positive(),
    aten.rsqrt.default: _positive(),
    aten.reciprocal.default: _positive(),
    aten.pow.Tensor_Scalar: Row(lambda d: (X, d.one_of(2, 3, 0.5, -1.5)), domain="positive"),
    aten.fmod.Scalar: _of_x(0.8),
    aten.remainder.Scalar: _of_x(0.8),
    **{
        function: _of_x()
        for function in (
            aten.sign.default, aten.ceil.default, aten.floor.default, aten.round.default, aten.trunc.default,
            aten.isnan.default, aten.isinf.default,
        )
    },
    **{
        comparison: Row(lambda d: (X, d.one_of(0.0, 0.5)))
        for comparison in (
            aten.eq.Scalar, aten.ne.Scalar, aten.lt.Scalar, aten.le.Scalar, aten.gt.Scalar, aten.ge.Scalar,
        )
    },
    aten.logical_not.default: Row(lambda d: (M,)),
    aten.bitwise_not.default: Row(lambda d: (M,)),
}  # fmt: skip
_JOINT = {
    **{
        larger: Row(
            lambda d: d.one_of(
                (U, V), (U, U), (U, d.constant(d.channels, d.positions)), (M, W), (M, d.mask(d.channels, 1))
            )
        )
        for larger in (aten.maximum.default, aten.minimum.default)
    },
    aten.clamp.Tensor: Row(lambda d: (U, d.one_of(V, d.constant(1)), None)),
    aten.fmod.Tensor: Row(lambda d: (U, d.constant(1, positive=True))),
    aten.remainder.Tensor: Row(lambda d: (U, d.constant(1, positive=True))),
    aten.pow.Scalar: Row(lambda d: (2.0, X)),
    aten.pow.Tensor_Tensor: Row(lambda d: (U, d.one_of(V, d.constant(1))), domain="positive"),
    aten.heaviside.default: Row(lambda d: (U, d.constant(1))),
    aten.atan2.default: Row(lambda d: (U, V), domain="positive"),
    aten.div.Tensor_mode: Row(
        lambda d: (U, V), options=lambda d: {"rounding_mode": "floor"}, domain="positive"
    ),
    aten.div.Scalar_mode: Row(lambda d: (U, 0.3), options=lambda d: {"rounding_mode": "trunc"}),
    **{
        comparison: Row(lambda d: (U, d.one_of(V, d.constant(1))))
        for comparison in (
            aten.eq.Tensor, aten.ne.Tensor, aten.lt.Tensor, aten.le.Tensor, aten.gt.Tensor, aten.ge.Tensor,
        )
    },
    **{
        logical: Row(lambda d: (M, d.one_of(W, d.mask(d.channels, d.positions))))
        for logical in (
            aten.logical_and.default, aten.logical_or.default, aten.logical_xor.default,
            aten.bitwise_and.Tensor, aten.bitwise_or.Tensor, aten.bitwise_xor.Tensor,
        )
    },
    **{
        logical: Row(lambda d: (M, d.boolean()))
        for logical in (aten.bitwise_and.Scalar, aten.bitwise_or.Scalar, aten.bitwise_xor.Scalar)
    },
}  # fmt: skip
_SELECTIONS = {
    aten.any.dim: Row(lambda d: (M, d.axis, d.boolean())),
    aten.any.dims: Row(lambda d: (M, d.axes, d.boolean())),
    aten.amax.default: Row(lambda d: (X, d.axes, d.boolean())),
    aten.amin.default: Row(lambda d: (X, d.axes, d.boolean())),
    Result(aten.max.dim): Row(lambda d: (X, d.axis, d.boolean())),
    Result(aten.min.dim): Row(lambda d: (X, d.axis, d.boolean())),
    Result(aten.max_pool2d_with_indices.default): Row(_max_pool, square=True),
    Result(aten.max_pool3d_with_indices.default): Row(lambda d: (Name("deep"), [2, 2, 2], [1, 1, 2])),
    Result(aten.adaptive_max_pool2d.default): Row(
        lambda d: (X, [d.integer(1, 3), d.integer(1, 3)]), square=True
    ),
}
_COMPOSED = {
    aten._softmax.default: Row(lambda d: (d.one_of(X, Name("large"), Name("masked")), d.axis, False)),
    aten._safe_softmax.default: Row(lambda d: (d.one_of(X, Name("large"), Name("masked")), d.axis)),
    aten._log_softmax.default: Row(lambda d: (d.one_of(X, Name("large")), d.axis, False)),
    aten.logsumexp.default: Row(lambda d: (d.one_of(X, Name("large")), d.axes, d.boolean())),
    aten.prod.dim_int: Row(lambda d: (X, d.axis, d.boolean())),
    **{
        Result(operation, index): _recurrent(gates, states)
        for operations, gates, states in (
            ((aten.lstm.input, genolift.lstm.default), 4, 2),
            ((aten.gru.input, genolift.gru.default), 3, 1),
            ((aten.rnn_tanh.input, genolift.rnn_tanh.default), 1, 1),
            ((aten.rnn_relu.input, genolift.rnn_relu.default), 1, 1),
        )
        for operation in operations
        for index in range(states + 1)
    },
    **{Result(genolift.stepped.default, index): Row(_stepped) for index in range(3)},
}

LINEAR_ROWS = _MOVES | _LINEAR
ROWS = LINEAR_ROWS | _FUNCTIONS | _JOINT | _SELECTIONS | _COMPOSED
OVER_ALL_ROWS = {aten.sum.default, aten.mean.default}
"""Registered, but these work over every axis, including the rows: a graph with one is refused."""
