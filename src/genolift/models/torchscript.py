"""TorchScript converted to an exported program.

A TorchScript archive is a program that reading can run, and its language can write files. So it is read only
with ``trust``. torch.export traces its graph (`script_graph`) for inputs of one length.
"""

from pathlib import Path
from typing import Any

import torch
from torch.export import Dim, ExportedProgram

from genolift.engine.graph.own_state import one_capture_at_a_time
from genolift.engine.graph.source import first_line
from genolift.engine.torch_internals import precision_left_alone, tree_leaves
from genolift.errors import InputError
from genolift.models.exported.reading import silenced
from genolift.models.layout import in_axes
from genolift.models.script_graph import ScriptGraph, UnknownOperationError, operation_of_training
from genolift.models.training_mode import trained
from genolift.settings.model import BASES_FIRST, ModelSpec, axes_of

_MEND = "load the module that it was made from, with its class, or export that with genolift export"
_OTHER_ROWS = 5
"""The number of rows that a program is tried on, different from that of its export."""
_LARGEST_DIFFERENCE = 1e-4
"""Largest difference between the converted program's outputs and TorchScript's, relative to these."""


def torchscript(path: Path, spec: ModelSpec) -> ExportedProgram:
    """Return a TorchScript archive as a program for any number of rows.

    Raises
    ------
    InputError
        If it is not trusted, its input's length is not known, or torch cannot convert it.
    """
    where = f"model.path: {path}"
    if not spec.trust:
        raise InputError(
            "is TorchScript, which can run code when read",
            where=where,
            remedy=f"{_MEND}; or, if you trust its source, set trust: true",
        )
    if spec.input_length is None:
        raise InputError(
            "is TorchScript, which does not say its input length",
            where=where,
            remedy="give model.input_length (--input-length)",
        )
    try:
        with silenced():
            return _converted(path, spec)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"is TorchScript that torch cannot write as a graph ({_why(error)})",
            where=where,
            remedy=f"save a trace instead, torch.jit.trace(model.eval(), example), or {_MEND}",
        ) from error


def _converted(path: Path, spec: ModelSpec) -> ExportedProgram:
    module: Any = torch.jit.load(str(path), map_location="cpu").eval()
    if (name := operation_of_training(module)) is not None:
        raise trained(name, f"model.path: {path}", "traced", "trace it again")
    rows = ({0: Dim("batch", min=2)},)
    with torch.enable_grad(), one_capture_at_a_time(), precision_left_alone():
        program = torch.export.export(
            ScriptGraph(module), (_example(spec, rows=3),), dynamic_shapes=(rows,), strict=False
        )
    with torch.no_grad():
        other = _example(spec, rows=_OTHER_ROWS)
        expected, found = tree_leaves(module(other)), tree_leaves(program.module()(other))
    for one, same in zip(expected, found, strict=True):
        if not torch.allclose(same, one, rtol=_LARGEST_DIFFERENCE, atol=1e-5):
            raise ValueError("its graph gives different outputs")
        if one.shape[:1] != (_OTHER_ROWS,):
            raise ValueError(f"it gives {one.shape[0] if one.ndim else 'no'} rows for {_OTHER_ROWS}")
    return program


def _why(error: BaseException) -> str:
    """Return an error in one line, with the operation that torch could not trace, if it is known."""
    said: list[BaseException] = [error]
    while (before := said[-1].__cause__ or said[-1].__context__) is not None:
        said.append(before)
    unknown = next((each for each in said if isinstance(each, UnknownOperationError)), None)
    if unknown is not None:
        cause = unknown.__cause__
        return f"{unknown}: {type(cause).__name__ if cause else 'unknown'}"
    return first_line(error)


def _example(spec: ModelSpec, rows: int) -> torch.Tensor:
    """Return random one-hot rows in the model's own layout."""
    assert spec.input_length is not None
    channels = len(spec.alphabet) + spec.extra_channels
    random = torch.Generator().manual_seed(rows)
    codes = torch.randint(channels, (rows, spec.input_length), generator=random)
    onehot = torch.nn.functional.one_hot(codes, channels).float().transpose(1, 2)
    return in_axes(onehot, axes_of(spec.axes or BASES_FIRST)).contiguous()
