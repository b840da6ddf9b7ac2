"""What is explained: a place in a model's output, a head, a layer, or any function of the output."""

import operator
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from genolift.targets.grammar import wrong_target
from genolift.targets.heads import counts, mean_normalised_profile, profile_free_weights
from genolift.targets.outputs import shape_in_words

__all__ = [
    "LAST_CONVOLUTION",
    "Layer",
    "Target",
    "counts",
    "layer",
    "mean_normalised_profile",
    "one_target",
    "plain",
    "profile_free_weights",
    "target_in_words",
    "task_names",
]

LAST_CONVOLUTION = "last-convolution"
"""As a layer: the activation after a model's last convolution, or the convolution if there is none."""


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
        shape = tuple(output.shape[1:])
        if self.unit is None:
            if output.dim() > 2 or output.shape[1:].numel() != 1:
                what = f"layer {self.name} gives the shape {shape_in_words(shape)}"
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


def one_target(target: Any) -> Target:
    """Return a target, and refuse several."""
    if isinstance(target, (list, tuple)):
        remedy = "give one; several together are for genolift.deeplift"
        raise wrong_target(f"there are {len(target)} targets", remedy)
    return target


def task_names(model: object) -> list[str]:
    """Return the names of a model's tasks: its attribute ``tasks``, else ``TASKS`` of its class's file."""
    names = getattr(model, "tasks", None)
    if names is None:
        names = getattr(sys.modules.get(type(model).__module__), "TASKS", None)
    return [str(name) for name in names] if isinstance(names, (list, tuple)) else []


def plain(target: Any) -> int | str:
    """Return a target that is a number, numpy's and torch's too, or text.

    Raises
    ------
    InputError
        If it is neither.
    """
    if isinstance(target, str):
        return target
    if not isinstance(target, bool):
        with suppress(TypeError):
            return operator.index(target)
    raise wrong_target(
        f"{type(target).__name__} {target!r} is not a target",
        "give a task's number or name, a head's name, or a function of the model's output",
    )
