"""Several tensors as one: flattened side by side, so that the engine sees a single input."""

import math
from collections.abc import Callable, Sequence
from types import EllipsisType
from typing import Any

import torch
from torch import Tensor, nn

from genolift.engine.run.given import as_tensor
from genolift.errors import InputError

Piece = tuple[slice | EllipsisType, tuple[int, ...]]
"""Where one of several inputs lies in the flat one, ... if it is all of it, and its own event."""


class Joined(nn.Module):
    """A model or function of several inputs as a model of one flat input, (n, total)."""

    tasks: Sequence[str] = ()

    def __init__(self, model: Callable[..., Any], pieces: Sequence[Piece]) -> None:
        super().__init__()
        self.model, self.pieces = model, list(pieces)

    def forward(self, flat: Tensor, *extra_inputs: Tensor) -> Any:
        """Return the model's output for its inputs side by side, (n, total), and its further arguments."""
        inputs = [flat[:, place].reshape(-1, *event) for place, event in self.pieces]
        return self.model(*inputs, *extra_inputs)


def joined(inputs: Sequence[Any]) -> tuple[Tensor, list[Piece]]:
    """Return inputs, each (n, *event), as one, (n, total), and where each lies in it.

    Raises
    ------
    InputError
        If there is none, or they have different numbers of rows.
    """
    tensors = [as_tensor(each, "inputs") for each in inputs]
    if not tensors:
        raise InputError("there is no input", where="inputs", remedy="give at least one")
    numbers = {len(tensor) for tensor in tensors}
    if len(numbers) != 1:
        raise InputError(
            f"have {', '.join(str(len(tensor)) for tensor in tensors)} rows",
            where="inputs",
            remedy="give as many rows of each",
        )
    pieces: list[Piece] = []
    start = 0
    for tensor in tensors:
        event = tuple(tensor.shape[1:])
        pieces.append((slice(start, start + math.prod(event)), event))
        start += math.prod(event)
    return torch.cat([tensor.reshape(len(tensor), -1) for tensor in tensors], 1), pieces
