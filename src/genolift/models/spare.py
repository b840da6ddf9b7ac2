"""What a file of weights may have beyond its class, and a class beyond its file, with the same outputs.

Only what is known to say nothing of a model is left out: a key by its name alone could be a layer's.
"""

from __future__ import annotations

import pickletools
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

EXTRA_STATE = "_extra_state"
"""The last part of a key that ``get_extra_state`` of a module gives, with a value of any type."""
_COUNTS = ("total_ops", "total_params", "num_batches_tracked")
"""Numbers that are kept beside a layer: those of thop, and how often a batch norm was trained."""


def is_extra_state(key: str) -> bool:
    """Whether a key holds what a module keeps besides tensors."""
    return key.rpartition(".")[2] == EXTRA_STATE


def is_optional(key: str, wanted: Mapping[str, Any]) -> bool:
    """Whether a class's key may be missing: evaluation does not use it, or has it from the class."""
    value, name = wanted[key], key.rpartition(".")[2]
    if is_extra_state(key):
        return value is None
    return name == "num_batches_tracked" or (isinstance(value, Tensor) and _is_constant(name, value))


def is_spare(key: str, value: Any, computed: Mapping[str, Tensor]) -> bool:
    """Whether a file's key is of no use to a class that has not got it.

    Parameters
    ----------
    computed
        The buffers that the class computes and does not save, as other versions of it may have.
    """
    if is_extra_state(key):
        return True
    if not isinstance(value, Tensor):
        return False
    name = key.rpartition(".")[2]
    if name in _COUNTS and value.numel() == 1:
        return True
    if key in computed and not is_lazy(computed[key]) and computed[key].shape == value.shape:
        return bool(torch.equal(computed[key].to(value.dtype), value))
    return _is_constant(name, value)


def computed_buffers(model: nn.Module) -> dict[str, Tensor]:
    """Return the buffers that a model has and does not save."""
    saved = model.state_dict().keys()
    return {key: value for key, value in model.named_buffers() if key not in saved}


def may_hold_code(state: Any) -> bool:
    """Whether something that a module keeps is or holds a pickle, which the module may read."""
    if isinstance(state, Mapping):
        return any(may_hold_code(each) for each in (*state.keys(), *state.values()))
    if isinstance(state, (list, tuple, set)):
        return any(map(may_hold_code, state))
    if isinstance(state, Tensor):
        return may_hold_code(state.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    if isinstance(state, str):
        return may_hold_code(state.encode("utf-8", "surrogatepass"))
    if isinstance(state, BytesIO):
        return may_hold_code(state.getvalue())
    if not isinstance(state, (bytes, bytearray)):
        return False
    if state[:2] == b"PK":
        return True
    try:
        return sum(1 for _ in pickletools.genops(bytes(state))) > 1
    except Exception:  # of many types
        return False


def _is_constant(name: str, value: Tensor) -> bool:
    """Whether something is numbers that any class of its kind makes, in the words of transformers."""
    if is_lazy(value) or value.is_meta or value.dtype.is_floating_point or value.dtype.is_complex:
        return False
    if name == "position_ids":
        return bool((value == torch.arange(value.shape[-1] if value.ndim else 1)).all())
    return name == "token_type_ids" and not value.any()
