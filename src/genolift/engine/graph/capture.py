"""Capture of a model: a copy of it is traced with torch.export.

The user's module is never run, hooked, changed or put in another mode: what is tried and traced are copies of
it that share none of its tensors.
"""

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from genolift.engine.graph.graph import Graph, UnsupportedOperation
from genolift.engine.graph.own_state import one_capture_at_a_time, own_state
from genolift.engine.graph.program import graph_of, no_tensor
from genolift.engine.graph.recurrent_operations import AS_TORCH_HAS_IT, kept_whole
from genolift.engine.graph.source import first_line, model_line
from genolift.engine.graph.tracing import placed, rows_in_parts, silence
from genolift.engine.graph.trial_model import (
    ONE_SEQUENCE,
    TrialModel,
    as_found,
    check_arguments,
    shadow_module,
    tensors_of_module,
)
from genolift.engine.torch_internals import (
    masks_as_they_are,
    precision_left_alone,
    says_devices_differ,
    says_generator,
    says_rows_are_fixed,
    tree_map_only,
    whole_traces,
)
from genolift.errors import InputError


class Picked(NamedTuple):
    """What is explained of a model, where it is read off the model's own tensors, not a function's."""

    values: Tensor
    """(n, ...)."""
    tensors: tuple[Tensor, ...]
    """The model's own: whose final activations can be stepped over."""


After = Callable[[Any], Tensor | Picked] | None
"""A function of what a model returns that gives the target, (n, ...); None: the output itself."""
_CPU = torch.device("cpu")
TRIAL_ROWS = 3  # 1 is special to torch.export, and 2 a common number of other things


def capture(
    model: nn.Module | ExportedProgram,
    example: tuple[Tensor, ...],
    *,
    device: torch.device,
    dtype: torch.dtype,
    after: After = None,
    of_layer: str | None = None,
    read: str | None = None,
    tried: Callable[[Any, Any], None] = lambda given, output: None,
) -> Graph:
    """Trace ``model`` into a `Graph` of core ATen operations with a free number of rows.

    Parameters
    ----------
    model
        A module as its author wrote it, or an exported program (with a dynamic first axis).
    example
        One tensor for each argument, rows first; only shapes and dtypes matter.
    device, dtype
        Where and in what the graph is to be computed. It is traced on the host, and its constants are copied.
    after
        A function of the model's output that is traced with it, giving the target, (n,).
    of_layer
        The submodule whose output ``after`` is a function of, in the place of the model's.
    read
        The submodule at whose output contributions are read, in the place of the input.
    tried
        Called with what ``after`` takes and returns in a trial of `TRIAL_ROWS` rows, to raise what is wrong.

    Raises
    ------
    UnsupportedOperation
        If the model cannot be traced, or cannot be traced for any number of rows.
    InputError
        If the model does not take inputs of the example's shape, or there is no such submodule.
    """
    if isinstance(model, ExportedProgram):
        if of_layer or read:
            raise _no_layers()
        check_arguments(model, example)
        if after is None:
            with one_capture_at_a_time():
                return graph_of(model, device, dtype)
        model = model.module()
    asked = _Asked(after, of_layer, read, tried)
    try:
        program, changing = _program(model, example, _CPU, dtype, asked)
    except InputError as error:
        # Whatever runs on the host is traced there; only a forward that names a card itself does not.
        if device.type == "cpu" or not says_devices_differ(error):
            raise
        program, changing = _program(model, example, device, dtype, asked)
    with as_found(dtype):
        graph = graph_of(program, device, dtype, layer=read is not None, picked=after is not None)
    if changing is not None:  # a graph of what is random says so, with the line, but Python draws too
        raise changing
    return graph


@dataclass(frozen=True)
class _Asked:
    """What is asked of a model beside its output, as in `capture`; nothing, of a program for others."""

    after: After = None
    of_layer: str | None = None
    read: str | None = None
    tried: Callable[[Any, Any], None] | None = None


def _program(
    model: nn.Module,
    example: tuple[Tensor, ...],
    device: torch.device,
    dtype: torch.dtype,
    asked: _Asked,
) -> tuple[ExportedProgram, UnsupportedOperation | None]:
    """Try a copy of a model on a device, and trace another, since the first may have changed its buffers.

    Returns the program, and an error if the model gives another output when it is called again.
    """
    rows = _as_rows(example, device, dtype)
    changing = _tried_out(model, rows, device, dtype, asked)
    with as_found(dtype):
        traced = _Traced(shadow_module(model, device, dtype), asked)
        return _export(traced, rows, for_others=asked.tried is None), changing


def _tried_out(
    model: nn.Module,
    rows: tuple[Tensor, ...],
    device: torch.device,
    dtype: torch.dtype,
    asked: _Asked,
) -> UnsupportedOperation | None:
    """Run a copy of a model, and raise what is wrong; return an error if it gives another output then."""
    trial = TrialModel(model, device, dtype)
    target = _Traced(trial.module, asked, trial=True)
    called = trial.by_way_of(target)
    first = called.output(*rows, remedy=lambda: _one_sequence(called, rows))
    if asked.tried is not None:
        output = first[0] if isinstance(first, tuple) and target.of_several else first
        if asked.after is not None:
            _check_output(output)
        asked.tried(target.given, output)
    return called.other_when_called_again(rows, first)


def _no_layers() -> InputError:
    return InputError(
        "an exported program has no layers by name",
        where="layer",
        remedy="give the module that it was exported from, or the layer last-convolution",
    )


def _as_rows(example: Sequence[Tensor], device: torch.device, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Return the first row of an example several times."""
    return tuple(
        placed(tensor, device, dtype)[:1].expand(TRIAL_ROWS, *tensor.shape[1:]).clone() for tensor in example
    )


@own_state()
def exported(model: nn.Module | ExportedProgram, example: tuple[Tensor, ...]) -> ExportedProgram:
    """Return ``model`` as a program with a free number of rows, in torch's own operations alone.

    It is what `capture` traces, so that both are explained alike, but for recurrent layers that torch has not
    (under a mask, or with other activations), which are taken apart into their steps. Its weights are in
    float32, or in float64 where they were.

    Raises
    ------
    UnsupportedOperation, InputError
        As `capture` does.
    """
    if isinstance(model, ExportedProgram):
        with warnings.catch_warnings(action="ignore"):
            program = copy.deepcopy(model)
    else:
        double = any(tensor.dtype in (torch.float64, torch.complex128) for tensor in tensors_of_module(model))
        dtype = torch.float64 if double else torch.float32
        program, changing = _program(model, example, _CPU, dtype, _Asked())
        if changing is not None:
            raise changing
    for node in program.graph.nodes:
        if node.op == "call_function":
            node.target = AS_TORCH_HAS_IT.get(node.target, node.target)
    program.graph_module.recompile()
    return program


def _export(traced: nn.Module, example: tuple[Tensor, ...], *, for_others: bool = False) -> ExportedProgram:
    rows = Dim("batch", min=2)
    shapes = (tuple({0: rows} for _ in example),)
    with warnings.catch_warnings(action="ignore"):
        try:
            whole = kept_whole(torchs_alone=for_others)
            with (
                whole,
                whole_traces(),
                masks_as_they_are(),
                rows_in_parts(),
                precision_left_alone(),
                silence(),
            ):
                return torch.export.export(traced, example, dynamic_shapes=shapes, strict=False)
        except InputError:
            raise
        except Exception as error:
            if says_rows_are_fixed(error):
                raise UnsupportedOperation(
                    "the model's forward fixes the number of rows",
                    where=model_line(error),
                    remedy="write x.shape[0] for it, not len(x) or a number",
                ) from error
            if says_generator(error):  # which newer versions of torch keep as a constant
                raise no_tensor("Generator", model_line(error)) from error
            raise UnsupportedOperation(
                f"the model cannot be captured as a graph ({first_line(error)})",
                where=model_line(error),
                remedy="a model's operations may depend on shapes, never on values or on the number of rows",
            ) from error


class _Traced(nn.Module):
    """A copy of a model, the function of its output that is explained, and the layers that are looked at."""

    def __init__(self, model: nn.Module, asked: _Asked, *, trial: bool = False) -> None:
        super().__init__()
        self.model, self.after = model, asked.after
        self.of_layer, self.read = of_layer, read = asked.of_layer, asked.read
        self.seen: dict[str, list[Any]] = {}
        self.trial = trial
        self.given: Any = None
        self.of_several = asked.after is not None or read is not None
        """Whether what is explained is the first of what it returns."""
        for layer in dict.fromkeys(name for name in (of_layer, read) if name is not None):
            if not isinstance(layer, str):
                raise InputError(
                    f"a {type(layer).__name__} is not the name of a layer",
                    where="layer",
                    remedy="name the submodule as model.named_modules() does, or last-convolution",
                )
            module = _submodule(model, layer.partition("#")[0])
            module.register_forward_hook(lambda _, __, output, layer=layer: self._see(layer, output))

    def _see(self, layer: str, output: Any) -> Any:
        """Keep what a layer gives and hand on a copy, which an in-place activation may then write to."""
        own = _copied(output)  # not the output itself: a layer may give its own input
        self.seen[layer].append(own)
        return _copied(own)

    def forward(self, *args: Tensor) -> Any:
        self.seen = {layer: [] for layer in (self.of_layer, self.read) if layer is not None}
        output = self.model(*args)
        seen, self.seen = self.seen, {}  # torch.export wants no tensor left behind
        if self.of_layer is not None:
            output = _call_of(self.of_layer, seen[self.of_layer])
        picked: tuple[Tensor, ...] = ()
        if self.after is not None:
            output = self._tried(self.after, output) if self.trial else self.after(output)
            if isinstance(output, Picked):
                output, picked = output
        if not self.of_several:
            return output
        return output, *(() if self.read is None else (self._value_read(seen),)), *picked

    def _value_read(self, seen: Mapping[str, list[Any]]) -> Tensor:
        assert self.read is not None
        value = _call_of(self.read, seen[self.read])
        if isinstance(value, Tensor):
            return value
        raise InputError(
            f"gives a {type(value).__name__}",
            where=f"layer {self.read}",
            remedy="choose a layer whose output is one tensor",
        )

    def _tried(self, after: Callable[[Any], Tensor | Picked], output: Any) -> Tensor | Picked:
        """Return the target, or say that it is the function which fails, not the model."""
        self.given = _copied(output)  # which the function may write over
        try:
            return after(output)
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"the target function raises {first_line(error)}",
                where=model_line(error),
                remedy="give a function of the model's output that returns one number for each row, (n,)",
            ) from error


def _copied(values: Any) -> Any:
    return tree_map_only(Tensor, torch.clone, values)


def _submodule(model: nn.Module, name: str) -> nn.Module:
    modules = dict(model.named_modules())
    if name in modules and name:
        return modules[name]
    layers = [layer for layer in modules if layer]
    near = get_close_matches(name, layers, 5) or layers[:8]
    raise InputError(
        f"the model has no layer {name!r}",
        where="layer",
        remedy=f"choose a submodule, such as {', '.join(near)}, or last-convolution",
    )


def _call_of(layer: str, outputs: list[Any]) -> Any:
    """Return the output of a layer's one call, or of the k-th where "name#k" is asked for."""
    name, _, number = layer.partition("#")
    if not number and len(outputs) == 1:
        return outputs[0]
    if number.isdecimal() and int(number) < len(outputs):
        return outputs[int(number)]
    if not outputs:
        what, remedy = "is not called by the model's forward", "choose a layer that is"
    else:
        what = f"is called {len(outputs)} times" if len(outputs) > 1 else "is called once"
        remedy = f"choose a call: {', '.join(f'{name}#{k}' for k in range(len(outputs)))}"
    raise InputError(what, where=f"layer {layer}", remedy=remedy)


def _check_output(output: Any) -> None:
    """Raise `InputError` unless a function of a model's output returns one tensor."""
    if not isinstance(output, Tensor):
        raise InputError(
            f"the target function returns a {type(output).__name__}",
            where="target",
            remedy="return a tensor with one number for each row, (n,)",
        )


def _one_sequence(trial: TrialModel, rows: Sequence[Tensor]) -> str | None:
    """Return what to do where one sequence was given as rows: a model takes (row, 4, length)."""
    first, *others = rows
    if first.dim() == 2 and trial.takes(first.new_zeros(len(first), 4, first.shape[1]), *others):
        return ONE_SEQUENCE
    return None
