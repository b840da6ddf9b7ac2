"""Sequences, stored or random, and their extra inputs, as torch tensors."""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from genolift.data.alphabet import onehot_of_codes
from genolift.data.extra_inputs import ExtraInputs, example_of
from genolift.data.stored_sequences import Sequences
from genolift.settings.extra_inputs import Extras


def as_tensors(extras: Iterable[NDArray[np.float32]]) -> tuple[Tensor, ...]:
    """Return extra inputs as tensors."""
    return tuple(torch.from_numpy(np.ascontiguousarray(values)) for values in extras)


def first_two(stored: Sequences, extras: ExtraInputs) -> tuple[Tensor, tuple[Tensor, ...], list[str]]:
    """Return the first two sequences, float32 (2, 4, position), their extra inputs, and their names for
    messages; a single sequence twice.
    """
    rows = range(min(2, len(stored.key)))
    twice = [*rows, *rows][:2]
    onehot = torch.from_numpy(onehot_of_codes(stored.codes[rows.start : rows.stop])).float()
    return onehot[twice], tuple(values[twice] for values in as_tensors(extras.of(rows))), stored.names(twice)


def example_rows(spec: Extras, length: int, n: int = 1) -> tuple[Tensor, ...]:
    """Return n equal rows of extra inputs for sequences that are not stored, see `example_of`."""
    rows = as_tensors(example_of(spec, length))
    return tuple(row.expand(n, *row.shape[1:]).contiguous() for row in rows)


def random_onehot(n: int, length: int, seed: int = 0) -> Tensor:
    """Return random DNA, float32 (n, 4, length)."""
    codes = torch.randint(4, (n, length), generator=torch.Generator().manual_seed(seed))
    return one_hot(codes, 4).transpose(1, 2).float().contiguous()
