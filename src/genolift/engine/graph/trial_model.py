"""A copy of a user's model and the one way to run it, for all that asks a model what it takes or gives.

The user's own module is never run, hooked, changed or put in another mode.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from genolift.engine.graph.graph import UnsupportedOperation
from genolift.engine.graph.outputs import tensors_of
from genolift.engine.graph.own_state import one_capture_at_a_time, own_state, process_settings
from genolift.engine.graph.program import inputs_of_program, rows_of_program
from genolift.engine.graph.source import first_line, model_line
from genolift.engine.graph.tracing import one_precision, placed
from genolift.engine.torch_internals import before_compiling, no_autocast, replace_tensors
from genolift.errors import InputError

AS_TRAINED = (
    "give sequences of the length and in the layout that the model was trained on, and its further inputs as "
    "extra_inputs"
)
ONE_SEQUENCE = "give x[None] for one sequence x: the first axis is that of the rows, (1, 4, length)"
_CPU = torch.device("cpu")
_ROUNDING = 1e-5
"""What two calls may differ by through rounding, as a share of the largest value."""


class TrialModel:
    """A copy of a model that is called like it, in evaluation mode, as it runs when it is captured.

    Its inputs are copied, and moved to the copy's device and dtype. Casts to another floating dtype in its
    forward give way to that dtype, as they do in a capture; gradients are off; nothing is compiled; what it
    warns of is not shown. Random numbers go on from call to call, so that a model that draws some gives
    another output when it is called again. torch's own state is left as it was found.

    Parameters
    ----------
    model
        A module as its author wrote it, or an exported program.
    device, dtype
        Where it is run, and in what floating numbers.

    Raises
    ------
    UnsupportedOperation
        If the model cannot be copied.
    InputError
        If its weights have no values.
    """

    def __init__(
        self,
        model: nn.Module | ExportedProgram,
        device: torch.device = _CPU,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.program = model if isinstance(model, ExportedProgram) else None
        self.module = shadow_module(model, device, dtype)
        self.device, self.dtype = device, dtype
        self._called = self.module
        self._random = torch.get_rng_state()

    def by_way_of(self, module: nn.Module) -> TrialModel:
        """Return the same copy, called by way of a module that calls it, or a part of it."""
        other = copy.copy(self)
        other._called, other.program = module, None
        return other

    def __call__(self, *inputs: Tensor) -> Any:
        """Return what the model returns; whatever it raises is passed on."""
        with own_state(), as_found(self.dtype), torch.no_grad(), warnings.catch_warnings(action="ignore"):
            torch.set_rng_state(self._random)
            try:
                return self._called(*(placed(each, self.device, self.dtype).clone() for each in inputs))
            finally:
                self._random = torch.get_rng_state()

    def takes(self, *inputs: Tensor) -> bool:
        """Whether the model runs on some inputs."""
        with suppress(Exception):
            self(*inputs)
            return True
        return False

    def output(self, *inputs: Tensor, remedy: Callable[[], str | None] = lambda: None) -> Any:
        """Return what the model returns.

        Parameters
        ----------
        remedy
            What to do, asked for where the model does not take the inputs; it may return None.

        Raises
        ------
        InputError
            If it does not take the inputs, saying their shapes, what the model says, and at which line.
        """
        try:
            if self.program is not None:
                check_arguments(self.program, inputs)
            return self(*inputs)
        except InputError as error:
            if error.remedy != AS_TRAINED:
                raise
            raise InputError(error.what, where=error.where, remedy=remedy() or AS_TRAINED) from error
        except ImportError as error:
            raise not_imported(error) from error
        except Exception as error:
            raise InputError(
                f"the model does not take an input of shape {shapes_in_words(inputs)}: {first_line(error)}",
                where=model_line(error),
                remedy=remedy() or AS_TRAINED,
            ) from error

    def other_when_called_again(self, inputs: Sequence[Tensor], first: Any) -> UnsupportedOperation | None:
        """Call the model again; if ``first`` changes, return an error with the first layer that changes."""
        change = _change(first, self(*inputs))
        if not change:
            return None
        layer = self._changing_layer(inputs)
        return UnsupportedOperation(
            f"the model gives another output when called again (by {change:.2g})",
            where=f"model, layer {layer}" if layer else "model",
            remedy="it draws at random or changes its own state when predicting; mend its forward",
        )

    def _changing_layer(self, inputs: Sequence[Tensor]) -> str | None:
        """Return the innermost layer that is first to give another output when called again, if any does."""
        seen: list[list[tuple[str, Any]]] = []

        def see(name: str, layer: nn.Module) -> Any:
            called = f"{name} ({type(layer).__name__})"
            return layer.register_forward_hook(lambda _module, _, output: seen[-1].append((called, output)))

        with ExitStack() as hooks:
            for name, layer in self.module.named_modules():
                if name:
                    hooks.enter_context(see(name, layer))
            for _ in range(2):
                seen.append([])
                self(*inputs)
        return next(
            (name for (name, one), (_, other) in zip(*seen, strict=False) if _change(one, other)), None
        )


def check_arguments(program: ExportedProgram, inputs: Sequence[Tensor]) -> None:
    """Raise `InputError` if a program takes other arguments, or one number of rows alone."""
    wanted = [value for value in inputs_of_program(program).values() if isinstance(value, Tensor)]
    fits = len(inputs) == len(wanted) and all(map(_fits, inputs, wanted))
    if not fits:
        one_sequence = bool(wanted) and tuple(wanted[0].shape[1:]) == (4, *inputs[0].shape[1:])
        raise InputError(
            f"the exported program takes {shapes_in_words(wanted)}, and is given {shapes_in_words(inputs)}",
            where="model",
            remedy=ONE_SEQUENCE if one_sequence else AS_TRAINED,
        )
    rows_of_program(program)


def _fits(given: Tensor, wanted: Tensor) -> bool:
    """Whether a tensor has the shape of what stands for it in a program, but for sizes that are free."""
    pairs = zip(given.shape[1:], wanted.shape[1:], strict=False)
    return given.dim() == wanted.dim() and all(a == b for a, b in pairs if isinstance(b, int))


def not_imported(error: ImportError) -> InputError:
    """Return what to say of a forward that imports a module that is not there."""
    return InputError(
        f"the model's forward cannot import what it needs: {first_line(error)}",
        where=model_line(error),
        remedy="install the module, or put its file beside the one that imports it",
    )


def shapes_in_words(tensors: Sequence[Tensor]) -> str:
    """Return shapes in which the number of rows is n, such as "(n, 4, 200) and (n, 3)"."""
    return " and ".join(
        f"(n, {', '.join(map(str, each.shape[1:]))})" if each.dim() > 1 else "(n,)" for each in tensors
    )


@contextmanager
def as_found(dtype: torch.dtype) -> Iterator[None]:
    """One thread at a time: make tensors in ``dtype``, compile nothing, leave dtype and random state."""
    with (
        process_settings(dtype),
        one_capture_at_a_time(),
        one_precision(dtype),
        no_autocast(),
        torch.compiler.set_stance("force_eager"),
        torch.random.fork_rng(devices=[]),
    ):
        yield


def _change(one: Any, other: Any) -> float:
    """Return by how much what a model returns differs in two calls; infinity where shapes do.

    What is rounding counts for none: a GPU may sum in another order at each call.
    """
    for before, after in zip(tensors_of(one), tensors_of(other), strict=False):
        if before.shape != after.shape:
            return torch.inf
        x, y = (torch.view_as_real(each) if each.is_complex() else each.double() for each in (before, after))
        finite = x[torch.isfinite(x)].abs()
        rounding = _ROUNDING * float(finite.max()) if before.is_floating_point() and finite.numel() else 0.0
        if not torch.allclose(x, y, rtol=0, atol=rounding, equal_nan=True):
            return float((x - y).abs().max())
    return 0.0


def shadow_module(model: nn.Module | ExportedProgram, device: torch.device, dtype: torch.dtype) -> nn.Module:
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
        with warnings.catch_warnings(action="ignore"):
            shadow = copy.deepcopy(model, memo)
    except Exception as error:
        raise UnsupportedOperation(
            f"the model cannot be copied ({first_line(error)})",
            where=type(model).__name__,
            remedy="keep only modules, tensors and plain values as its attributes, or export it first",
        ) from error
    with suppress(NotImplementedError):  # an exported program's module has the mode that it was exported in
        shadow.eval()
    # Only now: a model's own eval() may make tensors, such as half-precision copies of weights.
    for module in shadow.modules():
        for name, value in vars(module).items():
            if isinstance(value, Tensor):
                setattr(module, name, placed(value, device, dtype))
    replace_tensors(shadow, lambda tensor: placed(tensor, device, dtype))
    return shadow


def unwrapped(model: nn.Module | ExportedProgram) -> nn.Module:
    """Return the module of an exported program, or within a torch.compile or a parallel wrapper."""
    if isinstance(model, ExportedProgram):
        return model.module()
    if isinstance(model, torch.jit.ScriptModule):
        raise UnsupportedOperation(
            "a TorchScript module cannot be traced",
            where="model",
            remedy="load the module that it was made from, or export that with torch.export",
        )
    if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        return unwrapped(model.module)
    inner = before_compiling(model)
    return model if inner is None else unwrapped(inner)


def tensors_of_module(model: nn.Module) -> Iterator[Tensor]:
    """Yield parameters, buffers, and tensors that are plain attributes."""
    yield from model.parameters()
    yield from model.buffers()
    for module in model.modules():
        yield from (value for value in vars(module).values() if isinstance(value, Tensor))
