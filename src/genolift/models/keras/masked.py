"""Keras's layers that compute otherwise under a mask, as torch modules.

Masks are true at the positions that count, (row, position). Keras's own layers on torch give other numbers
than on TensorFlow where a row has no such position, or look for the mask on the tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import torch
from torch import Tensor, nn


class MaskedOut(nn.Module):
    """A Masking layer of Keras: zeros where all channels have the one value."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.value = layer.mask_value

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the inputs, with zeros where they are masked."""
        if self.value == 0:
            return inputs
        return torch.where((inputs != self.value).any(-1, keepdim=True), inputs, 0.0)


class Product(nn.Module):
    """A Multiply layer of Keras 3 under masks: what is masked is no factor, and 0 where all is."""

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
    """A Maximum or Minimum layer of Keras 3 under masks: what is masked gives way to what is not."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        of_two = {"Maximum": torch.maximum, "Minimum": torch.minimum}
        self.choose: Callable[[Tensor, Tensor], Tensor] = of_two[type(layer).__name__]

    def forward(self, inputs: Sequence[Tensor], masks: Sequence[Tensor | None] | None = None) -> Tensor:
        """Return the largest or smallest of the inputs."""
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
    """An Attention or AdditiveAttention layer of Keras under masks."""

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
        """Return what each query attends to; beside it the weights where they are asked for.

        ``inputs`` are queries, values and perhaps keys, (row, position, channel), and ``mask`` theirs.
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
    """A MultiHeadAttention layer of Keras under masks."""

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
        """Return what each query attends to; beside it the weights where they are asked for.

        ``attention_mask`` says for each query which values it may look at, (row, query, value). Where it may
        look at none, the weights are 0 if ``zeroes``, else equal.
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
            while allowed.dim() < scores.dim():  # the heads, behind the row
                allowed = allowed.unsqueeze(-2 * len(layer._attention_axes) - 1)
            axes = tuple(range(-len(layer._attention_axes), 0))
            weights = _shared_out(weights, allowed, axes, zeroes=zeroes)
        result = torch.einsum(layer._combine_equation, weights, of_value)
        result = layer._output_dense(result if gate is None else result * gate)
        return (result, weights) if return_attention_scores else result


class Normalized(nn.Module):
    """A Softmax layer of Keras 2 under a mask, with equal weights where all is masked."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer
        self.axes = tuple(layer.axis) if isinstance(layer.axis, (list, tuple)) else (layer.axis,)

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Any:
        """Return the softmax of the inputs that count; the mask has their axes."""
        weights = self.layer(inputs)
        return weights if mask is None else _shared_out(weights, mask, self.axes, zeroes=False)


def _shared_out(weights: Tensor, allowed: Tensor, axes: tuple[int, ...], *, zeroes: bool) -> Tensor:
    """Return a softmax of what is allowed alone, given that of all. Where nothing is, all have equal weights,
    or 0 if ``zeroes``.

    Keras subtracts 1e9 from the scores of the rest, beside which a difference of scores would be lost where a
    mask is not that of the reference.
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
    """Return a torch module in the place of a filled layer of Keras that is called with masks."""
    return _UNDER_MASKS[type(layer)](layer)
