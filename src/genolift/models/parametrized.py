"""Weight norm and spectral norm, under the names of all torch versions, and as plain weights.

Both store a layer's weight in parts. ``torch.nn.utils.weight_norm`` and ``spectral_norm`` write
``weight_g``, ``weight_v`` and ``weight_orig``, ``weight_u``, ``weight_v``; for the same
``torch.nn.utils.parametrizations`` has ``parametrizations.weight.original0`` and the like.
``torch.nn.utils.prune`` writes ``weight_orig`` and ``weight_mask``.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, MutableMapping
from typing import Any

from torch import Tensor
from torch.linalg import vector_norm

_OLD = re.compile(r"(?P<layer>(?:.*\.)?)(?P<weight>\w+)_(?P<part>g|v|u|orig)")
_NEW = re.compile(r"(?P<layer>(?:.*\.)?)parametrizations\.(?P<weight>\w+)\.(?P<part>original[01]?|0\._[uv])")
_NEW_NAMES = {"g": ("original0",), "v": ("original1", "0._v"), "u": ("0._u",), "orig": ("original",)}
_PARTS = (("g", "v"), ("orig", "u", "v"), ("orig", "mask"))
_OLD_NAMES = {new: old for old, names in _NEW_NAMES.items() for new in names}


def spellings(key: str) -> Iterator[str]:
    """Yield the names that torch versions use for a key, the given one first."""
    yield key
    if new := _NEW.fullmatch(key):
        yield f"{new['layer']}{new['weight']}_{_OLD_NAMES[new['part']]}"
    elif old := _OLD.fullmatch(key):
        for part in _NEW_NAMES[old["part"]]:
            yield f"{old['layer']}parametrizations.{old['weight']}.{part}"


def kept_as(key: str) -> Iterator[str]:
    """Yield the keys that a file may have for a class's key: all that describe the same weight."""
    yield from without_norm([key])
    for part in ("v", "orig"):
        yield from spellings(f"{key}_{part}")


def without_norm(keys: Iterable[str]) -> set[str]:
    """Return the keys of the plain weights to which these parts belong."""
    old = (_OLD.fullmatch(name) for key in keys for name in spellings(key))
    return {f"{found['layer']}{found['weight']}" for found in old if found}


def made_plain(
    weights: MutableMapping[str, Any], wanted: Collection[str], transposed: Collection[str]
) -> None:
    """Replace a norm's parts by the weight that they make, if the class has it without the norm.

    Parameters
    ----------
    weights
        By key. Changed in place.
    wanted
        The class's keys.
    transposed
        The keys of weights of transposed convolutions, whose output channels are on axis 1.
    """
    for key in wanted:
        if key in weights:
            continue
        for kind in _PARTS:
            parts = {part: _first(weights, f"{key}_{part}") for part in kind}
            names = [name for name in parts.values() if name is not None]
            if len(names) < len(parts) or not all(isinstance(weights[name], Tensor) for name in names):
                continue
            made = _made({part: weights[name] for part, name in parts.items() if name}, key in transposed)
            if made is not None:
                for name in names:
                    del weights[name]
                weights[key] = made
                break


def given_norm(weights: MutableMapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Replace a plain weight by the two parts of weight norm, if the class has it with the norm.

    ``weights`` is changed in place. The norms are those of the weight, so the weight stays the same.
    """
    for key, value in wanted.items():
        found = next((_OLD.fullmatch(name) for name in spellings(key) if _OLD.fullmatch(name)), None)
        if found is None or found["part"] != "g" or key in weights or not isinstance(value, Tensor):
            continue
        plain = f"{found['layer']}{found['weight']}"
        direction = next((name for name in spellings(f"{plain}_v") if name in wanted), None)
        weight = weights.get(plain)
        if direction is None or plain in wanted or not isinstance(weight, Tensor):
            continue
        length = _length(weight, value)
        if length is not None:
            del weights[plain]
            weights[key], weights[direction] = length.reshape(value.shape), weight


def _first(weights: Mapping[str, Any], key: str) -> str | None:
    return next((name for name in spellings(key) if name in weights), None)


def _made(parts: Mapping[str, Tensor], transposed: bool) -> Tensor | None:
    """Return the weight that the parts make; None if their shapes do not fit."""
    if "mask" in parts:
        fits = parts["mask"].shape == parts["orig"].shape
        return parts["orig"] * parts["mask"].to(parts["orig"].dtype) if fits else None
    if "g" in parts:
        length = _length(parts["v"], parts["g"])
        return None if length is None else parts["v"] * (parts["g"] / length)
    weight, u, v = parts["orig"], parts["u"], parts["v"]
    for axis in (1, 0) if transposed else (0, 1):
        fits = u.numel() * v.numel() == weight.numel() and u.ndim == v.ndim == 1
        if fits and u.shape == weight.shape[axis : axis + 1]:
            matrix = weight.movedim(axis, 0).flatten(1)
            return weight / (u @ matrix @ v)
    return None


def _length(weight: Tensor, like: Tensor) -> Tensor | None:
    """Return the norms of a weight's slices, one for each of ``like``; None if it has other slices."""
    if like.ndim == 0:
        return vector_norm(weight)
    if like.ndim != weight.ndim:
        return None
    along = [axis for axis, size in enumerate(like.shape) if size == 1]
    sizes = [size if axis in along else weight.shape[axis] for axis, size in enumerate(like.shape)]
    if not along or list(like.shape) != sizes:
        return None
    return vector_norm(weight, dim=along, keepdim=True)
