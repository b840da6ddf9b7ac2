"""Values with their masks, and which masks a call is given, in Keras 2 and 3.

A mask is true at the positions that count: (row, position). Keras carries it beside a layer's output, from a
Masking or Embedding layer on, and layers behind pass over what it leaves out.

Source: `Layer.__call__` of Keras 2.15 (base_layer.py) and 3.15 (layer.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genolift.errors import InputError
from genolift.models.keras.arguments import filled, found_in

Mask = Tensor | None
Release = tuple[int, ...]

_HANDS_ON_WHAT_IS_SAID: Release = (3, 15)
"""From which Keras 3 on a mask that a call gives is handed on too."""


class Masked:
    """A value with its mask. Where a layer hands on its very input both stand for one value."""

    def __init__(self, tensor: Tensor, mask: Mask = None) -> None:
        self.tensor, self.mask = tensor, mask


@dataclass(frozen=True)
class Given:
    """The arguments of a call as Keras sees them."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    release: Release
    """Of the Keras that wrote the model."""
    place: str

    @property
    def modern(self) -> bool:
        """Whether Keras 3 wrote the model."""
        return self.release[0] >= 3

    @property
    def first(self) -> list[Masked]:
        """The values of the first argument, of which Keras keeps the masks."""
        return list(values_in(self.args[0] if self.args else next(iter(self.kwargs.values()), ())))

    @property
    def handed(self) -> list[Mask]:
        """The masks that count as those of the first argument."""
        if self._is_said:
            without = all(value.mask is None for value in self.first)
            if without and before(self.release, _HANDS_ON_WHAT_IS_SAID):
                raise self.refusal_of_release("hands on the mask that its call gives")
            said = self.kwargs["mask"]
            listed = said if isinstance(said, (list, tuple)) else [said] * len(self.first)
            return [truth_of(each) for each in listed]
        return [value.mask for value in self.first]

    @property
    def used(self) -> list[Mask]:
        """The masks that a layer which asks for one is given."""
        if self._is_said or not self.modern:
            return self.handed
        # Keras 3 looks for a mask where one argument alone holds tensors: not beside an initial state
        holding = [each for each in (*self.args, *self.kwargs.values()) if any(values_in(each))]
        return self.handed if len(holding) == 1 else [None] * len(self.first)

    @property
    def _is_said(self) -> bool:
        """Whether the call itself gives a mask; Keras 2 takes a None for one."""
        return "mask" in self.kwargs and (self.kwargs["mask"] is not None or not self.modern)

    def refusal_of_release(self, what: str) -> InputError:
        """Return what to raise where the masks of the Keras that wrote the model go other ways."""
        return self.refusal(
            f"{what}, and was written by Keras {'.'.join(map(str, self.release))}, which does otherwise with "
            "masks than later ones",
            "load it in the newest Keras 3, see that its outputs are still right, and save it again",
        )

    def refusal(self, what: str, remedy: str) -> InputError:
        """Return what to raise where a mask cannot be handed on as Keras does."""
        return InputError(what, where=self.place, remedy=remedy)


class Treatment:
    """How most layers treat a mask: they end it, neither looking at it nor handing it on."""

    uses = False
    """Whether a mask changes what the layer computes."""
    makes = False
    """Whether it makes a mask of its own."""
    ours = False
    """Whether Keras's own layer, on torch, does otherwise with the masks than Keras does on TensorFlow."""
    spoken_for: tuple[str, ...] = ("mask",)
    """The keyword arguments that `further` takes in."""

    def arranged(self, given: Given) -> Given:
        """Return a call's arguments as Keras 3 has them."""
        return given

    def further(self, given: Given) -> dict[str, Any]:
        """Return the keyword arguments that the masks add to a call."""
        return {}

    def made(self, given: Given, outputs: Sequence[Tensor]) -> list[Masked]:
        """Return a layer's outputs with their masks."""
        return [Masked(output) for output in outputs]


def values_in(given: Any) -> Iterator[Masked]:
    """Yield the values in nested arguments, in their order."""
    return found_in(given, Masked)


def without_masks(given: Any) -> Any:
    """Return nested arguments with tensors in the place of values."""
    return filled(given, Masked, lambda value: value.tensor)


def same_or_new(given: Given, outputs: Sequence[Tensor]) -> list[Masked]:
    """Return a layer's outputs as values; one that is an input is the same value, with its mask."""
    known = {id(value.tensor): value for value in values_in((given.args, dict(given.kwargs)))}
    return [known.get(id(output)) or Masked(output) for output in outputs]


def before(release: Release, other: Release) -> bool:
    """Whether Keras 3 of an earlier release than ``other`` wrote a model that says its release."""
    return release[0] >= 3 and len(release) > 1 and release < other


def truth_of(said: Any) -> Mask:
    """Return a mask that a call says, as a value of any type, as truth values."""
    mask = said.tensor if isinstance(said, Masked) else said
    return mask if mask is None or mask.dtype == torch.bool else mask != 0
