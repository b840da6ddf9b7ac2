"""Capture of a model: a copy of it is traced with torch.export. Knows nothing of rules, references or files.

The user's module is never run, hooked, changed or put in another mode: what is traced is a copy of the
module objects (sharing the parameters), on fake tensors.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from genolift.engine.graph import Graph, UnsupportedOperation
from genolift.engine.program import graph_of, placed
from genolift.engine.recurrent_operations import kept_whole
from genolift.engine.source import first_line, model_line
from genolift.errors import InputError


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
            return graph_of(model, device, dtype)
    shadow = shadow_module(model, device, dtype)
    traced = shadow if after is None else _WithTarget(shadow, after)
    example = tuple(
        placed(tensor, device, dtype)[:1].expand(3, *tensor.shape[1:]).clone() for tensor in example
    )
    _try_shapes(traced, example)
    rows = Dim("batch", min=2)
    shapes: tuple[Any, ...] = tuple({0: rows} for _ in example)
    if _takes_only_varargs(traced):
        shapes = (shapes,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with kept_whole():
                program = torch.export.export(traced, example, dynamic_shapes=shapes, strict=False)
        except Exception as error:
            raise UnsupportedOperation(
                f"the model cannot be captured as a graph ({first_line(error)})",
                where=model_line(error),
                remedy="a model's operations may depend on shapes, never on values or on the number of rows",
            ) from error
    return graph_of(program, device, dtype)


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
