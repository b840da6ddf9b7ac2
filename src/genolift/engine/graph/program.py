"""An exported program as a `Graph` of core ATen operations."""

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.export.graph_signature import OutputKind, TensorArgument

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
from genolift.engine.torch_internals import formula, is_fixed, is_known_from_values_alone
from genolift.errors import InputError

_BROADCAST_BY_AUTOGRAD = {aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor}
"""Linear or bilinear. What else goes element by element has a rule, which compares values of one shape."""
_NO_OPERATION = {"_assert_tensor_metadata", "_assert_scalar", "sym_constrain_range_for_size", "_assert_async"}
_WITH_EFFECTS = "with_effects"
"""How torch writes what does something beside computing, such as checking for errors, or printing."""


def graph_of(
    program: ExportedProgram,
    device: torch.device,
    dtype: torch.dtype,
    *,
    layer: bool = False,
    picked: bool = False,
) -> Graph:
    """Return an exported program, decomposed to core ATen, as a graph of operations on ``device``.

    With ``layer`` the program's second result is the value that contributions are read at. With ``picked``
    those behind are the model's own tensors that its first is read off.

    Raises
    ------
    UnsupportedOperation
        If it takes a fixed number of rows, or mixes rows.
    InputError
        If it returns more than one tensor.
    """
    program = decomposed(program)
    signature = program.graph_signature
    constants: dict[str, Tensor] = {}
    inputs = tuple(map(Name, signature.user_inputs))
    stored: Mapping[str, Any] = {**program.constants, **program.state_dict}
    for spec in signature.input_specs:
        if spec.target is None:  # an input, or the order of effects
            continue
        value = stored[spec.target]
        if not isinstance(value, Tensor):
            raise no_tensor(type(value).__name__, _where_used(program, spec.arg.name))
        constants[spec.arg.name] = placed(value.detach(), device, dtype)
    outputs, tensors = _results(program, 2 if layer else 1, picked=picked)
    rows, order = formula(rows_of_program(program)), dict.fromkeys(map(str, inputs), 1)

    def adapted(option: Any) -> Any:
        """Return ``device`` and ``dtype`` in place of those that a program was exported with."""
        return device if isinstance(option, torch.device) else in_precision(option, dtype)

    operations = [
        operation
        for node in program.graph.nodes
        if node.op == "call_function" and short_name(node.target) not in (*_NO_OPERATION, _WITH_EFFECTS)
        for operation in _operations(node, rows, order, adapted)
    ]
    read = outputs[1] if layer else inputs[0]
    ordered = _with_starts_in_order(operations)
    graph = with_dependence(Graph(ordered, constants, inputs, outputs[0], read, frozenset(), tensors))
    _refuse_what_computes_no_function(graph)
    return _with_products_for_quotients(graph)


def _results(
    program: ExportedProgram, number: int, *, picked: bool
) -> tuple[tuple[Name, ...], tuple[Name, ...] | None]:
    """Return the first so many of a program's results, and those behind if they are ``picked``."""
    results = tuple(
        Name(spec.arg.name)
        for spec in program.graph_signature.output_specs
        if spec.kind is OutputKind.USER_OUTPUT and isinstance(spec.arg, TensorArgument)
    )
    if len(results) < number or (len(results) > number and not picked):
        raise InputError(
            f"the model returns {len(results)} tensors",
            where="target",
            remedy="give a callable that takes the model's output and returns the value to explain, (n,)",
        )
    return results[:number], results[number:] if picked else None


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


def _refuse_what_computes_no_function(graph: Graph) -> None:
    """Raise `UnsupportedOperation` if the output needs numbers that are drawn at random, or side effects."""
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
        if short_name(target) == _WITH_EFFECTS:
            raise UnsupportedOperation(
                f"the operation {short_name(operation.args[1])} has side effects",
                where=operation.where,
                remedy="write the model without it, or explain a layer after it",
            )


def _operations(
    node: torch.fx.Node, rows: Any, order: dict[str, int], adapted: Callable[[Any], Any]
) -> Iterator[Operation]:
    """Yield a node's operation, and before it the broadcasting of what it takes element by element.

    Of an operation with several results each is an operation of its own. ``order`` holds for each value how
    many times its batch axis runs through the rows; see `_times_through_rows`. ``adapted`` changes options.
    """
    value: Any = node.meta.get("val")
    one_of_several = node.target is operator.getitem
    called: Any = node.args[0] if one_of_several else node
    source = _line_of(node, near=short_name(called.target))
    axis, numel = _row_axis(value, rows, node)
    times = None if axis is None else _times_through_rows(called, value, axis, rows, order)
    if times is not None:
        order[node.name] = times
    names: dict[torch.fx.Node, Name] = {argument: Name(argument.name) for argument in called.all_input_nodes}
    pointwise = torch.Tag.pointwise in getattr(called.target, "tags", ())
    if pointwise and called.target not in _BROADCAST_BY_AUTOGRAD:
        for argument, taken, _ in _with_rows(called):
            if _sizes(taken) == _sizes(value):
                continue
            names[argument] = Name(f"{node.name}_{argument.name}")
            sizes = [int(size) if is_fixed(size) else -1 for size in value.shape]
            args, runs = (Name(argument.name), sizes), order.get(argument.name, 1)
            yield Operation(
                names[argument], aten.expand.default, args, {}, source, axis, numel, taken.dtype, runs
            )
    convert = torch.fx.node.map_arg
    yield Operation(
        Name(node.name),
        Result(called.target, node.args[1]) if one_of_several else called.target,  # type: ignore[arg-type]
        tuple(convert(_with_rows_kept(called), names.__getitem__)),
        {name: adapted(value) for name, value in convert(called.kwargs, names.__getitem__).items()},
        source,
        axis,
        numel,
        value.dtype if isinstance(value, Tensor) else None,
        times or 1,
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


def _layer(node: torch.fx.Node) -> str:
    """Return the path of the submodule that a node was traced in."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path = str(stack[-1][0]) if stack else ""
    wrapped = bool(stack) and "genolift.engine" in str(stack[0][1])
    return path.partition(".")[2] if wrapped else path


def _times_through_rows(
    called: torch.fx.Node, value: Tensor, axis: int, rows: Any, order: Mapping[str, int]
) -> int | None:
    """Return how many times the batch axis of a result runs through the rows.

    A view keeps the order of elements, and so the number of times that all axes up to the batch axis run
    through the rows. Elsewhere as many values follow each other for one row in the result as in each
    argument: joined along their batch axes, values run through the rows one after another, as two strands in
    one batch do. Returns 1 where rows have no one order, None for what is made without the inputs.
    """
    ordered = [
        (taken, at, order[argument.name])
        for argument, taken, at in _with_rows(called)
        if argument.name in order
    ]
    if not ordered:
        return None
    if called.target is aten.view.default:
        ((taken, at, times),) = ordered
        total = times * math.prod(int(size) for size in taken.shape[:at])
        return max(1, total // math.prod(int(size) for size in value.shape[:axis]))
    following = {formula(taken.shape[at]) / rows / times for taken, at, times in ordered}
    found = formula(value.shape[axis]) / rows / following.pop()
    return int(found) if not following and found == int(found) else 1


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


def _with_starts_in_order(operations: Sequence[Operation]) -> tuple[Operation, ...]:
    """Give the initial state of a recurrent layer the order of rows of the layer's results.

    One that is made from nothing is the same for every row, so that nothing in it says what order they have.
    """
    order = {
        name: operation.outer
        for operation in operations
        if operation_of(operation.target) in RECURRENT
        for name in operation.inputs
    }
    return tuple(replace(each, outer=order.get(each.name, each.outer)) for each in operations)


def _with_products_for_quotients(graph: Graph) -> Graph:
    """Write u / v as u (1 / v) where v depends on the input, so that each of the two has its rule."""
    operations: list[Operation] = []
    for operation in graph.operations:
        divisor = operation.args[1] if operation.target is aten.div.Tensor else None
        if divisor in graph.dependent and divisor in graph.by_name:
            inverse = replace(
                graph.by_name[divisor],
                name=Name(f"{operation.name}_reciprocal"),
                target=aten.reciprocal.default,
                args=(divisor,),
                kwargs={},
                source=operation.source,
            )
            operations.append(inverse)
            args = (inverse.name, operation.args[0])
            operation = replace(operation, target=aten.mul.Tensor, args=args)
        operations.append(operation)
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
