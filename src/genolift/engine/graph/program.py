"""An exported program as a `Graph` of core ATen operations."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind, TensorArgument

from genolift.engine.graph.decomposition import decomposed
from genolift.engine.graph.graph import (
    Graph,
    Name,
    Operation,
    Result,
    UnsupportedOperation,
    aten,
    operation_of,
    short_name,
    with_dependence,
)
from genolift.engine.graph.recurrent_operations import RECURRENT
from genolift.engine.graph.source import source_line
from genolift.engine.graph.tracing import in_precision, placed
from genolift.engine.torch_internals import formula, is_fixed, is_known_from_values_alone, schema_of
from genolift.errors import InputError

_BROADCAST_BY_AUTOGRAD = {aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor}
"""Linear or bilinear. What else goes element by element has a rule, which compares values of one shape."""
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
    stored: Mapping[str, Any] = {**program.constants, **program.state_dict}
    for spec in signature.input_specs:
        name = Name(spec.arg.name)
        if spec.kind is InputKind.USER_INPUT:
            inputs.append(name)
            continue
        value = stored[str(spec.target)]
        if not isinstance(value, Tensor):
            raise no_tensor(type(value).__name__, _where_used(program, spec.arg.name))
        constants[name] = placed(value.detach(), device, dtype)
    outputs = [
        spec.arg.name
        for spec in signature.output_specs
        if spec.kind is OutputKind.USER_OUTPUT and isinstance(spec.arg, TensorArgument)
    ]
    if len(outputs) != (2 if layer else 1):
        raise InputError(
            f"the model returns {len(outputs)} tensors",
            where="target",
            remedy="give a callable that takes the model's output and returns the value to explain, (n,)",
        )
    rows = rows_of_program(program)
    called = [node for node in program.graph.nodes if node.op == "call_function"]
    computing = [node for node in called if short_name(node.target) not in _NO_OPERATION]
    outer: dict[str, int] = {}
    operations = [
        _placed_operation(operation, device, dtype)
        for node in computing
        for operation in _operations(node, formula(rows), outer)
    ]
    each = _with_starts_in_order(list(_with_one_result_each(operations)), set(inputs))
    read = Name(outputs[1]) if layer else inputs[0]
    graph = Graph(each, constants, tuple(inputs), Name(outputs[0]), read, frozenset())
    graph = with_dependence(graph)
    _refuse_random(graph)
    return _with_products_for_quotients(graph)


def no_tensor(kind: str, where: str) -> UnsupportedOperation:
    """Return the error for a forward that uses something else than tensors, such as a Generator."""
    return UnsupportedOperation(
        f"the model's forward uses a {kind}",
        where=where,
        remedy="keep what it makes as a buffer, made in __init__",
    )


def _where_used(program: ExportedProgram, name: str) -> str:
    """Return the line of the model that first uses an input of the graph."""
    placeholder = next(node for node in program.graph.nodes if node.op == "placeholder" and node.name == name)
    return next(filter(None, map(_line_of, placeholder.users)), "model")


def _line_of(node: torch.fx.Node, near: str = "") -> str:
    return source_line(node.meta.get("stack_trace") or "", near)


def _refuse_effects(program: ExportedProgram) -> None:
    """Raise `UnsupportedOperation` for what does something beside computing: printing, or raising errors.

    Whether torch writes such an operation into the graph depends on its version. Where one checks what
    another has computed, it is the other that is named, as it is by a torch that writes no check.
    """
    for node in program.graph.nodes:
        if node.op == "call_function" and short_name(node.target) == "with_effects":
            _token, effect, *arguments = node.args
            checked: Any = next((each for each in arguments if isinstance(each, torch.fx.Node)), None)
            while checked is not None and checked.target is operator.getitem:
                checked = checked.args[0]
            computed = checked is not None and checked.op == "call_function"
            raise UnsupportedOperation(
                f"no exact rule is known for the operation {short_name(checked.target)}"
                if computed
                else f"the operation {short_name(effect)} has side effects",
                where=_line_of(node) or "model",
                remedy="write the model without it, or explain a layer after it",
            )


def _refuse_random(graph: Graph) -> None:
    """Raise `UnsupportedOperation` if the output needs numbers that are drawn at random."""
    for operation in graph.operations:
        target = operation_of(operation.target)
        random = torch.Tag.nondeterministic_seeded in getattr(target, "tags", ())
        # A recurrent layer draws in training mode alone, which no copy is in.
        if random and target not in RECURRENT:
            raise UnsupportedOperation(
                f"the operation {operation.title} draws at random, so that no score would be the same twice",
                where=operation.where,
                remedy="draw only where self.training is true, or keep a buffer that is drawn in __init__",
            )


def _operations(node: torch.fx.Node, rows: Any, outer: dict[str, int]) -> Iterator[Operation]:
    """Yield a node's operation, and before it the broadcasting of what it takes element by element.

    ``outer`` holds the values whose rows are not the slowest index of their batch axis; see `Operation`.
    """
    value: Any = node.meta.get("val")
    source = _line_of(node, near=short_name(node.target))
    axis, numel = _row_axis(value, rows, node)
    times = 1 if axis is None else _times_through_rows(node, value, axis, rows, outer)
    if times > 1:
        outer[node.name] = times
    names: dict[torch.fx.Node, Name] = {argument: Name(argument.name) for argument in node.all_input_nodes}
    pointwise = torch.Tag.pointwise in getattr(node.target, "tags", ())
    if pointwise and node.target not in _BROADCAST_BY_AUTOGRAD:
        for argument, taken, _ in _with_rows(node):
            if _sizes(taken) == _sizes(value):
                continue
            names[argument] = Name(f"{node.name}_{argument.name}")
            sizes = [int(size) if is_fixed(size) else -1 for size in value.shape]
            args = (Name(argument.name), sizes)
            yield Operation(names[argument], aten.expand.default, args, {}, source, axis, numel, taken.dtype)
    convert = torch.fx.node.map_arg
    yield Operation(
        Name(node.name),
        node.target,  # type: ignore[arg-type]
        tuple(convert(_with_rows_kept(node), names.__getitem__)),
        dict(convert(node.kwargs, names.__getitem__)) | _element_type(node, value),
        source,
        axis,
        numel,
        value.dtype if isinstance(value, Tensor) else None,
        times,
        _layer(node),
    )


def _with_rows_kept(node: torch.fx.Node) -> tuple[Any, ...]:
    """Return a node's arguments, without the batch axis where axes of size 1 are squeezed: it may be 1."""
    if node.target is not aten.squeeze.dims:
        return node.args
    squeezed: Any = node.args[0]
    axes: Any = node.args[1]
    shape = squeezed.meta["val"].shape
    return squeezed, [axis for axis in axes if is_fixed(shape[axis])]


def _placed_operation(operation: Operation, device: torch.device, dtype: torch.dtype) -> Operation:
    """Return an operation that gives ``dtype`` on ``device``, where a program was exported with others."""
    kwargs = {
        name: device if isinstance(value, torch.device) else in_precision(value, dtype)
        for name, value in operation.kwargs.items()
    }
    return replace(operation, kwargs=kwargs)


def _element_type(node: torch.fx.Node, value: Any) -> dict[str, Any]:
    """Return the element type that a tensor made from nothing was traced with, where the model says none."""
    schema = schema_of(node.target)
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


def _times_through_rows(
    node: torch.fx.Node, value: Tensor, axis: int, rows: Any, outer: Mapping[str, int]
) -> int:
    """Return how many times the batch axis of a node's result runs through the rows.

    A view keeps the order of elements, and so the number of times that all axes up to the batch axis run
    through the rows; other operations keep what a batch axis of the same size has. Joined along their batch
    axes, values run through the rows one after another, as repeats of one do: two strands in one batch.
    """
    if node.target in _JOINED_OR_CUT:
        return _times_joined_or_cut(node, value, axis, rows, outer)
    # A result of several has the arguments of the operation that gives them.
    whole: Any = node.args[0] if node.target is operator.getitem else node
    for argument, taken, at in _with_rows(whole):
        times = outer.get(argument.name, 1)
        if node.target is aten.view.default:
            total = times * math.prod(int(size) for size in taken.shape[:at])
            return max(1, total // math.prod(int(size) for size in value.shape[:axis]))
        if _sizes(taken)[at] == _sizes(value)[axis]:
            return times
    return 1


_JOINED_OR_CUT = {aten.cat.default, aten.slice.Tensor, aten.repeat.default}


def _times_joined_or_cut(
    node: torch.fx.Node, value: Tensor, axis: int, rows: Any, outer: Mapping[str, int]
) -> int:
    """Return `_times_through_rows` of what joins, cuts or repeats; 1 where rows have no one order."""
    # How many values follow each other for one row: as many in the result as in each of the arguments.
    following = [
        formula(taken.shape[at]) / rows / outer.get(argument.name, 1)
        for argument, taken, at in _with_rows(node)
    ]
    tensors = [each for each in node.all_input_nodes if isinstance(each.meta.get("val"), Tensor)]
    if len(set(following)) != 1 or len(following) < len(tensors):
        return 1
    times = formula(value.shape[axis]) / rows / following[0]
    return int(times) if times == int(times) else 1


def _with_rows(node: torch.fx.Node) -> Iterator[tuple[torch.fx.Node, Tensor, int]]:
    """Yield the arguments of a node that hold rows, with what they are and the axis of the rows."""
    for argument in node.all_input_nodes:
        value: Any = argument.meta.get("val")
        axes = _free_axes(value)
        if axes:
            yield argument, value, axes[0]


def _free_axes(value: Any) -> list[int]:
    """Return the axes of a tensor whose size is no number; none of anything else."""
    sizes = value.shape if isinstance(value, Tensor) else ()
    return [axis for axis, size in enumerate(sizes) if not is_fixed(size)]


def _sizes(value: Tensor) -> list[Any]:
    """Return sizes to be compared: one of torch's that is free would become the trial's number of rows."""
    return [formula(size) for size in value.shape]


def _row_axis(value: Any, rows: Any, node: torch.fx.Node) -> tuple[int | None, int]:
    axes = _free_axes(value)
    if not axes:
        return None, 0
    if any(is_known_from_values_alone(value.shape[axis]) for axis in axes):
        raise UnsupportedOperation(
            f"how many values {short_name(node.target)} gives depends on values",
            where=_line_of(node),
            remedy="choose by numbers that are made in __init__, as by mask.nonzero(), not by a mask",
        )
    multiple = formula(value.shape[axes[0]]) / rows
    if len(axes) > 1 or not multiple.is_Integer:
        raise UnsupportedOperation(
            f"{short_name(node.target)} mixes the rows of a batch with each other",
            where=_line_of(node),
            remedy="a row's output may depend on that row alone",
        )
    return axes[0], int(multiple) * math.prod(int(size) for size in value.shape if is_fixed(size))


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


def _with_starts_in_order(operations: Sequence[Operation], inputs: set[Name]) -> tuple[Operation, ...]:
    """Give an initial state that is made from nothing the order of rows of what it is the start of.

    It is the same for every row, so that nothing in it says in which order the rows are.
    """
    with_rows = set(inputs) | {each.name for each in operations if each.batch_axis is not None}
    alike: set[Name] = set()
    for operation in operations:
        made_alike = with_rows.intersection(operation.inputs) <= alike
        if operation.batch_axis is not None and made_alike and operation.target is not aten.view.default:
            alike.add(operation.name)
    ordered: list[Operation] = []
    wanted: dict[Name, int] = {}
    for operation in reversed(operations):
        if operation.name in alike:
            operation = replace(operation, outer=wanted.get(operation.name, operation.outer))
        recurrent = isinstance(operation.target, Result) and operation.target.operation in RECURRENT
        if operation.name in alike or recurrent:
            wanted.update({name: operation.outer for name in operation.inputs if name in alike})
        ordered.append(operation)
    return tuple(reversed(ordered))


def _with_products_for_quotients(graph: Graph) -> Graph:
    """Write u / v as u (1 / v) where v depends on the input, so that each of the two has its rule."""
    operations: list[Operation] = []
    for operation in graph.operations:
        divisor = operation.args[1] if operation.target is aten.div.Tensor else None
        if divisor not in graph.dependent or divisor not in graph.by_name:
            operations.append(operation)
            continue
        inverse = replace(
            graph.by_name[divisor],
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


def inputs_of_program(program: ExportedProgram) -> dict[str, Any]:
    """Return what stands for each of a program's arguments, by name: of a tensor, one of its shape."""
    users = program.graph_signature.user_inputs
    placeholders = (node for node in program.graph.nodes if node.op == "placeholder")
    return {node.name: node.meta["val"] for node in placeholders if node.name in users}


def rows_of_program(program: ExportedProgram) -> torch.SymInt:
    """Return what stands for a program's number of rows.

    Raises
    ------
    UnsupportedOperation
        If it takes one number alone.
    """
    rows = next(iter(inputs_of_program(program).values())).shape[0]
    if isinstance(rows, int):
        raise UnsupportedOperation(
            f"the exported program takes {rows} rows only",
            where="model",
            remedy='export it with dynamic_shapes=({0: torch.export.Dim("batch", min=2)},)',
        )
    return rows
