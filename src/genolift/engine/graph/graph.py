"""A model as a graph of operations, and how one of them is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from genolift.engine.torch_internals import OpOverload, packet_name
from genolift.errors import InputError

aten = torch.ops.aten


class UnsupportedOperation(InputError):  # noqa: N818 - the interface's name for it
    """The model holds an operation that no exact rule is known for; raised before anything is computed."""


@dataclass(frozen=True)
class Result:
    """One of the results of an operation that gives several, as an operation of its own."""

    operation: Callable[..., Any]
    index: int = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the operation and return this result of it."""
        return self.operation(*args, **kwargs)[self.index]


class Name(str):
    """The name of a value of the graph, where it stands among an operation's arguments."""

    __slots__ = ()


@dataclass(frozen=True)
class Operation:
    """One operation, ``name = target(*args, **kwargs)``; values among the arguments are `Name`."""

    name: Name
    target: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    source: str
    """The line of the model's source that the operation comes from, "file:line  text"."""
    batch_axis: int | None
    """The axis of the result that holds the rows (or a multiple of them); None if none does."""
    row_numel: int
    """Elements of the result for one row; 0 where the result is no tensor or has no rows."""
    dtype: torch.dtype | None = None
    """The result's element type when it was traced; None where the result is no tensor."""
    outer: int = 1
    """How many times the batch axis runs through the rows: (outer, rows, more) are flattened into it."""
    layer: str = ""
    """The submodule that the operation belongs to, as `torch.nn.Module.named_modules` names it."""

    @cached_property
    def inputs(self) -> tuple[Name, ...]:
        """The distinct values among the arguments, in order."""
        return tuple(dict.fromkeys(names_in((self.args, dict(self.kwargs)))))

    @property
    def title(self) -> str:
        """The operation's short name, such as "convolution"."""
        return short_name(self.target)

    @property
    def full_name(self) -> str:
        """The operation's name with its overload, such as "aten.convolution.default"."""
        target = self.target.operation if isinstance(self.target, Result) else self.target
        return str(target)


@dataclass(frozen=True, repr=False)
class Graph:
    """A model as operations in the order of computing."""

    operations: tuple[Operation, ...]
    constants: Mapping[str, Tensor]
    """Parameters, buffers and constants of the model."""
    inputs: tuple[Name, ...]
    """The model's arguments; the first differs between sequence and reference, the others are held."""
    output: Name
    read: Name
    """The value whose contributions are computed: the first argument, or a layer's output."""
    dependent: frozenset[Name]
    """The values that depend on the first argument."""

    def __repr__(self) -> str:
        return (
            f"Graph(operations={len(self.operations)}, constants={len(self.constants)}, output={self.output})"
        )

    @property
    def input(self) -> Name:
        """The argument that differs between sequence and reference."""
        return self.inputs[0]


# What is read off the input but does not depend on what the input holds.
SHAPE_ONLY = {
    aten.sym_numel.default,
    aten.sym_stride.int,
    aten.sym_storage_offset.default,
    aten.fill.Scalar,
    aten.sym_size.int,
    aten.full_like.default,
    aten.zeros_like.default,
    aten.ones_like.default,
    aten.empty_like.default,
    aten.empty_strided.default,
    aten.new_zeros.default,
    aten.new_ones.default,
    aten.new_full.default,
}


def with_dependence(graph: Graph) -> Graph:
    """Find what depends on the first argument, and drop what neither the output nor ``read`` needs."""
    needed = {str(graph.output), str(graph.read)}
    kept: list[Operation] = []
    for operation in reversed(graph.operations):
        if operation.name in needed:
            kept.append(operation)
            needed.update(operation.inputs)
    kept.reverse()
    dependent = {graph.input}
    for operation in kept:
        if operation.target not in SHAPE_ONLY and dependent.intersection(operation.inputs):
            dependent.add(operation.name)
    constants = {name: value for name, value in graph.constants.items() if name in needed}
    return replace(graph, operations=tuple(kept), dependent=frozenset(dependent), constants=constants)


def names_in(arguments: Any) -> Iterator[Name]:
    """Yield the values named among nested arguments."""
    if isinstance(arguments, Name):
        yield arguments
    elif isinstance(arguments, (list, tuple)):
        for argument in arguments:
            yield from names_in(argument)
    elif isinstance(arguments, Mapping):
        for argument in arguments.values():
            yield from names_in(argument)
    elif isinstance(arguments, slice):
        yield from names_in((arguments.start, arguments.stop, arguments.step))


_PLAIN = {int, float, bool, type(None)}


def fill_in(arguments: Any, values: Mapping[str, Any]) -> Any:
    """Return nested arguments with each `Name` replaced by its value."""
    if isinstance(arguments, Name):
        return values[arguments]
    if isinstance(arguments, (list, tuple)):
        # Numbers are the most of it, and this is done for every operation of every batch.
        return type(arguments)(
            [argument if type(argument) in _PLAIN else fill_in(argument, values) for argument in arguments]
        )
    if isinstance(arguments, Mapping):
        return {key: fill_in(argument, values) for key, argument in arguments.items()}
    return arguments


def execute(operation: Operation, values: Mapping[str, Any]) -> Any:
    """Compute one operation from the values of its arguments."""
    return apply(operation, fill_in(operation.args, values), fill_in(operation.kwargs, values))


def apply(operation: Operation, args: Iterable[Any], kwargs: Mapping[str, Any]) -> Any:
    """Compute one operation on given arguments."""
    if operation.target is aten.view.default:
        return torch.reshape(*args)  # strides may differ from those seen when tracing
    return operation.target(*args, **kwargs)


# Where torch's name says more of how it computes than of what.
_READABLE = {
    "_native_batch_norm_legit_no_training": "batch_norm",
    "_prelu_kernel": "prelu",
    "_safe_softmax": "softmax",
    "adaptive_max_pool2d": "adaptive_max_pool",
    "log_sigmoid_forward": "log_sigmoid",
    "max_pool2d_with_indices": "max_pool",
    "max_pool3d_with_indices": "max_pool",
    "constant_pad_nd": "pad",
}


def short_name(target: Any) -> str:
    """Return "convolution" for ``aten.convolution.default``."""
    if isinstance(target, Result):
        return short_name(target.operation)
    if isinstance(target, OpOverload):
        return _READABLE.get(packet_name(target), packet_name(target).lstrip("_"))
    return getattr(target, "__name__", str(target))
