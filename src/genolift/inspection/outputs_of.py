"""The outputs of a model, and the targets by which each can be explained."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from genolift.errors import InputError
from genolift.targets.outputs import outputs_by_name
from genolift.targets.targets import HEADS, task_names

_PARTS = 2  # of a profile model's output: (profile, counts)


@dataclass(frozen=True)
class OutputOf:
    """An output: its name (empty for the only one), its shape without the row's axis, and its targets.

    ``target`` is one of them, None if it needs the user's own function; ``others`` lists them in words.
    """

    name: str
    shape: tuple[int, ...]
    target: str | None
    others: str


def outputs_of(output: Any, model: object) -> tuple[OutputOf, ...]:
    """Return the outputs of a model from what it returns."""
    named, tasks = outputs_by_name(output), task_names(model)
    fields = [name for name in named if not name.isdecimal()]
    return tuple(_output(name, named[name], [] if name else tasks) for name in fields or named)


def heads_of(output: Any) -> tuple[str, ...]:
    """Return the heads, such as "counts", in a model's output, by the names or shapes of its parts."""
    if isinstance(output, Tensor):
        return tuple(name for name in HEADS if "profile" in name) if output.dim() > _PARTS else ()
    if isinstance(output, Mapping):
        return tuple(name for name, (head, _) in HEADS.items() if _works(head, output))
    if not isinstance(output, (tuple, list)) or len(output) != _PARTS:
        return ()
    profile, counts = output
    if not isinstance(profile, Tensor) or not isinstance(counts, Tensor):
        return ()
    larger = profile[0].numel() > counts[0].numel() and profile.dim() >= _PARTS
    return tuple(HEADS) if larger else ()


def _works(head: Any, output: Any) -> bool:
    with suppress(InputError):
        head(output)
        return True
    return False


def _output(name: str, output: Any, tasks: list[str]) -> OutputOf:
    if not isinstance(output, Tensor):
        return OutputOf(name, (), None, f"none, it is a {type(output).__name__}")
    shape = tuple(output.shape[1:])
    width = 1 if not shape else shape[0]
    if len(shape) > 1 or width == 0:
        return OutputOf(name, shape, None, "a function of your own in Python, or a head")
    first, last = (f"{name}[{column}]" if name else str(column) for column in (0, width - 1))
    if width == 1:
        first = name if name and not name.isdecimal() else first
        return OutputOf(name, shape, first, first)
    named = f": {', '.join(tasks)}" if len(tasks) == width else ""
    return OutputOf(name, shape, first, f"{first} to {last}{named}")
