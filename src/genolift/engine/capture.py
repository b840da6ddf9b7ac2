"""Capture of a model: a copy of it is traced with torch.export. Knows nothing of rules, references or files.

The user's module is never run, hooked, changed or put in another mode: what is tried and traced are copies of
it that share none of its tensors.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.utils._pytree import tree_leaves

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
        if after is None:
            return graph_of(model, device, dtype)
        model = model.module()
    example = tuple(
        placed(tensor, device, dtype)[:1].expand(3, *tensor.shape[1:]).clone() for tensor in example
    )
    with _as_found(dtype):
        # What a trial leaves in buffers may not be in the graph, so that it has a copy of its own.
        trial, traced = (_explained(shadow_module(model, device, dtype), after) for _ in range(2))
        _try(trial, example)
        return graph_of(_export(traced, example), device, dtype)


def _explained(shadow: nn.Module, after: Callable[[Any], Tensor] | None) -> nn.Module:
    return shadow if after is None else _WithTarget(shadow, after)


@contextmanager
def _as_found(dtype: torch.dtype) -> Iterator[None]:
    """Make tensors in ``dtype`` where a model does not say, and leave dtype and random state as found."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_default_dtype(default)


def _export(traced: nn.Module, example: tuple[Tensor, ...]) -> ExportedProgram:
    rows = Dim("batch", min=2)
    shapes: tuple[Any, ...] = tuple({0: rows} for _ in example)
    if _takes_only_varargs(traced):
        shapes = (shapes,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with kept_whole():
                return torch.export.export(traced, example, dynamic_shapes=shapes, strict=False)
        except Exception as error:
            raise UnsupportedOperation(
                f"the model cannot be captured as a graph ({first_line(error)})",
                where=model_line(error),
                remedy="a model's operations may depend on shapes, never on values or on the number of rows",
            ) from error


def shadow_module(model: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """Return a copy of ``model`` in evaluation mode that shares no tensor with it.

    Raises
    ------
    UnsupportedOperation
        If it cannot be copied, or is TorchScript.
    InputError
        If its weights are on the meta device, where there are no values.
    """
    model = _unwrapped(model)
    memo: dict[int, Any] = {}
    for tensor in _tensors(model):
        if tensor.device.type == "meta":
            raise InputError(
                "a weight is on the meta device and has no values",
                where=type(model).__name__,
                remedy="load the weights before explaining the model",
            )
        if not tensor.is_leaf:  # such as the weight that torch.nn.utils.weight_norm computes
            memo[id(tensor)] = tensor.detach().clone()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shadow = copy.deepcopy(model, memo)
    except Exception as error:
        raise UnsupportedOperation(
            f"the model cannot be copied ({first_line(error)})",
            where=type(model).__name__,
            remedy="keep only modules, tensors and plain values as its attributes, or export it first",
        ) from error
    for module in shadow.modules():
        for name, value in vars(module).items():
            if isinstance(value, Tensor):
                setattr(module, name, placed(value, device, dtype))
    shadow = shadow.to(device=device, dtype=dtype)
    with suppress(NotImplementedError):  # an exported program's module has the mode that it was exported in
        shadow.eval()
    return shadow


def _unwrapped(model: nn.Module) -> nn.Module:
    """Return the module within a torch.compile or a parallel wrapper."""
    if isinstance(model, torch.jit.ScriptModule):
        raise UnsupportedOperation(
            "a TorchScript module cannot be traced",
            where="model",
            remedy="load the module that it was made from, or export that with torch.export",
        )
    inner = getattr(model, "_orig_mod", None)
    if inner is None and isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        inner = model.module
    return model if inner is None else _unwrapped(inner)


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    """Yield parameters, buffers, and tensors that are plain attributes."""
    yield from model.parameters()
    yield from model.buffers()
    for module in model.modules():
        yield from (value for value in vars(module).values() if isinstance(value, Tensor))


class _WithTarget(nn.Module):
    """A model and the function of its output that is explained."""

    def __init__(self, model: nn.Module, after: Callable[[Any], Tensor]) -> None:
        super().__init__()
        self.model = model
        self.after = after

    def forward(self, *args: Tensor) -> Tensor:
        return self.after(self.model(*args))


def _try(model: nn.Module, example: tuple[Tensor, ...]) -> None:
    """Run the model once, to say what is wrong with its input or output in its own words."""
    shapes = " and ".join(_shape(tensor) for tensor in example)
    try:
        with torch.no_grad():
            output = model(*example)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"the model does not take an input of shape {shapes}: {first_line(error)}",
            where=model_line(error),
            remedy="give sequences of the length, and in the layout, that the model was trained on",
        ) from error
    tensors = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
    if isinstance(model, _WithTarget):
        if not isinstance(output, Tensor):
            raise InputError(
                f"the target function returns a {type(output).__name__}",
                where="target",
                remedy="return a tensor with one number for each row, (n,)",
            )
    elif len(tensors) != 1:
        kind = f"the model returns a {type(output).__name__}"
        some = f" of {len(tensors)} tensors of shapes {', '.join(map(_shape, tensors))}" if tensors else ""
        raise InputError(
            kind + some,
            where="target",
            remedy="give a callable that takes the model's output and returns the value to explain, (n,)",
        )


def _shape(tensor: Tensor) -> str:
    return "(n, " + ", ".join(map(str, tensor.shape[1:])) + ")" if tensor.dim() > 1 else "(n,)"


def _takes_only_varargs(model: nn.Module) -> bool:
    kinds = [parameter.kind for parameter in inspect.signature(model.forward).parameters.values()]
    return bool(kinds) and kinds[0] is inspect.Parameter.VAR_POSITIONAL
