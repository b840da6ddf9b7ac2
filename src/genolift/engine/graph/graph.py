"""A model as a graph of operations, and how one of them is computed."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from genolift.engine.torch_internals import OpOverload, packet_name, tree_leaves
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


def operation_of(target: Any) -> Any:
    """Return the operation that a result is one of; any other operation itself."""
    return target.operation if isinstance(target, Result) else target


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
        return str(operation_of(self.target))

    @property
    def where(self) -> str:
        """The line of the model that the operation comes from, for a message; its name if there is none."""
        return self.source or f"model, value {self.name}"


@dataclass(frozen=True, repr=False)
class Graph:
    """A model as operations in the order of computing."""

    operations: tuple[Operation, ...]
    constants: Mapping[str, Tensor]
    """Parameters, buffers and constants of the model."""
    inputs: tuple[Name, ...]
    """The model's arguments: the one that differs between sequence and reference, then the extra inputs."""
    output: Name
    read: Name
    """The value whose contributions are computed: the first argument, or a layer's output."""
    dependent: frozenset[Name]
    """The values that depend on the first argument."""
    tensors: tuple[Name, ...] | None = None
    """The model's own tensors that the output is read off, where it is not all that the model returns."""

    def __repr__(self) -> str:
        return f"Graph({len(self.operations)} operations, {len(self.constants)} constants, {self.output})"

    @property
    def input(self) -> Name:
        """The argument that differs between sequence and reference."""
        return self.inputs[0]

    @cached_property
    def by_name(self) -> Mapping[Name, Operation]:
        """Each operation by the name of its result."""
        return {operation.name: operation for operation in self.operations}

    @cached_property
    def users(self) -> Mapping[str, Sequence[Operation]]:
        """The operations that take each value; nothing for one that none takes."""
        users: dict[str, list[Operation]] = defaultdict(list)
        for operation in self.operations:
            for name in operation.inputs:
                users[name].append(operation)
        return users

    def before(self, names: Iterable[Name], through: Callable[[Operation], bool]) -> Iterator[Operation]:
        """Yield once each the operations that lead to some values, as far back as they are looked through."""
        ahead, seen = list(names), set()
        while ahead:
            name = ahead.pop()
            if name in self.by_name and name not in seen:
                seen.add(name)
                yield self.by_name[name]
                if through(self.by_name[name]):
                    ahead += self.by_name[name].inputs


def named(names: str) -> list[Any]:
    """Return operations of ATen by name, where "relu" stands for relu.default."""
    packets = (name.partition(".") for name in names.split())
    return [getattr(getattr(aten, packet), overload or "default") for packet, _, overload in packets]


# What is read off the input but does not depend on what the input holds.
SHAPE_ONLY = frozenset(
    named(
        "sym_numel sym_size.int sym_stride.int sym_storage_offset fill.Scalar full_like zeros_like ones_like "
        "empty_like empty_strided new_zeros new_ones new_full"
    )
)


def with_dependence(graph: Graph) -> Graph:
    """Find what depends on the first argument, and drop what neither the output nor ``read`` needs."""
    kept = needed_for({graph.output, graph.read}, graph.operations)
    dependent = following({graph.input}, (each for each in kept if each.target not in SHAPE_ONLY))
    taken = {graph.output, graph.read}.union(*(operation.inputs for operation in kept))
    constants = {name: value for name, value in graph.constants.items() if name in taken}
    return replace(graph, operations=kept, dependent=frozenset(dependent), constants=constants)


def needed_for(names: Iterable[str], operations: Sequence[Operation]) -> tuple[Operation, ...]:
    """Return the operations that some values are computed by, in their order."""
    needed, kept = set(names), []
    for operation in reversed(operations):
        if operation.name in needed:
            kept.append(operation)
            needed.update(operation.inputs)
    return tuple(reversed(kept))


def following(names: Iterable[Name], operations: Iterable[Operation]) -> set[Name]:
    """Return some values with those that are computed from them."""
    found = set(names)
    for operation in operations:
        if found.intersection(operation.inputs):
            found.add(operation.name)
    return found


def freed_after(operations: Iterable[Operation], kept: Iterable[str]) -> dict[str, list[Name]]:
    """Return by operation the values that none takes after it, but for those that are kept."""
    last = {name: operation.name for operation in operations for name in operation.inputs}
    freed: dict[str, list[Name]] = defaultdict(list)
    for name in last.keys() - set(kept):
        freed[last[name]].append(name)
    return freed


def names_in(arguments: Any) -> Iterator[Name]:
    """Yield the values named among nested arguments."""
    return (leaf for leaf in tree_leaves(arguments) if isinstance(leaf, Name))


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
    target = operation_of(target)
    if isinstance(target, OpOverload):
        return _READABLE.get(packet_name(target), packet_name(target).lstrip("_"))
    return getattr(target, "__name__", str(target))
