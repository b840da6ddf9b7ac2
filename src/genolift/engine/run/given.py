"""What a caller gives: inputs and references as tensors, and what of an output is explained."""

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from genolift.errors import InputError


class Explained(Protocol):
    """How a target is read off the values that a graph puts out. Rows are on the first axis."""

    def of(self, output: Tensor) -> Tensor:
        """Return the target, (n,), of outputs (n, ...).

        Raises
        ------
        InputError
            If outputs of this shape have no such target.
        """
        ...

    def of_reference(self, reference_output: Tensor, output: Tensor) -> Tensor:
        """Return the target, (n, r), of references' outputs (n or 1, r, ...); the sequences' are (n, ...)."""
        ...

    def seed(self, output: Tensor, r: int) -> Tensor:
        """Return the multipliers of the outputs of n r pairs, (n r, ...), given the sequences' (n, ...)."""
        ...


def as_tensor(values: Any, where: str) -> Tensor:
    """Return a tensor or array as a tensor cut off from autograd, inputs of whole numbers as float32.

    References stay the whole numbers that they are, bytes for one-hot ones, until a batch is placed.

    Raises
    ------
    InputError
        If it is neither, or inputs or references are complex.
    """
    if isinstance(values, np.ndarray):
        values = torch.from_numpy(values)
    if not isinstance(values, Tensor):
        raise InputError(f"is a {type(values).__name__}", where=where, remedy="give a tensor or an array")
    if values.is_complex() and where != "extra_inputs":
        raise InputError(
            "hold complex numbers",
            where=where,
            remedy="give real ones, such as real and imaginary parts as channels",
        )
    if where == "inputs" and not values.is_floating_point():
        values = values.float()
    return values.detach().clone() if values.is_inference() else values.detach()


def is_onehot(inputs: Tensor) -> bool:
    """Whether ``inputs`` is (n, 4, length) with one 1, or (at an N) nothing, in every column."""
    if inputs.dim() != 3 or inputs.shape[1] != 4:
        return False
    return bool(((inputs == 0) | (inputs == 1)).all()) and bool((inputs.sum(1) <= 1).all())
