"""How each Keras layer makes, passes on, uses or drops a mask.

Keras 2 and 3 differ in how a merge combines several masks, and in which layers drop one.

Source: `compute_mask`, `supports_masking` and `call` of each layer in Keras 2.15 and 3.15.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from genolift.models.keras.arguments import TENSORFLOW
from genolift.models.keras.each_position import EachPosition
from genolift.models.keras.graph import LayerConfig
from genolift.models.keras.layers import UserFunction
from genolift.models.keras.masks import (
    Given,
    Masked,
    Release,
    Treatment,
    before,
    same_or_new,
    truth_of,
    values_in,
)
from genolift.models.keras.operators import Operation

_READ_FROM: Release = (3, 9)
"""The first Keras 3 whose merges and attention treat masks as those of 3.15 do."""
_ZEROES: Release = (3, 15)
"""The first Keras 3 whose softmax gives weights of 0 where everything is masked; before, they were equal."""


class _Passes(Treatment):
    """Passes its input's mask on to its output."""

    def made(self, given: Given, outputs: Sequence[Tensor]) -> list[Masked]:
        made = same_or_new(given, outputs)
        for value, mask in zip(made, given.handed, strict=False):
            value.mask = mask
        return made


class _Makes(Treatment):
    """Masking (false where all channels have the mask value) and Embedding (false where the index is 0)."""

    uses = makes = True

    def __init__(self, layer: Any) -> None:
        self.value = getattr(layer, "mask_value", None)

    def made(self, given: Given, outputs: Sequence[Tensor]) -> list[Masked]:
        x = given.first[0].tensor
        return [Masked(outputs[0], x != 0 if self.value is None else (x != self.value).any(-1))]


class _Merges(Treatment):
    """A sum, mean, product or maximum of inputs; Keras 3 leaves masked values out of the last two."""

    ours = True

    def __init__(self, layer: Any, *, modern: bool) -> None:
        self.uses = modern and type(layer).__name__ in ("Multiply", "Maximum", "Minimum")

    def further(self, given: Given) -> dict[str, Any]:
        masks = [value.mask for value in given.first]
        return {"masks": masks} if self.uses and any(mask is not None for mask in masks) else {}

    def made(self, given: Given, outputs: Sequence[Tensor]) -> list[Masked]:
        masks = given.handed
        known = [mask for mask in masks if mask is not None]
        if not known or (given.modern and len(known) < len(masks)):
            return [Masked(outputs[0])]
        join = torch.logical_or if given.modern else torch.logical_and
        return [Masked(outputs[0], reduce(join, known))]


class _Concatenates(Treatment):
    """Joins masks like values; a position then counts if all (Keras 2) or any (Keras 3) channels count."""

    def __init__(self, layer: Any) -> None:
        self.axis = layer.axis

    def made(self, given: Given, outputs: Sequence[Tensor]) -> list[Masked]:
        masks = given.handed
        if all(mask is None for mask in masks):
            return [Masked(outputs[0])]
        joined = torch.cat(
            [
                torch.ones_like(value.tensor, dtype=torch.bool)
                if mask is None
                else _with_channels(mask, value.tensor)
                for value, mask in zip(given.first, masks, strict=True)
            ],
            self.axis,
        )
        return [Masked(outputs[0], joined.any(-1) if given.modern else ~(~joined).any(-1))]


class _Recurs(Treatment):
    """An LSTM, GRU or SimpleRNN, in one direction or both: a masked step leaves its state unchanged."""

    uses = True
    ours = True

    def __init__(self, layer: Any) -> None:
        self.sequences = layer.return_sequences
        self.apart = getattr(layer, "merge_mode", "") is None

    def arranged(self, given: Given) -> Given:
        if not given.args or not isinstance(given.args[0], (list, tuple)):
            return given
        # Keras 2 lists the initial states after the sequence
        sequence, *states = given.args[0]
        further = {"initial_state": states} if states else {}
        return replace(given, args=(sequence,), kwargs={**given.kwargs, **further})

    def further(self, given: Given) -> dict[str, Any]:
        mask = given.used[0]
        if mask is not None and mask.dim() != 2:
            raise given.refusal(
                f"has a mask of {mask.dim()} axes, not (row, step)", "mask only the steps of its sequence"
            )
        return {} if mask is None else {"mask": mask}

    def made(self, given: Given, outputs: Sequence[Tensor]) -> list[Masked]:
        mask = given.handed[0] if self.sequences else None
        return [
            Masked(output, mask if number <= self.apart else None) for number, output in enumerate(outputs)
        ]


class _Averages(Treatment):
    """GlobalAveragePooling1D: the mean of the positions that count."""

    uses = True

    def further(self, given: Given) -> dict[str, Any]:
        return {} if given.used[0] is None else {"mask": given.used[0]}


class _Normalizes(_Passes):
    """Softmax, which leaves out masked values if mask and input have the same axes."""

    uses = True

    def __init__(self, *, modern: bool) -> None:
        self.ours = not modern

    def further(self, given: Given) -> dict[str, Any]:
        (mask,) = given.used
        if mask is not None and mask.dim() != given.first[0].tensor.dim():
            raise given.refusal(
                f"is given a mask of {mask.dim()} axes for {given.first[0].tensor.dim()}, which Keras aligns "
                "with the last ones, so that rows mix",
                "use Activation('softmax'), which takes no mask",
            )
        return {} if mask is None else {"mask": mask}


class _Attends(Treatment):
    """Attention and AdditiveAttention: masked values get no weight, masked queries an output of zeros."""

    uses = True
    ours = True

    def further(self, given: Given) -> dict[str, Any]:
        return {} if all(mask is None for mask in given.used) else {"mask": given.used}

    def made(self, given: Given, outputs: Sequence[Tensor]) -> list[Masked]:
        return [Masked(outputs[0], given.handed[0]), *map(Masked, outputs[1:])]


class _AttendsInHeads(Treatment):
    """MultiHeadAttention: a query attends to a position if the masks of both, and the call's, allow it."""

    uses = True
    ours = True
    spoken_for = ("mask", "query_mask", "value_mask", "key_mask", "attention_mask")

    def __init__(self, layer: Any) -> None:
        self.drops = layer._dropout > 0

    def further(self, given: Given) -> dict[str, Any]:
        query, value, key = self._three(given)
        masks = [] if query.mask is None else [query.mask[:, :, None]]
        for each, name in ((value, "value_mask"), (key, "key_mask")):
            said = truth_of(given.kwargs.get(name)) if given.modern else None
            of_value = None if each is None else each.mask
            mask = of_value if said is None else said
            masks += [] if mask is None else [mask[:, None, :]]
        said = truth_of(given.kwargs.get("attention_mask"))
        masks += [] if said is None else [said]
        if not masks:
            return {}
        zeroes = given.modern and self._weighs_openly(given)
        if zeroes and before(given.release, _ZEROES):
            raise given.refusal_of_release("attends under a mask")
        return {"attention_mask": reduce(torch.logical_and, masks), "zeroes": zeroes}

    def _weighs_openly(self, given: Given) -> bool:
        """Whether Keras 3 uses its own softmax rather than TensorFlow's attention over four axes."""
        asked = bool(given.kwargs.get("return_attention_scores"))
        return self.drops or asked or given.first[0].tensor.dim() != 3

    def made(self, given: Given, outputs: Sequence[Tensor]) -> list[Masked]:
        three = self._three(given)
        mask = three[0].mask
        if given.modern:  # Keras 3 removes the masks from the inputs, so that later layers find none
            for value in three:
                if value is not None:
                    value.mask = None
        return [Masked(outputs[0], mask), *map(Masked, outputs[1:])]

    def _three(self, given: Given) -> tuple[Masked, Masked, Masked | None]:
        said = dict(zip(("query", "value", "key"), given.args, strict=False)) | dict(given.kwargs)
        return said["query"], said["value"], said.get("key")


class _AlongTime(Treatment):
    """TimeDistributed around a layer that neither uses nor makes masks: passes its own on."""

    def __init__(self, *, uses: bool, makes: bool) -> None:
        self.uses_inside, self.makes_inside = uses, makes

    def further(self, given: Given) -> dict[str, Any]:
        masked = any(mask is not None for mask in given.used)
        if (self.uses_inside and masked) or (self.makes_inside and not given.modern):
            raise given.refusal(
                "applies a layer that uses masks to every step of a masked sequence, which is not supported",
                "supply the layer as a torch function with a parameter mask, by model.custom_layers",
            )
        return {}

    def made(self, given: Given, outputs: Sequence[Tensor]) -> list[Masked]:
        masks = given.handed
        return [Masked(output, mask) for output, mask in zip(outputs, masks, strict=False)]


class _OfUser(Treatment):
    """A user's function, which declares what happens to a mask, as Keras's layers do."""

    uses = True

    def __init__(self, layer: UserFunction, config: LayerConfig) -> None:
        # a Lambda without the setting "mask" drops a mask
        ends = config.class_name in _WITHOUT_MASKS and config.config.get("mask") is None
        self.supports = getattr(layer.function, "supports_masking", False if ends else None)
        self.asks = "mask" in layer.takes

    def further(self, given: Given) -> dict[str, Any]:
        masks = given.used
        if self.supports is None and any(mask is not None for mask in masks):
            raise given.refusal(
                "is given a mask, and its function does not say what happens to it",
                "in model.custom_layers, write FUNCTION.supports_masking = True below the function if the "
                "layer passes its mask on, else False; a function that uses the mask takes a parameter mask",
            )
        if not self.asks:
            return {}
        return {"mask": masks if len(masks) > 1 else masks[0]}

    def made(self, given: Given, outputs: Sequence[Tensor]) -> list[Masked]:
        made = same_or_new(given, outputs)
        if self.supports:
            for value, mask in zip(made, given.handed, strict=False):
                value.mask = mask
        return made


class _Operates(Treatment):
    """An operation of keras.ops, which ignores masks, but may return its input itself."""

    spoken_for = ()

    def made(self, given: Given, outputs: Sequence[Tensor]) -> list[Masked]:
        return same_or_new(given, outputs)


class _Refuses(Treatment):
    """A layer whose treatment of a mask is not supported."""

    uses = True

    def further(self, given: Given) -> dict[str, Any]:
        if any(value.mask is not None for value in values_in((given.args, dict(given.kwargs)))):
            if before(given.release, _READ_FROM):
                raise given.refusal_of_release("is given a mask")
            raise given.refusal(
                "is given a mask, which is not supported for this layer",
                "supply the layer as a torch function with a parameter mask, by model.custom_layers",
            )
        return {}


_PASS = (
    "Activation",
    "ActivityRegularization",
    "AlphaDropout",
    "BatchNormalization",
    "BatchNormalizationOverAxes",
    "BatchRenormalization",
    "Dense",
    "Dropout",
    "ELU",
    "GaussianDropout",
    "GaussianNoise",
    "GroupNormalization",
    "LayerNormalization",
    "LeakyReLU",
    "PReLU",
    "ReLU",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "ThresholdedReLU",
    "UnitNormalization",
)
_PASS_IN_KERAS_3 = ("Identity", "Normalization", "Rescaling")
_WITHOUT_MASKS = ("Lambda", *TENSORFLOW, "TensorFlowOpLayer")
_RECUR = ("LSTM", "GRU", "SimpleRNN", "Bidirectional")
_REFUSE = ("RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "GroupedQueryAttention", "GroupQueryAttention")
_MERGE = ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract")
_OTHERS: Mapping[str, type[Treatment]] = {
    "AdditiveAttention": _Attends,
    "Attention": _Attends,
    "GlobalAveragePooling1D": _Averages,
}


def treatment_of(layer: Any, config: LayerConfig, release: Release) -> Treatment:
    """Return how a Keras layer, or a function that replaces one, treats masks.

    ``release`` is that of the Keras that wrote the model.
    """
    modern = release[0] >= 3
    if isinstance(layer, Operation):
        return _Operates()
    if isinstance(layer, UserFunction):
        return _OfUser(layer, config)
    name = type(layer).__name__
    if name in _PASS or (modern and name in _PASS_IN_KERAS_3):
        return _Passes()
    if name in _RECUR:
        return (
            _Recurs(layer) if type(getattr(layer, "forward_layer", layer)).__name__ in _RECUR else _Refuses()
        )
    changed = name in (*_MERGE, "Concatenate", "MultiHeadAttention") and before(release, _READ_FROM)
    changed = changed or (name == "Softmax" and before(release, _ZEROES))
    if name in _REFUSE or changed:
        return _Refuses()
    if name in _MERGE:
        return _Merges(layer, modern=modern)
    if name == "TimeDistributed":
        inner = treatment_of(layer.layer, config, release)
        return _AlongTime(uses=inner.uses, makes=inner.makes)
    if isinstance(layer, EachPosition):
        net: Any = layer.inside
        return _AlongTime(uses=net.uses_masks, makes=net.makes_masks)
    if name == "Concatenate":
        return _Concatenates(layer)
    if name == "MultiHeadAttention":
        return _AttendsInHeads(layer)
    if name == "Softmax":
        return _Normalizes(modern=modern)
    if name == "Masking" or getattr(layer, "mask_zero", False):
        return _Makes(layer) if name in ("Masking", "Embedding") else _Refuses()
    return _OTHERS.get(name, Treatment)()


def _with_channels(mask: Tensor, value: Tensor) -> Tensor:
    """Return a mask expanded to the axes of its value."""
    return mask.reshape(*mask.shape, *[1] * (value.dim() - mask.dim())).expand(value.shape)
