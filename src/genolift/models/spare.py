"""Keys that only the file or only the class may have without changing outputs.

Only keys known to be irrelevant are ignored: by its name alone, a key could be a layer's.
"""

import pickletools
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

EXTRA_STATE = "_extra_state"
"""The last part of a key from a module's ``get_extra_state``, with a value of any type."""
_COUNTS = ("total_ops", "total_params", "num_batches_tracked")
"""Numbers stored with a layer: thop's counts, and a batch norm's number of training steps."""


def is_extra_state(key: str) -> bool:
    """Whether a key holds a module's extra state."""
    return key.rpartition(".")[2] == EXTRA_STATE


def is_optional(key: str, wanted: Mapping[str, Any]) -> bool:
    """Whether a class's key may be missing: evaluation does not use it, or the class computes it."""
    value, name = wanted[key], key.rpartition(".")[2]
    if is_extra_state(key):
        return value is None
    return name == "num_batches_tracked" or (isinstance(value, Tensor) and _is_constant(name, value))


def is_spare(key: str, value: Any, computed: Mapping[str, Tensor]) -> bool:
    """Whether a file's key is irrelevant to a class that lacks it.

    Parameters
    ----------
    computed
        Buffers that the class computes and does not save; other versions of it may save them.
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
    """Return a model's buffers that are not saved."""
    saved = model.state_dict().keys()
    return {key: value for key, value in model.named_buffers() if key not in saved}


def may_hold_code(state: Any) -> bool:
    """Whether a module's extra state is or contains a pickle, which the module may read."""
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
    """Whether a buffer holds numbers that every class of its kind computes, by transformers' names."""
    if is_lazy(value) or value.is_meta or value.dtype.is_floating_point or value.dtype.is_complex:
        return False
    if name == "position_ids":
        return bool((value == torch.arange(value.shape[-1] if value.ndim else 1)).all())
    return name == "token_type_ids" and not value.any()
