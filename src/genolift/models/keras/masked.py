"""Keras's layers that compute something different under a mask, as torch modules.

Masks are (row, position), true at the positions that count. Keras's own layers on torch give other numbers
than on TensorFlow if a row has no such position, or look for the mask on the tensor.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import torch
from torch import Tensor, nn


class MaskedOut(nn.Module):
    """A Keras Masking layer: zeros where all channels have the mask value."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.value = layer.mask_value

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the inputs, with zeros at masked positions."""
        if self.value == 0:
            return inputs
        return torch.where((inputs != self.value).any(-1, keepdim=True), inputs, 0.0)


class Product(nn.Module):
    """A Multiply layer of Keras 3 under masks: masked values are left out; if all are masked it gives 0."""

    def forward(self, inputs: Sequence[Tensor], masks: Sequence[Tensor | None] | None = None) -> Tensor:
        """Return the product of the inputs."""
        masks = masks or [None] * len(inputs)
        product: Tensor | None = None
        for x, mask in zip(inputs, masks, strict=True):
            factor = x if mask is None else torch.where(mask[..., None], x, 1.0)
            product = factor if product is None else product * factor
        assert product is not None
        known = [mask for mask in masks if mask is not None]
        if len(known) < len(masks):
            return product
        return torch.where(torch.stack(known).any(0)[..., None], product, 0.0)


class Extreme(nn.Module):
    """A Maximum or Minimum layer of Keras 3 under masks: masked values are left out if others are not."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        of_two = {"Maximum": torch.maximum, "Minimum": torch.minimum}
        self.choose: Callable[[Tensor, Tensor], Tensor] = of_two[type(layer).__name__]

    def forward(self, inputs: Sequence[Tensor], masks: Sequence[Tensor | None] | None = None) -> Tensor:
        """Return the elementwise maximum or minimum of the inputs."""
        masks = masks or [None] * len(inputs)
        best, kept = inputs[0], masks[0]
        for x, mask in zip(inputs[1:], masks[1:], strict=True):
            if mask is not None:
                x = torch.where(mask[..., None], x, best)
            if kept is not None:
                best = torch.where(kept[..., None], best, x)
            kept = None if mask is None or kept is None else kept | mask
            best = self.choose(best, x)
        return best


class Attended(nn.Module):
    """A Keras Attention or AdditiveAttention layer under masks."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(
        self,
        inputs: Sequence[Tensor],
        mask: Sequence[Tensor | None] = (None, None),
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """Return the attended values for each query, with the attention weights if they are asked for.

        ``inputs`` are queries, values and perhaps keys, (row, position, channel), and ``mask`` their masks.
        """
        query, value, *key = inputs
        scores = self.layer._calculate_scores(query=query, key=key[0] if key else value)
        allowed = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device)
        allowed = allowed.tril() if use_causal_mask else allowed
        if mask[1] is not None:
            allowed = allowed & mask[1][:, None, :]
        weights = _shared_out(torch.softmax(scores, -1), allowed, (-1,), zeroes=False)
        result = weights @ value
        if mask[0] is not None:
            result = torch.where(mask[0][..., None], result, 0.0)
        return (result, weights) if return_attention_scores else result


class AttendedInHeads(nn.Module):
    """A Keras MultiHeadAttention layer under masks."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(
        self,
        query: Tensor,
        value: Tensor,
        key: Tensor | None = None,
        attention_mask: Tensor | None = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
        zeroes: bool = False,
    ) -> Any:
        """Return the attended values for each query, with the attention weights if they are asked for.

        ``attention_mask`` says which values each query may attend to, (row, query, value). A query that may
        attend to none has weights of 0 if ``zeroes``, else equal weights.
        """
        layer = self.layer
        allowed = layer._compute_attention_mask(
            query, value, attention_mask=attention_mask, use_causal_mask=use_causal_mask
        )
        gate = layer._gate_dense(query) if getattr(layer, "_use_gate", False) else None
        of_query = layer._query_dense(query) * layer._inverse_sqrt_key_dim
        of_key, of_value = layer._key_dense(value if key is None else key), layer._value_dense(value)
        scores = torch.einsum(layer._dot_product_equation, of_key, of_query)
        weights = layer._softmax(scores)
        if allowed is not None:
            while allowed.dim() < scores.dim():  # the axis of the heads, after that of the rows
                allowed = allowed.unsqueeze(-2 * len(layer._attention_axes) - 1)
            axes = tuple(range(-len(layer._attention_axes), 0))
            weights = _shared_out(weights, allowed, axes, zeroes=zeroes)
        result = torch.einsum(layer._combine_equation, weights, of_value)
        result = layer._output_dense(result if gate is None else result * gate)
        return (result, weights) if return_attention_scores else result


class Normalized(nn.Module):
    """A Softmax layer of Keras 2 under a mask, with equal weights where everything is masked."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer
        self.axes = tuple(layer.axis) if isinstance(layer.axis, (list, tuple)) else (layer.axis,)

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Any:
        """Return the softmax over the unmasked inputs; the mask has the same axes as the inputs."""
        weights = self.layer(inputs)
        return weights if mask is None else _shared_out(weights, mask, self.axes, zeroes=False)


def _shared_out(weights: Tensor, allowed: Tensor, axes: tuple[int, ...], *, zeroes: bool) -> Tensor:
    """Return the softmax over the allowed positions, given the softmax over all. Where none is allowed, the
    weights are equal, or 0 if ``zeroes``.

    Keras subtracts 1e9 from the scores of the other positions, which would swamp differences of scores where
    the sequence and its reference have different masks.
    """
    kept = torch.where(allowed, weights, 0.0)
    total = kept.sum(axes, keepdim=True)
    some = allowed.expand(weights.shape).any(axes[0], keepdim=True)
    for axis in axes[1:]:
        some = some.any(axis, keepdim=True)
    shares = kept / torch.where(some, total, 1.0)
    number = 1
    for axis in axes:
        number *= weights.shape[axis]
    return shares if zeroes else torch.where(some, shares, 1 / number)


_UNDER_MASKS: dict[Any, Callable[[Any], nn.Module]] = {
    keras.layers.AdditiveAttention: Attended,
    keras.layers.Attention: Attended,
    keras.layers.Maximum: Extreme,
    keras.layers.Minimum: Extreme,
    keras.layers.MultiHeadAttention: AttendedInHeads,
    keras.layers.Multiply: lambda layer: Product(),
    keras.layers.Softmax: Normalized,
}


def under_masks(layer: Any) -> nn.Module:
    """Return a torch module equivalent to a Keras layer, with its weights, that is called with masks."""
    return _UNDER_MASKS[type(layer)](layer)
