"""Capture of a model as a graph of core ATen operations. Knows nothing of rules, references or files.

The user's module is never run, hooked, changed or put in another mode: what is traced is a copy of the
module objects (sharing the parameters), on fake tensors.
"""

from __future__ import annotations

import copy
import inspect
import operator
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind

from genolift.engine.source import first_line, model_line, source_line
from genolift.errors import InputError

aten = torch.ops.aten


class UnsupportedOperation(InputError):  # noqa: N818 - the interface's name for it
    """The model holds an operation that no exact rule is known for; raised before anything is computed."""


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
    """The axis of the result that holds the rows (or a multiple of them, row-major); None if none does."""
    row_numel: int
    """Elements of the result for one row; 0 where the result is no tensor or has no rows."""

    @property
    def inputs(self) -> tuple[Name, ...]:
        """The distinct values among the arguments, in order."""
        return tuple(dict.fromkeys(names_in((self.args, dict(self.kwargs)))))

    @property
    def title(self) -> str:
        """The operation's short name, such as "convolution"."""
        return short_name(self.target)


@dataclass(frozen=True)
class Graph:
    """A model as operations in the order of computing."""

    operations: tuple[Operation, ...]
    constants: Mapping[str, Tensor]
    """Parameters, buffers and constants of the model."""
    inputs: tuple[Name, ...]
    """The model's arguments; contributions are computed for the first, the others are held."""
    output: Name
    dependent: frozenset[Name]
    """The values that depend on the first input."""

    @property
    def input(self) -> Name:
        """The argument that contributions are computed for."""
        return self.inputs[0]


def capture(
    model: nn.Module | ExportedProgram,
    example: tuple[Tensor, ...],
    *,
    device: torch.device,
    dtype: torch.dtype,
    after: Callable[[Any], Tensor] | None = None,
) -> Graph:
    """Trace ``model`` into a `Graph` of core ATen operations with a free number of rows.

    Parameters
    ----------
    model
        A module as its author wrote it, or an exported program (with a dynamic first axis).
    example
        One tensor for each argument, rows first; only shapes and dtypes matter.
    device, dtype
        Where and in what the graph is to be computed; the model's floating tensors are copied to it.
    after
        A function of the model's output that is traced with it, giving the target, (n,).

    Raises
    ------
    UnsupportedOperation
        If the model cannot be traced, or cannot be traced for any number of rows.
    InputError
        If the model does not take inputs of the example's shape.
    """
    if isinstance(model, ExportedProgram):
        if after is not None:
            model = _WithTarget(model.module(), after)
        else:
            return _graph_of(_decompose(model), device, dtype)
    shadow = shadow_module(model, device, dtype)
    traced = shadow if after is None else _WithTarget(shadow, after)
    example = tuple(
        _placed(tensor, device, dtype)[:1].expand(3, *tensor.shape[1:]).clone() for tensor in example
    )
    _try_shapes(traced, example)
    rows = Dim("batch", min=2)
    shapes: tuple[Any, ...] = tuple({0: rows} for _ in example)
    if _takes_only_varargs(traced):
        shapes = (shapes,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program = torch.export.export(traced, example, dynamic_shapes=shapes, strict=False)
        except Exception as error:
            raise UnsupportedOperation(
                f"the model cannot be captured as a graph ({first_line(error)})",
                where=model_line(error),
                remedy="a model's operations may depend on shapes, never on values or on the number of rows",
            ) from error
    return _graph_of(_decompose(program), device, dtype)


def shadow_module(model: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """Return a copy of ``model`` in evaluation mode, sharing its tensors where device and dtype allow."""
    tensors = [*model.parameters(), *model.buffers()]
    as_it_is = all(
        tensor.device == device and (tensor.dtype == dtype or not tensor.is_floating_point())
        for tensor in tensors
    )
    memo: dict[int, Any] = {id(tensor): tensor for tensor in tensors} if as_it_is else {}
    try:
        shadow = copy.deepcopy(model, memo)
    except Exception as error:
        raise UnsupportedOperation(
            f"the model cannot be copied ({first_line(error)})",
            where=type(model).__name__,
            remedy="keep only modules, tensors and plain values as its attributes, or export it first",
        ) from error
    return (shadow if as_it_is else shadow.to(device=device, dtype=dtype)).eval()


class _WithTarget(nn.Module):
    """A model and the function of its output that is explained."""

    def __init__(self, model: nn.Module, after: Callable[[Any], Tensor]) -> None:
        super().__init__()
        self.model = model
        self.after = after

    def forward(self, *args: Tensor) -> Tensor:
        return self.after(self.model(*args))


def _try_shapes(model: nn.Module, example: tuple[Tensor, ...]) -> None:
    shapes = " and ".join("(n, " + ", ".join(map(str, tensor.shape[1:])) + ")" for tensor in example)
    try:
        with torch.no_grad():
            model(*example)
    except Exception as error:
        raise InputError(
            f"the model does not take an input of shape {shapes}: {first_line(error)}",
            where=model_line(error),
            remedy="give sequences of the length, and in the layout, that the model was trained on",
        ) from error


def _takes_only_varargs(model: nn.Module) -> bool:
    kinds = [parameter.kind for parameter in inspect.signature(model.forward).parameters.values()]
    return bool(kinds) and kinds[0] is inspect.Parameter.VAR_POSITIONAL


def _decompose(program: ExportedProgram) -> ExportedProgram:
    """Decompose to core ATen, but for elementwise functions: one function, one rule."""
    table = torch.export.default_decompositions()
    for operation in KEPT_WHOLE:
        table.pop(operation, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return program.run_decompositions(table)


# Elementwise functions that core ATen would split into comparisons and products. Split, their pieces would
# each be given a rule, and a rule for a comparison there is not.
KEPT_WHOLE = (
    aten._prelu_kernel.default,
    aten.celu.default,
    aten.hardsigmoid.default,
    aten.hardswish.default,
    aten.log_sigmoid_forward.default,
    aten.mish.default,
    aten.silu.default,
    aten.softplus.default,
    aten.threshold.default,
)

_FIRST_OF_SEVERAL = {
    aten._native_batch_norm_legit_no_training.default,
    aten.log_sigmoid_forward.default,
    aten.max_pool2d_with_indices.default,
    aten.max_pool3d_with_indices.default,
    aten.adaptive_max_pool2d.default,
    aten.max.dim,
    aten.min.dim,
}
# What is read off the input but does not depend on what the input holds.
_SHAPE_ONLY = {
    aten.sym_size.int,
    aten.full_like.default,
    aten.zeros_like.default,
    aten.ones_like.default,
    aten.empty_like.default,
    aten.new_zeros.default,
    aten.new_ones.default,
    aten.new_full.default,
}
_NO_OPERATION = {"_assert_tensor_metadata", "_assert_scalar", "sym_constrain_range_for_size", "_assert_async"}


def _graph_of(program: ExportedProgram, device: torch.device, dtype: torch.dtype) -> Graph:
    signature = program.graph_signature
    constants: dict[str, Tensor] = {}
    inputs: list[Name] = []
    for spec in signature.input_specs:
        name = Name(spec.arg.name)
        if spec.kind is InputKind.USER_INPUT:
            inputs.append(name)
            continue
        target = str(spec.target)
        tensor = program.state_dict.get(target) if spec.kind is not InputKind.CONSTANT_TENSOR else None
        constants[name] = _placed(
            (program.constants[target] if tensor is None else tensor).detach(), device, dtype
        )
    outputs = [spec.arg.name for spec in signature.output_specs if spec.kind is OutputKind.USER_OUTPUT]
    if len(outputs) != 1:
        raise InputError(
            f"the model returns {len(outputs)} tensors",
            where="target",
            remedy="give a callable that takes the model's output and returns the value to explain, (n,)",
        )
    nodes = list(program.graph.nodes)
    first = next(node for node in nodes if node.op == "placeholder" and node.name == inputs[0])
    rows = first.meta["val"].shape[0]
    if isinstance(rows, int):
        raise UnsupportedOperation(
            f"the exported program takes {rows} rows only",
            where="model",
            remedy='export it with dynamic_shapes=({0: torch.export.Dim("batch", min=2)},)',
        )
    operations = [
        _operation(node, rows.node.expr) for node in nodes if node.op == "call_function" and _computes(node)
    ]
    graph = Graph(tuple(_rewritten(operations)), constants, tuple(inputs), Name(outputs[0]), frozenset())
    return with_dependence(graph)


def with_dependence(graph: Graph) -> Graph:
    """Find what depends on the first input, and drop what the output does not need."""
    needed = {str(graph.output)}
    kept: list[Operation] = []
    for operation in reversed(graph.operations):
        if operation.name in needed:
            kept.append(operation)
            needed.update(operation.inputs)
    kept.reverse()
    dependent = {graph.input}
    for operation in kept:
        if operation.target not in _SHAPE_ONLY and dependent.intersection(operation.inputs):
            dependent.add(operation.name)
    constants = {name: value for name, value in graph.constants.items() if name in needed}
    return replace(graph, operations=tuple(kept), dependent=frozenset(dependent), constants=constants)


def _computes(node: torch.fx.Node) -> bool:
    return short_name(node.target) not in _NO_OPERATION


def _operation(node: torch.fx.Node, rows: Any) -> Operation:
    value: Any = node.meta.get("val")
    if node.target in _FIRST_OF_SEVERAL:
        value = value[0]
    axis, numel = _row_axis(value, rows, node) if isinstance(value, Tensor) else (None, 0)
    convert = torch.fx.node.map_arg
    return Operation(
        Name(node.name),
        node.target,  # type: ignore[arg-type]
        tuple(convert(node.args, lambda argument: Name(argument.name))),
        dict(convert(node.kwargs, lambda argument: Name(argument.name))),
        source_line(node.meta.get("stack_trace") or ""),
        axis,
        numel,
    )


def _row_axis(value: Any, rows: Any, node: torch.fx.Node) -> tuple[int | None, int]:
    axes = [axis for axis, size in enumerate(value.shape) if not isinstance(size, int)]
    if not axes:
        return None, 0
    multiple = value.shape[axes[0]].node.expr / rows
    if len(axes) > 1 or not multiple.is_Integer:
        raise UnsupportedOperation(
            f"{short_name(node.target)} mixes the rows of a batch with each other",
            where=source_line(node.meta.get("stack_trace") or ""),
            remedy="a row's output may depend on that row alone",
        )
    numel = int(multiple)
    for axis, size in enumerate(value.shape):
        numel *= 1 if axis == axes[0] else int(size)
    return axes[0], numel


def _rewritten(operations: Iterable[Operation]) -> Iterator[Operation]:
    """Leave no operation with several results: a split becomes slices, and a first result stands alone."""
    splits: dict[str, Operation] = {}
    whole: set[str] = set()
    for operation in operations:
        if operation.target is aten.split_with_sizes.default:
            splits[operation.name] = operation
        elif operation.target is operator.getitem and operation.args[0] in splits:
            split, index = splits[operation.args[0]], operation.args[1]
            sizes = split.args[1]
            axis = split.args[2] if len(split.args) > 2 else 0
            start = sum(sizes[:index])
            yield replace(
                operation, target=aten.slice.Tensor, args=(split.args[0], axis, start, start + sizes[index])
            )
        elif operation.target is operator.getitem and operation.args[0] in whole and operation.args[1] == 0:
            yield replace(operation, target=aten.alias.default, args=(operation.args[0],))
        else:
            if operation.target in _FIRST_OF_SEVERAL:
                whole.add(operation.name)
            yield operation


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


def fill_in(arguments: Any, values: Mapping[str, Any]) -> Any:
    """Return nested arguments with each `Name` replaced by its value."""
    if isinstance(arguments, Name):
        return values[arguments]
    if isinstance(arguments, (list, tuple)):
        return type(arguments)([fill_in(argument, values) for argument in arguments])
    if isinstance(arguments, Mapping):
        return {key: fill_in(argument, values) for key, argument in arguments.items()}
    return arguments


def execute(operation: Operation, values: Mapping[str, Any]) -> Any:
    """Compute one operation from the values of its arguments."""
    return apply(operation, fill_in(operation.args, values), fill_in(operation.kwargs, values))


def apply(operation: Operation, args: Iterable[Any], kwargs: Mapping[str, Any]) -> Any:
    """Compute one operation on given arguments, giving the first result where there are several."""
    if operation.target is aten.view.default:
        return torch.reshape(*args)  # strides may differ from those seen when tracing
    result = operation.target(*args, **kwargs)
    return result[0] if operation.target in _FIRST_OF_SEVERAL else result


def short_name(target: Any) -> str:
    """Return "convolution" for ``aten.convolution.default``."""
    return (
        target._opname
        if isinstance(target, torch._ops.OpOverload)
        else getattr(target, "__name__", str(target))
    )


def _placed(tensor: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    return tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else tensor.dtype)
