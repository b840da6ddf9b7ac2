"""The outputs of a model, and the targets by which each can be explained."""

from dataclasses import dataclass

from genolift.errors import few
from genolift.targets.binding import Named
from genolift.targets.outputs import leaves

_AXES_TO_ASK_ABOUT = 2
"""Nothing tells which axis has tracks and which positions."""


@dataclass(frozen=True)
class OutputOf:
    """An output: its name (empty for the only one), its shape without the row's axis, and its targets.

    ``target`` is one of them, None where that is the user's to say: which of several axes, or what of an
    output that is no tensor; ``others`` lists them in words.
    """

    name: str
    shape: tuple[int, ...]
    target: str | None
    others: str


def outputs_of(named: Named) -> tuple[OutputOf, ...]:
    """Return the outputs of a model, of tensors and of what is none."""
    found = []
    for path, leaf in leaves(named.outputs):
        name = ".".join(path)
        if isinstance(leaf, str):
            found.append(OutputOf(name, (), None, f"none, it is a {leaf}"))
        elif 0 in leaf:
            found.append(OutputOf(name, leaf, None, "none, it is empty"))
        else:
            others = named.choices_of(path, leaf)
            first = others.partition(" to ")[0] if len(leaf) < _AXES_TO_ASK_ABOUT else None
            names = f": {few(named.tasks, 20)}" if first and leaf == (len(named.tasks),) else ""
            found.append(OutputOf(name, leaf, first, others + names))
    return tuple(found)
