"""What is wrong with a model, seen on two sequences before long work. Reads and prints nothing.

A copy of the model is run, in evaluation mode; the user's own is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from genolift.engine.graph.capture import AS_TRAINED, not_imported
from genolift.engine.graph.determinism import check_same
from genolift.engine.graph.outputs import tensors_of
from genolift.engine.graph.own_state import own_state
from genolift.engine.graph.source import first_line, model_line
from genolift.engine.graph.trial_model import TrialModel, trial_model
from genolift.errors import InputError
from genolift.explain.explainer import Explainer, Model
from genolift.inspection.trial import find_layout
from genolift.models.layout import Laid
from genolift.settings.model import AXES
from genolift.targets.outputs import outputs_by_name

_RANDOM = 30
"""Random sequences that a target is looked at on, too: of two sequences it may be the same by chance."""
_CPU = torch.device("cpu")
_MOST_EXTRA_CHANNELS = 8


@own_state()
def check_model(
    model: Model,
    onehot: Tensor,
    held: Sequence[Tensor],
    names: Sequence[str],
    device: torch.device = _CPU,
) -> None:
    """Run a model twice on some sequences and raise the first thing that is wrong.

    Parameters
    ----------
    model
        Takes (row, 4, position) and what is held.
    onehot
        float (row, 4, position), two rows or more.
    held
        What the model takes behind the bases, rows first.
    names
        Of the rows, for messages.
    device
        Where to run it.

    Raises
    ------
    InputError
        If the model does not take inputs of this shape (with the layout that it takes, where one is found),
        an output is NaN or infinite, or a second call gives another output (`UnsupportedOperation`).
    """
    trial = trial_model(model, device)
    inputs = (onehot, *held)
    try:
        first = trial(*inputs)
    except InputError:
        raise
    except Exception as error:
        raise _not_taken(trial, inputs, error) from error
    _check_finite(first, names)
    check_same(trial, trial.module, inputs, first)


@own_state()
def check_target(explainer: Explainer, onehot: Tensor, held: Sequence[Tensor]) -> None:
    """Raise `InputError` if what is explained is the same for some sequences and for random ones.

    Arguments as in `check_model`; what is held of the first sequence goes with the random ones.
    """
    random = torch.Generator().manual_seed(0)
    first = None
    for number in range(len(onehot) + _RANDOM):  # one by one, since few are looked at, and one may be long
        if number < len(onehot):
            rows = [tensor[number : number + 1] for tensor in (onehot, *held)]
        else:
            codes = torch.randint(4, (1, onehot.shape[2]), generator=random)
            other = nn.functional.one_hot(codes, 4).transpose(1, 2).to(onehot.dtype)
            rows = [other, *(tensor[:1] for tensor in held)]
        value = _target_of(explainer, rows)
        first = value if first is None else first
        if value != first:
            return
    raise InputError(
        f"the target is {first:.6g} for every sequence, of the analysis and random",
        where="model",
        remedy="check that these are its trained weights, and that the target is the output that you mean",
    )


def _target_of(explainer: Explainer, rows: Sequence[Tensor]) -> float:
    runner = explainer.runner
    with torch.no_grad():
        activations = runner.forward(tuple(runner.placed(row) for row in rows), carry=False)
        return float(explainer.target.of(runner.output(activations))[0])


def _check_finite(output: Any, names: Sequence[str]) -> None:
    for name, value in outputs_by_name(output).items():
        for values in tensors_of(value):
            bad = ~torch.isfinite(values.reshape(len(values), -1) if values.dim() else values.reshape(1, 1))
            if bool(bad.any()):
                row = int(bad.any(1).nonzero()[0])
                raise InputError(
                    f"the model's output{f' {name}' if name else ''} is {_bad(values[row])}",
                    where=f"sequence {names[row]}",
                    remedy="check its weights, and that the sequences are what it was trained on",
                )


def _bad(values: Tensor) -> str:
    return "NaN" if bool(torch.isnan(values).any()) else "infinite"


def _not_taken(trial: TrialModel, inputs: Sequence[Tensor], error: Exception) -> InputError:
    """Return what to say of an input that a model does not take, with a layout that it does."""
    if isinstance(error, ImportError):
        return not_imported(error)
    shapes = " and ".join(_shown(tensor) for tensor in inputs)
    return InputError(
        f"the model does not take an input of shape {shapes}: {first_line(error)}",
        where=model_line(error),
        remedy=_mend(trial, inputs) or AS_TRAINED,
    )


def _mend(trial: TrialModel, inputs: Sequence[Tensor]) -> str | None:
    copied = trial.module
    own, set_to = trial, None
    alphabet, extra, onehot, held = "ACGT", 0, inputs[0], list(inputs[1:])
    if isinstance(copied, Laid):
        own, set_to = trial.around(lambda _: copied.model), ",".join(copied.axes)
        alphabet, extra = copied.letters, copied.extra_channels
    channels_too = 1 + bool(extra)
    if len(inputs) > channels_too and _runs(trial, inputs[:channels_too]):
        return "the model takes no further input: leave extra_inputs out"
    for axes in AXES:
        if axes != set_to and _runs(_laid(own, axes, alphabet, extra), inputs):
            return f'the model takes another layout: set model.axes: "{axes}"'
    for axes in dict.fromkeys((set_to or AXES[0], *AXES)):
        for more in range(_MOST_EXTRA_CHANNELS + 1):
            channels = onehot.new_zeros(len(onehot), more, onehot.shape[2])
            given = (onehot, *((channels,) if more else ()), *held[bool(extra) :])
            if more != extra and _runs(_laid(own, axes, alphabet, more), given):
                where = "" if axes == (set_to or AXES[0]) else f' with model.axes: "{axes}"'
                unknown = f", or set model.alphabet: {alphabet}N" if more == extra + 1 else ""
                return (
                    f"the model takes {len(alphabet) + more} channels{where}, {len(alphabet)} of them bases: "
                    f"give {more} as extra_channels, not {extra}{unknown}"
                )
    return None if extra else _lengths(own, set_to or AXES[0], len(alphabet), held)


def _laid(own: TrialModel, axes: str, alphabet: str, extra_channels: int) -> TrialModel:
    return own.around(lambda module: Laid(module, axes, alphabet, extra_channels))


def _lengths(own: TrialModel, axes: str, channels: int, held: Sequence[Tensor]) -> str | None:
    """Return in words the lengths that a model takes, found by trial; None where none is."""
    with suppress(InputError):
        found = find_layout(lambda x: own(x, *held), channels, axes=axes, length=None, found="trial").length
        if found.largest is None:
            return f"the model takes {found.smallest} bases or more: give longer sequences"
        most = "" if found.largest == found.smallest else f" to {found.largest}"
        return f"the model takes {found.smallest}{most} bases: give sequences, or input_length, of as many"
    return None


def _runs(trial: TrialModel, inputs: Sequence[Tensor]) -> bool:
    with suppress(Exception):
        trial(*inputs)
        return True
    return False


def _shown(tensor: Tensor) -> str:
    return "(n" + "".join(f", {size}" for size in tensor.shape[1:]) + ")"
