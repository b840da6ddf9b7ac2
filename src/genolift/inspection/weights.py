"""The weights of a model: how many, their SHA-256, and what a file of weights alone shows."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genolift.models import Model
from genolift.models.weights import saved_weights

_PREFIXES = ("module.", "model.", "_orig_mod.")
_NOT_WEIGHTS = ("num_batches_tracked", "seed_generator_state")
"""Only for training: a count, and a dropout's state."""


@dataclass(frozen=True)
class Weights:
    """How many numbers a model has, their types, and their SHA-256, whatever file they are in."""

    parameters: int
    buffers: int
    bytes: int
    dtypes: tuple[tuple[str, int], ...]
    """How many numbers have each type."""
    sha256: str


@dataclass(frozen=True)
class Layer:
    """A tensor in a file, and what it probably is."""

    key: str
    shape: tuple[int, ...]
    guess: str


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights without a model."""

    path: str
    tensors: int
    weights: Weights
    layers: tuple[Layer, ...]
    axes: str | None
    """The axes of the input, by the first convolution."""
    channels: int | None
    outputs: int | None
    settings: Mapping[str, Any]
    """What a checkpoint says about how its model was made."""


def weights_of(model: Model) -> Weights:
    """Describe the weights of a model."""
    state = model.state_dict() if isinstance(model, nn.Module) else model.state_dict
    trained = {name for name, _ in model.named_parameters()}
    return weights_in(state, trained or None)  # a program made from TorchScript has only buffers


def weights_in(state: Mapping[str, Tensor], trained: set[str] | None = None) -> Weights:
    """Describe weights; ``trained`` are the names of the parameters, None for all."""
    held = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    kept = {name: value for name, value in held.items() if not name.endswith(_NOT_WEIGHTS)}
    numbers: Counter[str] = Counter()
    for value in kept.values():
        numbers[str(value.dtype).removeprefix("torch.")] += value.numel()
    parameters = sum(value.numel() for name, value in kept.items() if trained is None or name in trained)
    return Weights(
        parameters,
        sum(value.numel() for value in kept.values()) - parameters,
        sum(value.numel() * value.element_size() for value in kept.values()),
        tuple(numbers.most_common()),
        weights_sha256(kept),
    )


def weights_sha256(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names, shapes and values, which does not depend on the file."""
    names = list(state)
    for prefix in _PREFIXES:
        if names and all(name.startswith(prefix) for name in names):
            names = [name.removeprefix(prefix) for name in names]
            state = dict(zip(names, state.values(), strict=True))
    digest = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def read_weights_file(path: str, *, trust: bool, digest: str | None = None) -> WeightsFile:
    """Return what a file of weights shows without its class.

    Raises
    ------
    InputError
        If it is something else, or could run code when read.
    """
    held = saved_weights(Path(path), digest, trust=trust)
    state = held.tensors
    layers = tuple(
        Layer(key, tuple(value.shape), _guess(key, tuple(value.shape))) for key, value in state.items()
    )
    axes, channels = _first_convolution(layers)
    wide = [layer for layer in layers if len(layer.shape) > 1]
    return WeightsFile(
        path,
        len(layers),
        weights_in(state),
        layers,
        axes,
        channels,
        wide[-1].shape[0] if wide and wide[-1].guess.startswith(("dense", "convolution")) else None,
        held.settings,
    )


def _guess(key: str, shape: tuple[int, ...]) -> str:
    name = key.rpartition(".")[2]
    if name.startswith(("weight_ih", "weight_hh", "bias_ih", "bias_hh")):
        return "recurrent layer"
    if name in ("running_mean", "running_var", "num_batches_tracked"):
        return "batch norm"
    if len(shape) == 1:
        return "bias" if "bias" in name else "norm or scale" if "weight" in name else ""
    if len(shape) == 2:
        return f"dense, {shape[1]} to {shape[0]}"
    if len(shape) in (3, 4):
        width = " x ".join(map(str, shape[2:]))
        return f"convolution, {shape[1]} to {shape[0]} channels, {width} wide"
    return ""


def _first_convolution(layers: tuple[Layer, ...]) -> tuple[str | None, int | None]:
    """Return the axes and channels of the input, by the first convolution's shape."""
    for layer in layers:
        _, *shape = layer.shape
        if len(shape) == 2:
            return "bases,length", shape[0]
        if len(shape) == 3:
            channels, high, wide = shape
            if channels == 1:
                axes = "1,bases,length" if high in (4, 5) else "1,length,bases"
                return (axes, high if high in (4, 5) else wide) if {high, wide} & {4, 5} else (None, None)
            return ("bases,1,length" if high == 1 else "bases,length,1"), channels
    return None, None
