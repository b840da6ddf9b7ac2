"""A copy of a model that shares no tensor with it, in evaluation mode."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from genolift.engine.graph.graph import UnsupportedOperation
from genolift.engine.graph.program import placed
from genolift.engine.graph.source import first_line
from genolift.engine.torch_internals import before_compiling, replace_tensors
from genolift.errors import InputError


def shadow_module(model: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """Return a copy of ``model`` in evaluation mode that shares no tensor with it.

    Raises
    ------
    UnsupportedOperation
        If it cannot be copied, or is TorchScript.
    InputError
        If its weights are on the meta device, where there are no values.
    """
    model = unwrapped(model)
    memo: dict[int, Any] = {}
    for tensor in tensors_of_module(model):
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
    replace_tensors(shadow, lambda tensor: placed(tensor, device, dtype))
    with suppress(NotImplementedError):  # an exported program's module has the mode that it was exported in
        shadow.eval()
    return shadow


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the module within a torch.compile or a parallel wrapper."""
    if isinstance(model, torch.jit.ScriptModule):
        raise UnsupportedOperation(
            "a TorchScript module cannot be traced",
            where="model",
            remedy="load the module that it was made from, or export that with torch.export",
        )
    inner = before_compiling(model)
    if inner is None and isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        inner = model.module
    return model if inner is None else unwrapped(inner)


def tensors_of_module(model: nn.Module) -> Iterator[Tensor]:
    """Yield parameters, buffers, and tensors that are plain attributes."""
    yield from model.parameters()
    yield from model.buffers()
    for module in model.modules():
        yield from (value for value in vars(module).values() if isinstance(value, Tensor))
