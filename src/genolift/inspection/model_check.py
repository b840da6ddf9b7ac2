"""What is wrong with a model, found on two sequences before anything long begins.

A copy of the model is run, in evaluation mode; the user's own model is not changed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genolift.data.alphabet import BASES
from genolift.data.stored_tensors import random_onehot
from genolift.engine.devices import chosen_device
from genolift.engine.graph.outputs import check_finite, tensors_of
from genolift.engine.graph.own_state import own_state
from genolift.engine.graph.trial_model import TrialModel
from genolift.engine.run.given import Explained
from genolift.errors import InputError
from genolift.explain.captured import CaptureKey
from genolift.explain.explainer import Explainer, Model
from genolift.inspection.handing_on import HandOver
from genolift.inspection.trial import find_layout
from genolift.models.expected import check_expected
from genolift.models.layout import Laid
from genolift.results.agreement import Agreement
from genolift.settings.extra_inputs import Extras
from genolift.settings.model import AXES, ModelSpec
from genolift.targets.outputs import outputs_by_name

_RANDOM = 30
"""Random sequences on which the target is computed too: for two sequences it may be equal by chance."""
_ROUNDING = 2e-6
"""A difference of the target that is no more, relative to what it sums, is one of rounding in float32."""
_CPU = torch.device("cpu")
_MOST_EXTRA_CHANNELS = 8
_SIZE = re.compile(r"\d{1,7}")
_MOST_SIZES, _LONGEST = 8, 2**20
"""Sizes of a model's message that are tried, and the largest."""


Rows = tuple[Tensor, tuple[Tensor, ...], list[str]]
"""Sequences, float (row, 4, position), their extra inputs, and their names for messages."""


@dataclass(frozen=True)
class Checked:
    """A model that has been checked, as `load_model` returns it, and what it was captured as."""

    model: Model
    explainer: Explainer
    events: tuple[tuple[torch.Size, torch.dtype], ...]
    """Of the inputs that it was captured with, as `CaptureKey` has them."""
    agreement: Agreement | None
    """How close it is to its author's outputs, where they are given."""
    over: HandOver | None = None
    """Where it is to be handed on."""
    anew: bool = True
    """Whether it was captured, not taken from there."""

    def hand_on(self, spec: ModelSpec) -> None:
        """Hand on what was captured, and what was taken if it has gone since."""
        if self.over is not None and (self.anew or not self.over.is_there(self.explainer)):
            self.over.give(self.model, spec, self.explainer, self.agreement)


def checked_model(
    model: Model, spec: ModelSpec, extras: Extras, rows: Rows, captures: Path | None = None, **how: Any
) -> Checked:
    """Check a model on some sequences, and capture it, before anything long begins.

    Parameters
    ----------
    model, spec
        From `genolift.models.load_model`, and what it was loaded from.
    extras
        The analysis's extra inputs.
    rows
        Two sequences or more.
    captures
        The folder from which it is taken if it was captured before, and where it can be handed on.
    how
        The other arguments of `Explainer`.

    Raises
    ------
    InputError
        For the first thing that is wrong: as `check_model`, `Explainer`, `check_expected` and `check_target`.
    """
    onehot, beside, names = rows
    check_model(model, onehot, beside, names, chosen_device(how.get("device")))
    over = None if captures is None else HandOver(captures, spec, (onehot, *beside), how)
    taken = None if over is None else over.taken(model)
    explainer = taken[0] if taken else Explainer(model, onehot, extra_inputs=beside, **how)
    agreement = check_expected(model, spec, extras)
    check_target(explainer, onehot, beside)
    events = CaptureKey.events_of((onehot, *beside))
    return Checked(model, explainer, events, agreement, over, anew=taken is None)


@own_state()
def check_model(
    model: Model,
    onehot: Tensor,
    extras: Sequence[Tensor],
    names: Sequence[str],
    device: torch.device = _CPU,
) -> Any:
    """Run a model on some sequences and return its output, or raise the first thing that is wrong.

    Whether it gives the same output when called again is checked when it is captured.

    Parameters
    ----------
    model
        Takes (row, 4, position) and its extra inputs.
    onehot
        float (row, 4, position), two rows or more.
    extras
        The model's extra inputs, rows first.
    names
        Of the rows, for messages.
    device
        Where to run it.

    Raises
    ------
    InputError
        If the model does not take inputs of this shape (naming a layout that it takes, if one is found), or
        an output is NaN or infinite.
    """
    trial = TrialModel(model, device)
    inputs = (onehot, *extras)
    output = trial.output(*inputs, remedy=lambda: _mend(trial, inputs))
    check_values(output, names)
    return output


@own_state()
def check_target(explainer: Explainer, onehot: Tensor, extras: Sequence[Tensor]) -> None:
    """Raise `InputError` if a target is the same for some sequences and for random ones.

    Arguments as in `check_model`; the extra inputs of the first sequence go with the random ones.
    """
    same = dict(zip(explainer.target_names, explainer.targets, strict=True))
    first: dict[str, float] = {}
    for number in range(len(onehot) + _RANDOM):  # one by one, since few are needed, and one may be long
        if number < len(onehot):
            rows = [tensor[number : number + 1] for tensor in (onehot, *extras)]
        else:
            other = random_onehot(1, onehot.shape[2], seed=number).to(onehot.dtype)
            rows = [other, *(tensor[:1] for tensor in extras)]
        for name, (value, size) in _values_of(explainer, same, rows).items():
            if abs(value - first.setdefault(name, value)) > _ROUNDING * size:
                del same[name]
        if not same:
            return
    name = next(iter(same))
    called = "the target" if len(explainer.targets) == 1 else f"the target {name}"
    raise InputError(
        f"{called} is {first[name]:.6g} for every sequence, of the analysis and random",
        where="model",
        remedy="check that these are its trained weights, and that the target is the output that you mean",
    )


def _values_of(
    explainer: Explainer, targets: Mapping[str, Explained], rows: Sequence[Tensor]
) -> dict[str, tuple[float, float]]:
    """Return each target for one sequence, and the size of what it is the sum of."""
    runner = explainer.runner
    with torch.no_grad():
        output = runner.output(runner.forward(tuple(runner.placed(row) for row in rows), carry=False))
        return {
            name: (float(target.of(output)[0]), float((target.seed(output, 1) * output).abs().sum()))
            for name, target in targets.items()
        }


def check_values(output: Any, names: Sequence[str]) -> None:
    """Raise `InputError` if a value that a model returns is NaN or infinite; ``names`` are the rows'."""
    for name, value in outputs_by_name(output).items():
        for values in tensors_of(value):
            by_row = values if values.dim() and len(values) == len(names) else values.reshape(1, -1)
            check_finite(by_row, lambda row: f"sequence {names[row]}", name)


def _mend(trial: TrialModel, inputs: Sequence[Tensor]) -> str | None:
    """Return which layout, channels or length a model takes, if it does not take the inputs."""
    laid = trial.module if isinstance(trial.module, Laid) else None
    own = trial.module if laid is None else laid.model
    set_to = None if laid is None else ",".join(laid.axes)
    alphabet, extra = (BASES, 0) if laid is None else (laid.letters, laid.extra_channels)
    usual = set_to or AXES[0]
    onehot, further = inputs[0], inputs[1 + bool(extra) :]

    def takes(axes: str, channels: int, given: Sequence[Tensor]) -> bool:
        return trial.by_way_of(Laid(own, axes, alphabet, channels)).takes(*given)

    if further and trial.takes(*inputs[: 1 + bool(extra)]):
        return "the model takes no further input: leave extra_inputs out"
    for place, shape in _other_shapes(trial, inputs, 1 + bool(extra)):
        width = f", which for bigWigs is width: {shape[1]}" if len(shape) == 2 else ""
        return f"the model takes extra_inputs[{place}] with another shape: give it {list(shape)}{width}"
    for axes in AXES:
        if axes != set_to and takes(axes, extra, inputs):
            return f'the model takes another layout: set model.axes: "{axes}"'
    for axes in dict.fromkeys((usual, *AXES)):
        for more in range(_MOST_EXTRA_CHANNELS + 1):
            channels = onehot.new_zeros(len(onehot), more, onehot.shape[2])
            if more != extra and takes(axes, more, (onehot, *((channels,) if more else ()), *further)):
                where = "" if axes == usual else f' with model.axes: "{axes}"'
                unknown = f", or set model.alphabet: {alphabet}N" if more == extra + 1 else ""
                return (
                    f"the model takes {len(alphabet) + more} channels{where}, {len(alphabet)} of them bases: "
                    f"give {more} as extra_channels, not {extra}{unknown}"
                )
    return None if extra else _lengths(trial.by_way_of(own), usual, len(alphabet), further)


def _other_shapes(
    trial: TrialModel, inputs: Sequence[Tensor], first: int
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield shapes that a model would take of a further input, each with the input's place behind ``first``.

    One size is another: one that the model's error names, or that differs by as much as two of them.
    """
    try:
        trial(*inputs)
    except Exception as error:
        named = sorted({int(size) for size in _SIZE.findall(str(error))})[:_MOST_SIZES]
    else:
        return
    for number, one in list(enumerate(inputs))[first:]:
        for axis, size in list(enumerate(one.shape))[1:]:
            others = [*named, *(size + a - b for a in named for b in named)]
            for other in dict.fromkeys(other for other in others if 0 < other <= _LONGEST and other != size):
                shape = (*one.shape[:axis], other, *one.shape[axis + 1 :])
                if trial.takes(*inputs[:number], one.new_zeros(shape), *inputs[number + 1 :]):
                    yield number - first, shape[1:]


def _lengths(own: TrialModel, axes: str, channels: int, extras: Sequence[Tensor]) -> str | None:
    """Return in words the lengths that a model takes, found by trial; None if it takes none."""
    with suppress(InputError):
        found = find_layout(lambda x: own(x, *extras), channels, axes=axes, length=None, found="trial").length
        if found.largest is None:
            return f"the model takes {found.smallest} bases or more: give longer sequences"
        most = "" if found.largest == found.smallest else f" to {found.largest}"
        return f"the model takes {found.smallest}{most} bases: give sequences, or input_length, of as many"
    return None
