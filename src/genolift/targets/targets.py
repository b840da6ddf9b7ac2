"""What is explained: a task, a head, a layer, or any function of a model's output.

A target is a weighted sum of the graph's outputs, with the same weights for the references: one task has the
weight 1 and the others 0; the weights of a profile's logits are the profile itself.
"""

import operator
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genolift.engine.run.given import Explained
from genolift.targets.outputs import OF_CALLABLE, Output, output_named, shape_in_words, wrong_target

LAST_CONVOLUTION = "last-convolution"
"""As a layer: the activation after a model's last convolution, or the convolution if there is none."""


@dataclass(frozen=True)
class Column:
    """One task of an output (rows, tasks) or (rows,)."""

    task: int

    def of(self, output: Tensor) -> Tensor:
        """Return the task's values, (rows,)."""
        if output.dim() == 1:
            output = output[:, None]
        if output.dim() != 2:
            what = f"the model's output has the shape {shape_in_words(output)}"
            raise wrong_target(what, f"{OF_CALLABLE}, or the name of a head: {', '.join(HEADS)}")
        if not 0 <= self.task < output.shape[1]:
            number = output.shape[1]
            raise wrong_target(
                f"there is no target {self.task}: the model has {number} output{'s' * (number != 1)}",
                f"choose one of 0 to {number - 1}" if number > 1 else "choose 0",
            )
        return output[:, self.task]

    def of_reference(self, reference_output: Tensor, output: Tensor) -> Tensor:
        """Return the task's values, (n or 1, r)."""
        return self.of(reference_output.flatten(0, 1)).view(reference_output.shape[:2])

    def seed(self, output: Tensor, r: int) -> Tensor:
        """Return 1 for the task, 0 for the others."""
        seed = output.new_zeros((len(output) * r, *output.shape[1:]))
        seed[(slice(None), self.task) if output.dim() == 2 else slice(None)] = 1
        return seed


@dataclass(frozen=True)
class Whole:
    """The output itself, (rows,): a function of the model's output that was traced with the model."""

    def of(self, output: Tensor) -> Tensor:
        """Return the output, (rows,)."""
        if output.dim() != 1:
            what = f"the target function returns the shape {shape_in_words(output)}"
            raise wrong_target(what, "return one number for each row, (n,)")
        return output

    def of_reference(self, reference_output: Tensor, output: Tensor) -> Tensor:
        """Return the output, (n or 1, r)."""
        self.of(output)
        return reference_output

    def seed(self, output: Tensor, r: int) -> Tensor:
        """Return ones, (n r,)."""
        return output.new_ones(len(output) * r)


@dataclass(frozen=True)
class HeldProfile:
    """Mean-normalised logits, (rows, positions), weighted by the sequence's own profile.

    The references have the sequence's weights too, so that contributions sum to the difference of the logits
    alone, as ChromBPNet's profile contributions do.
    """

    def of(self, output: Tensor) -> Tensor:
        """Return sum over positions of softmax(z) z, (rows,)."""
        return (output.softmax(1) * output).sum(1)

    def of_reference(self, reference_output: Tensor, output: Tensor) -> Tensor:
        """Return sum over positions of softmax(z) z0, (n, r)."""
        return (output.softmax(1)[:, None] * reference_output).sum(2)

    def seed(self, output: Tensor, r: int) -> Tensor:
        """Return softmax(z) for each reference, (n r, positions)."""
        return output.softmax(1).repeat_interleave(r, 0)


@dataclass(frozen=True)
class Layer:
    """The output of a layer, or a function of it, as a target: see `layer`."""

    name: str
    unit: int | Callable[[Any], Tensor] | None

    def __call__(self, output: Any) -> Tensor:
        """Return the target, (n,), of the layer's output."""
        if callable(self.unit):
            return self.unit(output)
        if not isinstance(output, Tensor):
            raise wrong_target(
                f"layer {self.name} gives a {type(output).__name__}",
                "give as unit a callable that takes it and returns the value to explain, (n,)",
            )
        if self.unit is None:
            if output.dim() > 2 or output.shape[1:].numel() != 1:
                what = f"layer {self.name} gives the shape {shape_in_words(output)}"
                raise wrong_target(what, "give the unit to explain, a channel's number or a callable")
            return output.reshape(-1)
        if output.dim() < 2 or not 0 <= self.unit < output.shape[1]:
            units = f"choose one of 0 to {output.shape[1] - 1}" if output.dim() > 1 else "give None"
            raise wrong_target(f"layer {self.name} has no unit {self.unit}", units)
        return output[:, self.unit].reshape(output.shape[0], -1).sum(1)


Target = int | str | Layer | Callable[[Any], Tensor]


def target_in_words(target: Target) -> str:
    """Return a target's name: a column's number, a name, or a function's name."""
    if isinstance(target, Layer):
        unit = "a function" if callable(target.unit) else f"unit {target.unit}"
        return f"layer {target.name}" + ("" if target.unit is None else f", {unit}")
    if not callable(target):
        return str(target)
    name = getattr(target, "__name__", "<lambda>")
    return "a function" if name == "<lambda>" else f"function {name}"


def layer(name: str, unit: int | Callable[[Any], Tensor] | None = None) -> Layer:
    """Return a target: a unit of the output of a submodule.

    Parameters
    ----------
    name
        The submodule, as ``model.named_modules()`` names it; ``name#k`` is its k-th call, from 0, if it is
        called several times.
    unit
        A channel, summed over any further axes; or a function of the layer's output that returns (n,); or
        None if the layer gives (n,) or (n, 1).
    """
    return Layer(name, unit)


def counts(output: Any) -> Tensor:
    """Return the log counts of a profile model, (n,), summed over its count outputs.

    ``output`` is (profile, counts), as from bpnet-lite's and ChromBPNet's models; a mapping with a key that
    contains "count"; or the counts alone.
    """
    head = _head(output, "count", 1)
    return head.reshape(head.shape[0], -1).sum(1)


def mean_normalised_profile(output: Any) -> Tensor:
    """Return the logits of a profile less their mean, (n, strands x positions).

    ``output`` is (profile, counts), as from bpnet-lite's and ChromBPNet's models; a mapping with a key that
    contains "profile"; or the logits alone.
    """
    head = _head(output, "profile", 0)
    flat = head.reshape(head.shape[0], -1)
    return flat - flat.mean(1, keepdim=True)


def profile_free_weights(output: Any) -> Tensor:
    """Return sum of softmax(z) z over the mean-normalised logits z of a profile, (n,), as bpnet-lite does.

    The reference has its own weights, so contributions through the weights count too. With the sequence's
    weights for both, it is `HeldProfile`, the target "profile".
    """
    logits = mean_normalised_profile(output)
    return (logits.softmax(1) * logits).sum(1)


HEADS: Mapping[str, tuple[Callable[[Any], Tensor], Explained]] = {
    "counts": (counts, Whole()),
    "profile": (mean_normalised_profile, HeldProfile()),
    "profile-free-weights": (profile_free_weights, Whole()),
}
"""Heads by name: the function that is traced with the model, and the target of its values."""


def _head(output: Any, name: str, place: int) -> Tensor:
    if isinstance(output, Mapping):
        found = [value for key, value in output.items() if name in str(key).lower()]
        if len(found) == 1:
            return _tensor(found[0], name)
        raise wrong_target(f"{len(found)} of the model's outputs have {name!r} in their names")
    if isinstance(output, (tuple, list)):
        if len(output) == 2:
            return _tensor(output[place], name)
        raise wrong_target(f"the model returns {len(output)} outputs, not profile and counts")
    return _tensor(output, name)


def _tensor(output: Any, name: str) -> Tensor:
    if isinstance(output, Tensor):
        return output
    raise wrong_target(f"the {name} head is a {type(output).__name__}")


@dataclass(frozen=True)
class Resolved:
    """Targets that share one graph: the function traced with the model, and the targets of its values."""

    after: Callable[[Any], Tensor] | None
    """A function of the model's output, or of ``layer``'s; None for the output itself."""
    layer: str | None
    explained: tuple[Explained, ...]
    picks: bool = False
    """Whether ``after`` only picks one of the model's own outputs."""
    own: bool = False
    """Whether ``after`` calls the user's function."""


def resolve(model: object, targets: Sequence[Target]) -> Resolved:
    """Return what to trace for targets, and how each is computed from it.

    Raises
    ------
    InputError
        If there is no such target, or several do not share a graph.
    """
    outputs = [_output_named(model, target) for target in targets]
    picked = [output for output in outputs if output is not None]
    if len(picked) == len(targets) and len({output.name for output in picked}) == 1:
        columns = tuple(Column(output.column or 0) for output in picked)
        return Resolved(picked[0], None, columns, picks=True)
    functions = [target for target in targets if callable(target)]
    heads = [_head_named(model, target) for target in targets]
    if not functions and not any(heads):
        return Resolved(None, None, tuple(Column(task_number(model, target)) for target in targets))
    if len(targets) == 1:
        if heads[0] is not None:
            return Resolved(heads[0][0], None, (heads[0][1],))
        (function,) = functions
        if isinstance(function, Layer):
            return Resolved(function, function.name, (Whole(),), own=callable(function.unit))
        return Resolved(function, None, (Whole(),), own=True)
    traced = [head[0] if head else target for head, target in zip(heads, targets, strict=True)]
    shared = [function for function in traced if callable(function) and not isinstance(function, Layer)]
    if len(shared) < len(targets) or "profile" in targets:
        raise wrong_target(
            "these targets do not share one pass",
            "ask together for tasks, or for functions of the output; for others one at a time",
        )
    stacked = tuple(Column(task) for task in range(len(targets)))
    return Resolved(
        lambda output: torch.stack([each(output) for each in shared], 1), None, stacked, own=bool(functions)
    )


def one_target(target: Any) -> Target:
    """Return a target, and refuse several."""
    if isinstance(target, (list, tuple)):
        remedy = "give one; several together are for genolift.deeplift"
        raise wrong_target(f"there are {len(target)} targets", remedy)
    return target


def _head_named(model: object, target: Target) -> tuple[Callable[[Any], Tensor], Explained] | None:
    """Return a head by its name, unless the model has a task of that name."""
    if not isinstance(target, str) or target in task_names(model):
        return None
    return HEADS.get(target)


def _output_named(model: object, target: Target) -> Output | None:
    """Return one of several outputs; None for a task, a head or a function."""
    if not isinstance(target, str) or target in task_names(model) or target in HEADS:
        return None
    return output_named(target, lambda: task_number(model, target))


def task_number(model: object, target: Any) -> int:
    """Return the column of a task given by number or name.

    Names are those in the model's attribute ``tasks``, else in ``TASKS`` of the file that defines its class.

    Raises
    ------
    InputError
        If the name is not known.
    """
    if not isinstance(target, (str, bool)):
        with suppress(TypeError):
            return operator.index(target)  # numpy's whole numbers too
    if not isinstance(target, str):
        raise wrong_target(
            f"{type(target).__name__} {target!r} is not a target",
            "give a task's number or name, a head's name, or a function of the model's output",
        )
    if target.strip().removeprefix("-").isdecimal():
        return int(target)
    names = task_names(model)
    if target in names:
        return names.index(target)
    unnamed = f"give its number, name the model's tasks, or choose a head: {', '.join(HEADS)}"
    known = f"choose one of {', '.join([*names, *HEADS])}"
    raise wrong_target(f"there is no target {target!r}", known if names else unnamed)


def task_names(model: object) -> list[str]:
    """Return the names of a model's tasks, where the model or its file says them."""
    names = getattr(model, "tasks", None)
    if names is None:
        names = getattr(sys.modules.get(type(model).__module__), "TASKS", None)
    return [str(name) for name in names] if isinstance(names, (list, tuple)) else []
