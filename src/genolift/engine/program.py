"""An exported program as a `Graph` of core ATen operations. Knows nothing of modules or rules."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind

from genolift.engine.graph import (
    FIRST_OF_SEVERAL,
    Graph,
    Name,
    Operation,
    UnsupportedOperation,
    aten,
    short_name,
    with_dependence,
)
from genolift.engine.source import source_line
from genolift.errors import InputError


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

_NO_OPERATION = {"_assert_tensor_metadata", "_assert_scalar", "sym_constrain_range_for_size", "_assert_async"}


def graph_of(program: ExportedProgram, device: torch.device, dtype: torch.dtype) -> Graph:
    """Return an exported program, decomposed to core ATen, as a graph of operations on ``device``.

    Raises
    ------
    UnsupportedOperation
        If it takes a fixed number of rows, or mixes rows.
    InputError
        If it returns more than one tensor.
    """
    program = _decompose(program)
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
    graph = Graph(
        tuple(_rewritten(operations)), constants, tuple(inputs), Name(outputs[0]), inputs[0], frozenset()
    )
    return with_dependence(graph)


def _computes(node: torch.fx.Node) -> bool:
    return short_name(node.target) not in _NO_OPERATION


def _operation(node: torch.fx.Node, rows: Any) -> Operation:
    value: Any = node.meta.get("val")
    if node.target in FIRST_OF_SEVERAL:
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
        value.dtype if isinstance(value, Tensor) else None,
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
            if operation.target in FIRST_OF_SEVERAL:
                whole.add(operation.name)
            yield operation


def placed(tensor: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return a tensor on ``device``, and in ``dtype`` where it holds floating-point numbers."""
    return tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else tensor.dtype)
