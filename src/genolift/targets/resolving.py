"""What is traced with a model for the targets that are asked for, once it is known what the model returns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genolift.engine.graph.capture import Picked
from genolift.engine.plan import in_one
from genolift.engine.run.given import Explained
from genolift.targets.binding import Named, Place
from genolift.targets.cells import Cells, reduced
from genolift.targets.grammar import wrong_target
from genolift.targets.heads import HEADS, HeldProfile, Whole
from genolift.targets.outputs import Outputs, Path, structure_of, tensor_at, tensors_by_path
from genolift.targets.targets import Layer, Target, plain, task_names

_PROFILE = "profile"
_Found = tuple[Place, ...] | str | Callable[[Any], Tensor]
"""One place, or two whose difference is explained; a head's name; a function of the output."""


@dataclass(frozen=True)
class Resolved:
    """Targets that share one graph: the function traced with the model, and the targets of its values."""

    after: Callable[[Any], Tensor | Picked]
    """A function of the model's output, or of a layer's."""
    explained: tuple[Explained, ...]
    found: tuple[_Found, ...]
    own: bool = False
    """Whether ``after`` calls the user's function."""


@dataclass(frozen=True)
class ReadOff:
    """How targets are read off a graph's output; without the user's functions, which may hold the model."""

    explained: tuple[Explained, ...]
    outputs: Outputs
    """What the model returns."""
    is_whole: bool
    """Whether the graph's output is the only tensor that the model returns."""
    names: tuple[str, ...]
    """Of each target what the model calls the tasks in it, empty if it has no name for them."""
    paths: tuple[tuple[Path, ...], ...]
    """Of each target where the tensors are that it takes before their final activations."""

    def stepped_over(self, of_tensors: Sequence[str]) -> tuple[str, ...]:
        """Return the final activations that were stepped over for each target, "" for none, given those of
        the tensors.
        """
        tensors = dict.fromkeys(path for paths in self.paths for path in paths)
        by_path = dict(zip(tensors, of_tensors, strict=True)) if of_tensors else {}
        return tuple(in_one(by_path.get(path, "") for path in paths) for paths in self.paths)


class Resolution:
    """Targets asked of a model: called with what the model returns, it gives what is traced.

    Parameters
    ----------
    model
        Whose task names are used.
    targets
        One or more.
    outputs
        What the model returns, where that is known before it is run.

    Raises
    ------
    InputError
        If there is no such target, or several do not share a graph; when it is called, where ``outputs`` is
        not given.
    """

    def __init__(self, model: object, targets: Sequence[Target], outputs: Outputs | None = None) -> None:
        self.targets = [target if callable(target) else plain(target) for target in targets]
        self.tasks = task_names(model)
        layers = {target.name for target in self.targets if isinstance(target, Layer)}
        if layers and len(self.targets) > 1:
            raise _not_together()
        self.layer: str | None = next(iter(layers), None)
        self.outputs: Outputs = ""
        """What the model returns, once it is known."""
        self._resolved: Resolved | None = None
        if outputs is not None and not layers:
            self.know(outputs)

    def know(self, outputs: Outputs) -> None:
        """Find what is explained in a model that returns this."""
        self.outputs = outputs
        self._resolved = _resolved(self.targets, Named(outputs, self.tasks))

    def __call__(self, output: Any) -> Tensor | Picked:
        """Return what is explained of a model's, or a layer's, output, (n, ...)."""
        if self._resolved is None:
            self.know("" if self.layer else structure_of(output))
        return self.resolved.after(output)

    @property
    def resolved(self) -> Resolved:
        """What was found; only once it is known what the model returns."""
        assert self._resolved is not None
        return self._resolved

    @property
    def read_off(self) -> ReadOff:
        """What of it is left once it is traced."""
        after = self.resolved.after
        is_whole = isinstance(after, _Pick) and len(list(tensors_by_path(self.outputs))) == 1
        named = Named(self.outputs, self.tasks)
        called = [[named.task_of(place) for place in _places(each)] for each in self.resolved.found]
        names = tuple(" - ".join(each) if all(each) else "" for each in called)
        paths = tuple(tuple(place.path for place in _places(each)) for each in self.resolved.found)
        return ReadOff(self.resolved.explained, self.outputs, is_whole, names, paths)


@dataclass(frozen=True)
class _Pick:
    """One of a model's tensors."""

    path: Path

    def __call__(self, output: Any) -> Picked:
        tensor = tensor_at(output, self.path)
        return Picked(tensor, (tensor,))


@dataclass(frozen=True)
class _Stacked:
    """Several targets, or one that is no weighted sum, side by side; a profile's logits first."""

    found: tuple[_Found, ...]

    def __call__(self, output: Any) -> Picked:
        paths = dict.fromkeys(place.path for each in self.found for place in _places(each))
        # Copies: those may be taken before a final activation, which a function of the output is given.
        tensors = {path: tensor_at(output, path).clone() for path in paths}
        profile = [HEADS[_PROFILE][0](output)] if _PROFILE in self.found else []
        numbers = [self._number(each, output, tensors) for each in self.found if each != _PROFILE]
        columns = [*profile, *([torch.stack(numbers, 1)] if numbers else [])]
        return Picked(torch.cat(columns, 1), tuple(tensors.values()))

    @staticmethod
    def _number(found: _Found, output: Any, tensors: dict[Path, Tensor]) -> Tensor:
        if isinstance(found, str):
            return HEADS[found][0](output)
        if callable(found):
            return found(output)
        first, *others = (reduced(tensors[place.path], place.places) for place in found)
        return first - others[0] if others else first

    def explained(self) -> tuple[Explained, ...]:
        """Return how each target is read off the columns."""
        behind = sum(each != _PROFILE for each in self.found)
        places = iter(range(-behind, 0) if _PROFILE in self.found else range(behind))
        return tuple(
            HeldProfile(behind) if each == _PROFILE else Cells(((next(places),),)) for each in self.found
        )


def _places(found: _Found) -> tuple[Place, ...]:
    return found if isinstance(found, tuple) else ()


def _resolved(targets: Sequence[Target], named: Named) -> Resolved:
    found: tuple[_Found, ...] = tuple(
        target if callable(target) else named.bound(target) for target in targets
    )
    own = any(_is_own(each) for each in found)
    places = [place for each in found for place in _places(each)]
    if all(map(_places, found)) and len({place.path for place in places}) == 1:
        if all(place.linear for place in places):
            cells = tuple(Cells(tuple(place.places for place in _places(each))) for each in found)
            return Resolved(_Pick(places[0].path), cells, found)
    elif len(found) == 1:
        (one,) = found
        if isinstance(one, str):
            return Resolved(HEADS[one][0], (HEADS[one][1],), found)
        if callable(one):
            return Resolved(one, (Whole(),), found, own)
    stacked = _Stacked(found)
    return Resolved(stacked, stacked.explained(), found, own)


def _is_own(found: _Found) -> bool:
    """Whether a target calls a function of the user's."""
    return callable(found.unit) if isinstance(found, Layer) else callable(found)


def _not_together() -> Exception:
    return wrong_target("these targets do not share one pass", "ask for units of layers one at a time")
