"""What a model or a layer returns: all its tensors, and whether they are numbers."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from genolift.engine.torch_internals import tree_leaves
from genolift.errors import InputError


def tensors_of(output: Any) -> list[Tensor]:
    """Return all tensors of what a model or a layer returns, in order."""
    if is_dataclass(output) and not isinstance(output, type):
        output = [getattr(output, each.name) for each in fields(output)]
    return [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]


def check_finite(values: Tensor, called: Callable[[int], str], output: str = "") -> None:
    """Raise `InputError` if a value of a model's output is NaN or infinite.

    Parameters
    ----------
    values
        (row, ...).
    called
        Returns what messages call a row.
    output
        The output's name, where the model has several.
    """
    bad = ~torch.isfinite(values).reshape(len(values), -1)
    if bool(bad.any()):
        row = int(bad.any(1).nonzero()[0])
        kind = "NaN" if bool(torch.isnan(values[row]).any()) else "infinite"
        raise InputError(
            f"the model's output{f' {output}' if output else ''} is {kind}",
            where=called(row),
            remedy="check its weights, and that the sequences are what it was trained on",
        )
