"""Reads a written model with genolift: how far its outputs are from TensorFlow's, or why it is refused."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import genolift
from genolift.errors import InputError
from keras_agreement.forms import spec_of

LARGEST_ERROR = 1e-5
"""For an output, relative to the largest."""
LARGEST_LOSS = 1e-9
"""For a sum of contributions, in float64, relative to the largest change of the output."""


@dataclass(frozen=True)
class Read:
    """The outcome for one file: exactly one of ``error``, ``refused``, ``fault`` and ``unwritten`` is set."""

    error: float | None = None
    """The largest difference of an output, relative to the largest output."""
    refused: str | None = None
    """genolift's message to its user."""
    reason: str | None = None
    """The part of it that says what is wrong, without the place and the remedy."""
    fault: str | None = None
    """Any other exception, which no user should see."""
    unwritten: str | None = None
    """Why Keras itself did not run or write the model."""

    @property
    def right(self) -> bool:
        """Whether the outputs agree with the author's."""
        return self.error is not None and self.error <= LARGEST_ERROR


def read(folder: Path, files: tuple[str, ...]) -> Read:
    """Return the outcome for the files of one form in a folder with ``values.npz``."""
    try:
        model, inputs, outputs = loaded(folder, files)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given = tensors_of(model(*inputs))
    except InputError as error:
        said = str(error).replace(str(folder), "FOLDER")
        return Read(refused=said, reason=error.what)
    except Exception as error:  # a fault of ours, listed with the others
        return Read(fault=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
    if len(given) != len(outputs):
        return Read(fault=f"{len(given)} outputs in the place of {len(outputs)}")
    return Read(error=max(error_of(ours, theirs) for ours, theirs in zip(given, outputs, strict=True)))


def loaded(folder: Path, files: tuple[str, ...]) -> tuple[Any, list[Tensor], list[np.ndarray]]:
    """Return a model, its inputs, and TensorFlow's outputs for them."""
    with np.load(folder / "values.npz", allow_pickle=False) as saved:
        values = {key: saved[key] for key in saved.files}
    inputs = [torch.as_tensor(values[name]) for name in values["names"].tolist()]
    inputs[0] = inputs[0].transpose(1, 2).contiguous()
    outputs = [values[f"y{number}"] for number in range(len(values)) if f"y{number}" in values]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return genolift.load_model(spec_of(str(folder), files)), inputs, outputs


def tensors_of(output: Any) -> list[Tensor]:
    """Return a model's outputs, one or several by name, in order."""
    if isinstance(output, dict):
        output = list(output.values())
    return list(output) if isinstance(output, (list, tuple)) else [output]


def error_of(ours: Tensor, theirs: np.ndarray) -> float:
    """Return the largest difference, relative to the largest number; infinite if shapes differ."""
    if tuple(ours.shape) != theirs.shape:
        return float("inf")
    largest = np.abs(theirs).max(initial=0)
    difference = np.abs(ours.numpy() - theirs).max(initial=0)
    return float("inf") if np.isnan(difference) else float(difference / (largest or 1))


def loss_of(model: Any, inputs: list[Tensor]) -> float:
    """Return how far the contributions' sum is from the outputs' difference, relative to its largest."""

    def weighted(output: Any) -> Tensor:
        flat = torch.cat([each.flatten(1) for each in tensors_of(output)], 1)
        return flat @ torch.cos(torch.arange(flat.shape[1], dtype=flat.dtype) * 1.7)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explained = genolift.deeplift(
            model,
            inputs[0],
            references=inputs[0].flip(0)[:, None],
            target=weighted,
            extra_inputs=tuple(inputs[1:]),
            device="cpu",
            precision="float64",  # only a rule that loses something is off by more than rounding
        )
    change = (explained.output[:, None] - explained.reference_output).abs().max()
    return float(explained.convergence_error.max() / (change or 1))
