"""Several attributed inputs and their references as one: see `genolift.targets.joined`."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from genolift.engine.graph.trial_model import AS_TRAINED, ONE_SEQUENCE, TrialModel
from genolift.engine.run.given import as_tensor
from genolift.errors import InputError
from genolift.targets.joined import Piece


@contextmanager
def one_sequence_of_each_told(
    model: nn.Module | ExportedProgram, inputs: Sequence[Any], extra_inputs: Sequence[Any]
) -> Iterator[None]:
    """Say of a model that does not take several inputs if it takes them as one row each, x[None]."""
    try:
        yield
    except InputError as error:
        rows = [as_tensor(each, "inputs")[None] for each in inputs]
        if not rows or error.remedy != AS_TRAINED or any(row.dim() != 3 for row in rows):
            raise
        further = [as_tensor(each, "extra_inputs")[:1] for each in extra_inputs]
        if not TrialModel(model).takes(*rows, *further):
            raise
        raise InputError(error.what, where=error.where, remedy=ONE_SEQUENCE) from error


def joined_references(inputs: Sequence[Any], references: Any, pieces: Sequence[Piece]) -> Tensor:
    """Return references of several inputs as those of the joined one, (n, r, total) or (r, total).

    Each is (n, r, *event), (r, *event), or a function of its input that gives either. The same r of all
    inputs belong together.

    Raises
    ------
    InputError
        If there is not one for each input, or their shapes do not fit.
    """
    if not isinstance(references, (tuple, list)) or len(references) != len(inputs):
        raise InputError(
            f"there are {len(inputs)} inputs",
            where="references",
            remedy="give a tuple with the references of each",
        )
    flat = []
    for values, given, (_, event) in zip(inputs, references, pieces, strict=True):
        made = as_tensor(given(as_tensor(values, "inputs")) if callable(given) else given, "references")
        leading = made.dim() - len(event)
        if leading not in (1, 2) or made.shape[leading:] != event:
            raise InputError(
                f"references have the shape {tuple(made.shape)}, inputs (n, {', '.join(map(str, event))})",
                where="references",
                remedy="give reference[None]: one reference for all is (1, *event)"
                if leading == 0
                else "give (n, r, *event), or (r, *event) for the same references everywhere",
            )
        flat.append(made.reshape(*made.shape[:leading], math.prod(event)))
    numbers = [each.shape[-2] for each in flat]
    if len(set(numbers)) != 1:
        raise InputError(
            f"there are {', '.join(map(str, numbers))} references",
            where="references",
            remedy="give as many for each input",
        )
    if any(each.dim() == 3 for each in flat):
        n = len(inputs[0])
        flat = [each if each.dim() == 3 else each.expand(n, *each.shape) for each in flat]
    return torch.cat(flat, -1)
