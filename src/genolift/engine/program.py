"""An exported program as a `Graph` of core ATen operations. Knows nothing of modules or rules."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind

from genolift.engine.decomposition import decomposed
from genolift.engine.graph import (
    Graph,
    Name,
    Operation,
    Result,
    UnsupportedOperation,
    aten,
    short_name,
    with_dependence,
)
from genolift.engine.operations import JOINT
from genolift.engine.source import source_line
from genolift.errors import InputError

_NO_OPERATION = {"_assert_tensor_metadata", "_assert_scalar", "sym_constrain_range_for_size", "_assert_async"}


def graph_of(
    program: ExportedProgram, device: torch.device, dtype: torch.dtype, *, layer: bool = False
) -> Graph:
    """Return an exported program, decomposed to core ATen, as a graph of operations on ``device``.

    With ``layer`` the program's second result is the value that contributions are read at.

    Raises
    ------
    UnsupportedOperation
        If it takes a fixed number of rows, or mixes rows.
    InputError
        If it returns more than one tensor.
    """
    program = decomposed(program)
    _refuse_effects(program)
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
        constants[name] = placed(
            (program.constants[target] if tensor is None else tensor).detach(), device, dtype
        )
    outputs = [spec.arg.name for spec in signature.output_specs if spec.kind is OutputKind.USER_OUTPUT]
    if len(outputs) != (2 if layer else 1):
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
    computing = [node for node in nodes if node.op == "call_function" and _computes(node)]
    outer: dict[str, int] = {}
    operations = [operation for node in computing for operation in _operations(node, rows.node.expr, outer)]
    each = tuple(_with_one_result_each(operations))
    read = Name(outputs[1]) if layer else inputs[0]
    graph = Graph(each, constants, tuple(inputs), Name(outputs[0]), read, frozenset())
    return _with_products_for_quotients(with_dependence(graph))


def _refuse_effects(program: ExportedProgram) -> None:
    for node in program.graph.nodes:
        if node.op == "call_function" and short_name(node.target) == "with_effects":
            raise UnsupportedOperation(
                f"the operation {short_name(node.args[1])} has side effects",
                where=source_line(node.meta.get("stack_trace") or "") or "model",
                remedy="write the model without it, or explain a layer after it",
            )


def _computes(node: torch.fx.Node) -> bool:
    return short_name(node.target) not in _NO_OPERATION


def _operations(node: torch.fx.Node, rows: Any, outer: dict[str, int]) -> Iterator[Operation]:
    """Yield a node's operation, and before it the broadcasting of what it takes element by element.

    ``outer`` holds the values whose rows are not the slowest index of their batch axis; see `Operation`.
    """
    value: Any = node.meta.get("val")
    source = source_line(node.meta.get("stack_trace") or "")
    axis, numel = _row_axis(value, rows, node) if isinstance(value, Tensor) else (None, 0)
    times = 1 if axis is None else _times_through_rows(node, value, axis, outer)
    if times > 1:
        outer[node.name] = times
    names: dict[torch.fx.Node, Name] = {argument: Name(argument.name) for argument in node.all_input_nodes}
    if node.target in JOINT:
        for argument in node.all_input_nodes:
            held: Any = argument.meta.get("val")
            if held.shape == value.shape or all(isinstance(size, int) for size in held.shape):
                continue
            names[argument] = Name(f"{node.name}_{argument.name}")
            sizes = [size if isinstance(size, int) else -1 for size in value.shape]
            args = (Name(argument.name), sizes)
            yield Operation(names[argument], aten.expand.default, args, {}, source, axis, numel, held.dtype)
    convert = torch.fx.node.map_arg
    yield Operation(
        Name(node.name),
        node.target,  # type: ignore[arg-type]
        tuple(convert(node.args, names.__getitem__)),
        dict(convert(node.kwargs, names.__getitem__)) | _element_type(node, value),
        source,
        axis,
        numel,
        value.dtype if isinstance(value, Tensor) else None,
        times,
        _layer(node),
    )


def _element_type(node: torch.fx.Node, value: Any) -> dict[str, Any]:
    """Return the element type that a tensor made from nothing was traced with, where the model says none."""
    schema = getattr(node.target, "_schema", None)
    if schema is None or not isinstance(value, Tensor) or node.kwargs.get("dtype") is not None:
        return {}
    takes = {argument.name: str(argument.type) for argument in schema.arguments}
    makes = "dtype" in takes and not any(
        kind.startswith(("Tensor", "List[Tensor")) for kind in takes.values()
    )
    return {"dtype": value.dtype} if makes else {}


def _layer(node: torch.fx.Node) -> str:
    """Return the path of the submodule that a node was traced in."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path = str(stack[-1][0]) if stack else ""
    wrapped = bool(stack) and "genolift.engine" in str(stack[0][1])
    return path.partition(".")[2] if wrapped else path


def _times_through_rows(node: torch.fx.Node, value: Tensor, axis: int, outer: Mapping[str, int]) -> int:
    """Return how many times the batch axis of a node's result runs through the rows.

    A view keeps the order of elements, and so the number of times that all axes up to the batch axis run
    through the rows; other operations keep what a batch axis of the same size has.
    """
    for argument in node.all_input_nodes:
        held: Any = argument.meta.get("val")
        if not isinstance(held, Tensor) or all(isinstance(size, int) for size in held.shape):
            continue
        at = next(index for index, size in enumerate(held.shape) if not isinstance(size, int))
        times = outer.get(argument.name, 1)
        if node.target is aten.view.default:
            total = times * math.prod(int(size) for size in held.shape[:at])
            return max(1, total // math.prod(int(size) for size in value.shape[:axis]))
        if held.shape[at] == value.shape[axis]:
            return times
    return 1


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


def _with_one_result_each(operations: Iterable[Operation]) -> Iterator[Operation]:
    """Leave no operation with several results: a split becomes slices, and each result an operation."""
    several: dict[str, Operation] = {}
    for operation in operations:
        if operation.target is not operator.getitem or operation.args[0] not in several:
            several[operation.name] = operation
            yield operation
            continue
        whole, index = several[operation.args[0]], operation.args[1]
        if whole.target is aten.split_with_sizes.default:
            sizes = whole.args[1]
            axis = whole.args[2] if len(whole.args) > 2 else 0
            start = sum(sizes[:index])
            args = (whole.args[0], axis, start, start + sizes[index])
            yield replace(operation, target=aten.slice.Tensor, args=args)
        else:
            yield replace(operation, target=Result(whole.target, index), args=whole.args, kwargs=whole.kwargs)


def _with_products_for_quotients(graph: Graph) -> Graph:
    """Write u / v as u (1 / v) where v depends on the input, so that each of the two has its rule."""
    by_name = {operation.name: operation for operation in graph.operations}
    operations: list[Operation] = []
    for operation in graph.operations:
        divisor = operation.args[1] if operation.target is aten.div.Tensor else None
        if divisor not in graph.dependent or divisor not in by_name:
            operations.append(operation)
            continue
        inverse = replace(
            by_name[divisor],
            name=Name(f"{operation.name}_reciprocal"),
            target=aten.reciprocal.default,
            args=(divisor,),
            kwargs={},
            source=operation.source,
        )
        args = (operation.args[0], inverse.name)
        target = aten.mul.Tensor if isinstance(args[0], Name) else aten.mul.Scalar
        if target is aten.mul.Scalar:
            args = (inverse.name, operation.args[0])
        operations += [inverse, replace(operation, target=target, args=args)]
    return with_dependence(replace(graph, operations=tuple(operations)))


def placed(tensor: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return a tensor on ``device``, and in ``dtype`` where it holds floating-point numbers."""
    return tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else tensor.dtype)
