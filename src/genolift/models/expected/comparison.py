"""Whether a model gives the same outputs as its author's own framework.

The sum of contributions only checks a model against itself: if the model was read wrongly, only outputs from
elsewhere show it.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genolift.engine.graph.outputs import check_finite
from genolift.engine.graph.own_state import own_state
from genolift.engine.graph.trial_model import TrialModel
from genolift.errors import InputError, within
from genolift.models import Model
from genolift.models import load_model as loaded_model
from genolift.models.expected.answers import Output, outputs_of, read_answers
from genolift.models.expected.arguments import arguments_of
from genolift.models.expected.given import Given, read_given
from genolift.results.agreement import Agreement
from genolift.settings.extra_inputs import Extras
from genolift.settings.model import Expect, ModelSpec, is_rna
from genolift.targets.targets import task_names

_BATCH_BASES = 2**16
"""Bases of the inputs that are run together."""
_NO_EXTRAS = Extras()


def load_model(spec: str | Path | Mapping[str, Any] | ModelSpec) -> Model:
    """Return the model of a path or of a config's ``model:`` section, in evaluation mode, on the CPU.

    If the section has ``expect``, the model is compared with its author's outputs.

    Parameters
    ----------
    spec
        A path, or a mapping with the keys of `ModelSpec`.

    Raises
    ------
    InputError
        As `genolift.models.load_model` and `check_expected`.
    """
    spec = ModelSpec.of(spec)
    model = loaded_model(spec)
    check_expected(model, spec)
    return model


@own_state()
def check_expected(model: Model, spec: ModelSpec, extras: Extras = _NO_EXTRAS) -> Agreement | None:
    """Compare a model's outputs with those of its author; return None if ``spec`` names none.

    A copy is run on the CPU, in float32, on the sequences that the user gives.

    Parameters
    ----------
    model
        From `genolift.models.load_model`.
    spec
        What the model was loaded from, with ``expect``.
    extras
        The analysis's extra inputs, used if the user's file has none.

    Raises
    ------
    InputError
        If a file is missing, damaged or does not fit the model, or an output differs by more than the
        tolerance, saying by how much, where, and on which sequence.
    """
    expect = spec.expect
    if expect is None:
        return None
    shared = Path(expect.inputs).resolve() == Path(expect.outputs).resolve()
    arguments = arguments_of(model, spec)
    given = read_given(expect.inputs, arguments, extras, rna=is_rna(spec.alphabet), shared=shared)
    with within(f"model.expect.inputs: {expect.inputs}"):
        ours = _outputs(TrialModel(model), given)
    if not ours:
        raise InputError(
            "the model returns no tensor", where="model", remedy="have its forward return its outputs"
        )
    theirs = read_answers(expect.outputs, given, ours, task_names(model), shared=shared)
    errors = [_error(one.values, answer.values) for one, answer in zip(ours, theirs, strict=True)]
    for place, error in enumerate(errors):
        if not error.max() <= expect.tolerance:
            raise _disagreement(place, ours, theirs, given, expect)
    return Agreement(len(given.with_n), len(ours), max(float(error.max()) for error in errors))


def _outputs(trial: TrialModel, given: Given) -> list[Output]:
    """Run a model, a few sequences at a time, and return its outputs that have a row for each sequence."""
    n, length = len(given.inputs[0]), given.inputs[0].shape[2]
    step = max(1, _BATCH_BASES // max(1, length))
    parts: list[list[tuple[tuple[str, ...], Tensor]]] = []
    for start in range(0, n, step):
        rows = tuple(tensor[start : start + step] for tensor in given.inputs)
        output = trial.output(*rows, remedy=lambda: "give all the inputs of the author's model")
        named = list(outputs_of(output))
        parts.append([(names, values) for names, values in named if values.shape[:1] == rows[0].shape[:1]])
        if named and not parts[-1]:
            raise InputError(
                "no output of the model has a row for each sequence",
                where="model",
                remedy="have its forward return outputs whose first axis is that of the sequences",
            )
    found = []
    for each in zip(*parts, strict=True):
        names, whole = each[0][0], torch.cat([values for _, values in each])
        check_finite(whole, given.called, names[0] if names else "")
        found.append(Output(names, whole.double().numpy()))
    return found


def _error(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each sequence's largest difference, as a share of the largest of the author's values."""
    largest = np.abs(theirs).max(initial=0.0)
    apart = np.abs(ours - theirs).reshape(len(theirs), -1).max(1, initial=0.0)
    return apart / largest if largest else np.where(apart, np.inf, 0.0)


def _disagreement(
    place: int, ours: Sequence[Output], theirs: Sequence[Output], given: Given, expect: Expect
) -> InputError:
    values, answer = ours[place].values, theirs[place]
    error = _error(values, answer.values)
    row = int(error.argmax())
    apart = np.abs(values[row] - answer.values[row])
    at = np.unravel_index(int(apart.argmax()), apart.shape)
    element = f"[{', '.join(map(str, at))}]" if len(at) and values[row].size > 1 else ""
    others = int((error > expect.tolerance).sum()) - 1
    more = f", as on {others} more of {len(error)} sequences" if others else ""
    size = f"off by {error[row]:.2g} of the largest" if np.isfinite(error[row]) else "all of these are 0"
    return InputError(
        f"on {given.called(row)} the model's output{ours[place].called}{element} is "
        f"{values[row][at]:.6g}, the author's {answer.names[0]}{element} {answer.values[row][at]:.6g}: "
        f"{size}, over the tolerance of {expect.tolerance:g}{more}",
        where=f"model.expect.outputs: {expect.outputs}",
        remedy=_mend(place, ours, theirs, given, expect.tolerance),
    )


def _mend(
    place: int, ours: Sequence[Output], theirs: Sequence[Output], given: Given, tolerance: float
) -> str:
    """Return a simple change that makes the outputs agree, if there is one."""
    values, answer = ours[place].values, theirs[place]

    def agrees(found: NDArray[np.float64], other: NDArray[np.float64] = answer.values) -> bool:
        return found.shape == other.shape and bool((_error(found, other) <= tolerance).all())

    for output in ours:
        if output is not ours[place] and agrees(output.values):
            return f"{answer.names[0]} is the model's output{output.called}: give the array that name"
    for name, function in _ACTIVATIONS.items():
        if agrees(function(torch.from_numpy(values)).numpy()):
            return f"the author's is the {name} of the model's: give outputs without it, or a model with it"
        if agrees(function(torch.from_numpy(answer.values)).numpy(), values):
            return f"the model's is the {name} of the author's: give outputs with it, or a model without it"
    with_n = given.with_n
    if with_n.any() and not with_n.all() and agrees(values[~with_n], answer.values[~with_n]):
        if not given.arrays:
            return (
                "the sequences without N agree: genolift has zeros for an N; leave out those with N, here "
                "and in the analysis (sequences.max_n_fraction: 0), or give model.alphabet its N"
            )
        return (
            "the sequences without an empty position agree: the author's framework masks those, or pads in "
            "another way; leave out such sequences, here and in the analysis (sequences.max_n_fraction: 0)"
        )
    return (
        "check that the model's file, its settings and these outputs are of one model, run in evaluation "
        "mode (model.eval(), model.predict); if they are, genolift reads the model wrongly: report it, and "
        "do not explain it"
    )


_ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "softmax": lambda values: values.softmax(1) if values.dim() > 1 else values,
    "exponential": torch.exp,
}
"""Last operations of a model, which authors often leave out when they save it."""
