"""Values with their masks, and the masks that reach each call, in Keras 2 and 3.

A mask is (row, position), true at the positions that count. A Masking or Embedding layer makes it, Keras
passes it along with the outputs, and later layers skip the positions where it is false.

Source: `Layer.__call__` of Keras 2.15 (base_layer.py) and 3.15 (layer.py).
"""

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
"""The first Keras 3 that also passes on a mask given explicitly in a call."""


class Masked:
    """A value with its mask. If a layer returns its input itself, one object stands for both."""

    def __init__(self, tensor: Tensor, mask: Mask = None) -> None:
        self.tensor, self.mask = tensor, mask


@dataclass(frozen=True)
class Given:
    """The arguments of a call as Keras sees them."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    release: Release
    """Release of the Keras that wrote the model."""
    place: str

    @property
    def modern(self) -> bool:
        """Whether Keras 3 wrote the model."""
        return self.release[0] >= 3

    @property
    def first(self) -> list[Masked]:
        """The values in the first argument, whose masks Keras keeps."""
        return list(values_in(self.args[0] if self.args else next(iter(self.kwargs.values()), ())))

    @property
    def handed(self) -> list[Mask]:
        """The masks that Keras attributes to the first argument."""
        if self._is_said:
            without = all(value.mask is None for value in self.first)
            if without and before(self.release, _HANDS_ON_WHAT_IS_SAID):
                raise self.refusal_of_release("passes on the mask given in its call")
            said = self.kwargs["mask"]
            listed = said if isinstance(said, (list, tuple)) else [said] * len(self.first)
            return [truth_of(each) for each in listed]
        return [value.mask for value in self.first]

    @property
    def used(self) -> list[Mask]:
        """The masks that the layer receives if it has a parameter for them."""
        if self._is_said or not self.modern:
            return self.handed
        # Keras 3 looks for a mask only if a single argument holds tensors, so not with an initial state
        holding = [each for each in (*self.args, *self.kwargs.values()) if any(values_in(each))]
        return self.handed if len(holding) == 1 else [None] * len(self.first)

    @property
    def _is_said(self) -> bool:
        """Whether the call itself gives a mask; in Keras 2 None counts as one."""
        return "mask" in self.kwargs and (self.kwargs["mask"] is not None or not self.modern)

    def refusal_of_release(self, what: str) -> InputError:
        """Return the error to raise if the Keras that wrote the model handled masks differently."""
        return self.refusal(
            f"{what}, and was written by Keras {'.'.join(map(str, self.release))}, which handles masks "
            "differently from later ones",
            "load it in the newest Keras 3, check that its outputs are still right, and save it again",
        )

    def refusal(self, what: str, remedy: str) -> InputError:
        """Return the error to raise if a mask cannot be passed on as in Keras."""
        return InputError(what, where=self.place, remedy=remedy)


class Treatment:
    """How most layers treat a mask: they drop it, neither using it nor passing it on."""

    uses = False
    """Whether a mask changes what the layer computes."""
    makes = False
    """Whether the layer makes a mask."""
    ours = False
    """Whether we replace Keras's own layer, since on torch it handles masks differently from TensorFlow."""
    spoken_for: tuple[str, ...] = ("mask",)
    """The keyword arguments that `further` takes care of."""

    def arranged(self, given: Given) -> Given:
        """Return a call's arguments in the form of Keras 3."""
        return given

    def further(self, given: Given) -> dict[str, Any]:
        """Return the keyword arguments to add to a call for its masks."""
        return {}

    def made(self, given: Given, outputs: Sequence[Tensor]) -> list[Masked]:
        """Return a layer's outputs with their masks."""
        return [Masked(output) for output in outputs]


def values_in(given: Any) -> Iterator[Masked]:
    """Yield the values in nested arguments, in order."""
    return found_in(given, Masked)


def without_masks(given: Any) -> Any:
    """Return nested arguments with each value replaced by its tensor."""
    return filled(given, Masked, lambda value: value.tensor)


def same_or_new(given: Given, outputs: Sequence[Tensor]) -> list[Masked]:
    """Return a layer's outputs as values; an output that is also an input keeps its value and mask."""
    known = {id(value.tensor): value for value in values_in((given.args, dict(given.kwargs)))}
    return [known.get(id(output)) or Masked(output) for output in outputs]


def before(release: Release, other: Release) -> bool:
    """Whether a release of Keras 3 is known to be earlier than ``other``."""
    return release[0] >= 3 and len(release) > 1 and release < other


def truth_of(said: Any) -> Mask:
    """Return a mask given in a call, with any dtype, as booleans."""
    mask = said.tensor if isinstance(said, Masked) else said
    return mask if mask is None or mask.dtype == torch.bool else mask != 0
