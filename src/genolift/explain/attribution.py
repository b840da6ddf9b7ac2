"""The public attribution functions. What they share is in explainer.py. Prints nothing."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypedDict, Unpack, overload

import numpy as np
import torch
from torch import Tensor

from genolift.engine.devices import chosen_device
from genolift.engine.graph.own_state import own_state
from genolift.engine.graph.trial_model import unwrapped
from genolift.engine.plan import Plan
from genolift.engine.rules.composites import GENOMICS_DEFAULT
from genolift.engine.run.given import as_tensor
from genolift.engine.run.job import Path
from genolift.errors import InputError
from genolift.explain.explainer import Explainer, Model, References
from genolift.explain.result import Attribution
from genolift.explain.several_inputs import joined_references, one_sequence_of_each_told
from genolift.targets.joined import Joined, Piece, joined
from genolift.targets.targets import Target, one_target, task_names

__all__ = [
    "Attribution",
    "Explainer",
    "Model",
    "References",
    "chosen_device",
    "deeplift",
    "integrated_gradients",
    "path_points",
    "plan",
]

_LOG = logging.getLogger("genolift")


class Options(TypedDict, total=False):
    """The keyword arguments of `deeplift` that do not change the type of its result."""

    rule: str
    layer: str | None
    keep_final_activation: bool
    extra_inputs: tuple[Tensor, ...]
    keep_multipliers: bool
    batch_size: int | None
    device: str | torch.device | None
    precision: str
    progress: bool | Callable[[int], None]


_CAPTURED_AS = ("rule", "layer", "keep_final_activation", "extra_inputs", "device", "precision")
_RUN_AS = ("extra_inputs", "keep_multipliers", "batch_size", "progress")


def divided(arguments: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return which of a method's arguments, but the target, a model is captured with, and which it runs with.

    A method gives its ``locals()``: so each keyword stands in its signature alone.
    """
    captured_as = {name: arguments[name] for name in _CAPTURED_AS if name in arguments}
    return captured_as, {name: arguments[name] for name in _RUN_AS if name in arguments}


@overload
def deeplift(
    model: Model, inputs: Tensor, references: References, *, target: Target = 0, **options: Unpack[Options]
) -> Attribution: ...
@overload
def deeplift(
    model: Model, inputs: Tensor, references: References, *, target: list[Any], **options: Unpack[Options]
) -> list[Attribution]: ...
@overload
def deeplift(
    model: Model,
    inputs: tuple[Tensor, ...],
    references: tuple[References, ...],
    *,
    target: Target = 0,
    **options: Unpack[Options],
) -> tuple[Attribution, ...]: ...
@own_state()
def deeplift(
    model: Model,
    inputs: Any,
    references: Any,
    *,
    rule: str = GENOMICS_DEFAULT,
    target: Any = 0,
    layer: str | None = None,
    keep_final_activation: bool = False,
    extra_inputs: tuple[Tensor, ...] = (),
    keep_multipliers: bool = False,
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    precision: str = "float32",
    progress: bool | Callable[[int], None] = False,
) -> Attribution | list[Attribution] | tuple[Attribution, ...]:
    """Return the DeepLIFT contributions of every base to a model's output.

    Parameters
    ----------
    model
        The model as its author wrote it, or an exported program with a dynamic first axis. It is not
        changed, hooked or put in another mode; it is explained as in evaluation mode.
    inputs
        (n, *event); for DNA (n, 4, length) one-hot in the order A C G T, zero at an N. Or a tuple of several,
        the model's first arguments, that contributions are computed for together.
    references
        What the inputs are compared with: (n, r, *event); or (r, *event), the same r for every input; or a
        reference of `genolift.references`, or a function of your own that makes either of some of the inputs,
        (some, *event). For a tuple of inputs, a tuple with those of each.
    rule
        "rescale", "revealcancel", "genomics-default" (Rescale on an activation fed by a convolution,
        RevealCancel on one fed by a dense layer), "gradient", "guided-backprop", "deconvnet" or
        "lrp-epsilon". Only the first three promise a sum.
    target
        The column of a (n, tasks) output, a task's name, or text such as "[3, sum(:)]" or "head[1] - head[0]"
        (docs/targets.md); "counts", "profile" or "profile-free-weights" of a profile model;
        `genolift.targets.layer`, a unit of a submodule; or a function of the output that returns (n,). A
        final sigmoid or softmax is stepped over: the logit is explained, of a softmax less the mean over
        classes. A function of the output is explained as it is. Several in a list share one forward pass, and
        have a backward pass each.
    layer
        Where contributions are read in place of the input: a submodule, as ``model.named_modules()`` names
        it ("name#k" the k-th of its calls, from 0), or "last-convolution". Contributions are then of the
        layer's units, (n, *layer event); they sum to the output difference if nothing bypasses the layer.
    keep_final_activation
        Explain the output of a final sigmoid or softmax, not its logit.
    extra_inputs
        Further arguments of the model, (n, ...), held the same in input and reference.
    keep_multipliers
        Return the multipliers of every pair.
    batch_size
        Sequence-reference pairs computed at a time, on a CPU by each core; None chooses it from the memory
        there is.
    device
        Where to compute; None takes a GPU where there is one. A CPU is used with torch's number of threads.
    precision
        "float32", "float64", "tf32" (a GPU's matrix units), or "bfloat16" for weighted layers.
    progress
        Show a progress bar, or a function called with the number of pairs done since the last call.

    Returns
    -------
    Attribution
        A list of them, in order, for a list of targets; a tuple, one for each input with the convergence
        error of all together, for a tuple of inputs.

    Raises
    ------
    UnsupportedOperation
        If the model holds an operation that no exact rule is known for; before anything is computed.
    InputError
        If shapes do not fit each other or the model, a value is NaN, or an argument has no such choice.

    Notes
    -----
    Shrikumar, Greenside & Kundaje 2017, "Learning Important Features Through Propagating Activation
    Differences" (arXiv 1704.02685), sections 3.1 to 3.6.
    """
    captured_as, run_as = divided(locals())
    captured_as["target"] = target
    if isinstance(inputs, tuple):
        return _deeplift_of_several(model, inputs, references, captured_as, run_as)
    explainer = Explainer(model, inputs, **captured_as)
    each = explainer.explain_each(inputs, references, **run_as)
    _warn_of_equal_references(inputs, references, each[0][0])
    return [result[0] for result in each] if isinstance(target, (list, tuple)) else each[0][0]


def _warn_of_equal_references(inputs: Any, references: Any, result: Attribution) -> None:
    """Warn of sequences that equal all their references, so that contributions say nothing of them."""
    inputs = as_tensor(inputs, "inputs")
    zero = ~result.contributions.reshape(len(inputs), -1).any(1)
    equal = []
    for row in zero.nonzero()[:, 0].tolist():
        one = inputs[row : row + 1]
        given = as_tensor(references(one) if callable(references) else references, "references")
        own = given if given.dim() == one.dim() or callable(references) else given[row]
        if bool((own == one).all()):
            equal.append(row)
    if equal:
        _LOG.warning(
            "%d of %d sequences equal all their references: their contributions are 0 (first: number %d)",
            len(equal),
            len(inputs),
            equal[0],
        )


def _deeplift_of_several(
    model: Model,
    inputs: tuple[Any, ...],
    references: Any,
    captured_as: dict[str, Any],
    run_as: dict[str, Any],
) -> tuple[Attribution, ...]:
    if isinstance(captured_as["target"], (list, tuple)) or captured_as["layer"] is not None:
        raise InputError(
            "several inputs have one target, and contributions of their own",
            where="inputs",
            remedy="give one target and no layer, or one input",
        )
    wrapped, flat, pieces = _as_one(model, inputs)
    with one_sequence_of_each_told(model, inputs, captured_as["extra_inputs"]):
        explainer = Explainer(wrapped, flat, **captured_as)
    compared = joined_references(inputs, references, pieces)
    (results,) = explainer.explain_each(flat, compared, pieces=pieces, **run_as)
    return tuple(results)


def _as_one(model: Model, inputs: tuple[Any, ...]) -> tuple[Joined, Tensor, list[Piece]]:
    flat, pieces = joined(inputs)
    own = unwrapped(model)
    wrapped = Joined(own, pieces)
    wrapped.tasks = task_names(model)
    return wrapped, flat, pieces


@own_state()
def plan(
    model: Model,
    inputs: Tensor | tuple[Tensor, ...],
    *,
    rule: str = GENOMICS_DEFAULT,
    target: Target = 0,
    layer: str | None = None,
    keep_final_activation: bool = False,
    extra_inputs: tuple[Tensor, ...] = (),
) -> Plan:
    """Return what each operation of ``model`` is and which rule it gets, without computing contributions.

    ``print(plan(model, inputs))`` shows it as a table. Arguments and errors as in `deeplift`.
    """
    own, several = model, inputs if isinstance(inputs, tuple) else ()
    if isinstance(inputs, tuple):
        model, inputs, _ = _as_one(model, inputs)
    with one_sequence_of_each_told(own, several, extra_inputs):
        return Explainer(
            model,
            inputs,
            rule=rule,
            target=target,
            layer=layer,
            keep_final_activation=keep_final_activation,
            extra_inputs=extra_inputs,
            device="cpu",
        ).plan


@own_state()
def integrated_gradients(
    model: Model,
    inputs: Tensor,
    references: References,
    *,
    steps: int = 50,
    method: str = "gauss-legendre",
    target: Target = 0,
    keep_final_activation: bool = False,
    extra_inputs: tuple[Tensor, ...] = (),
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    precision: str = "float32",
    progress: bool | Callable[[int], None] = False,
) -> Attribution:
    """Return integrated gradients: the mean gradient on the straight path from reference to input.

    Parameters
    ----------
    steps
        Points on the path.
    method
        How the integral is approximated: "gauss-legendre", "trapezoid" or "midpoint".

    model, inputs, references, target
        As in `deeplift`, for one input and one target.
    keep_final_activation, extra_inputs, batch_size, device, precision, progress
        As in `deeplift`.

    Notes
    -----
    Result and errors are those of `deeplift`; the convergence error is the completeness
    error of the path (Sundararajan, Taly & Yan 2017, arXiv 1703.01365).
    """
    captured_as, run_as = divided(locals())
    path = path_points(steps, method)
    explainer = Explainer(model, inputs, rule="gradient", target=one_target(target), **captured_as)
    return explainer.explain(inputs, references, path=path, **run_as)


def path_points(steps: int, method: str) -> Path:
    """Return points in [0, 1] and their weights, which sum to 1, for integrating over a path."""
    if not isinstance(steps, int) or steps < 1:
        raise InputError(f"{steps} steps", where="steps", remedy="give a whole number of 1 or more")
    weights = np.full(steps, 1 / steps)
    if method == "gauss-legendre":
        points, weights = np.polynomial.legendre.leggauss(steps)
        points, weights = (points + 1) / 2, weights / 2
    elif method == "midpoint":
        points = (np.arange(steps) + 0.5) / steps
    elif method == "trapezoid" and steps > 1:
        points, weights = np.linspace(0, 1, steps), np.full(steps, 1 / (steps - 1))
        weights[[0, -1]] /= 2
    else:
        raise InputError(
            f"no method {method!r} with {steps} steps",
            where="method",
            remedy="choose gauss-legendre, midpoint, or trapezoid with 2 steps or more",
        )
    return list(zip(points.tolist(), weights.tolist(), strict=True))
