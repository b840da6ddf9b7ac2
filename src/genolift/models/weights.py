"""Weights read from a file without running code.

A pickle with anything but tensors, numpy numbers and arrays, and plain containers is refused, unless the user
sets ``trust``.
"""

import io
import logging
import pickle
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy._core import multiarray, numeric
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.serialization import safe_globals

from genolift.engine.graph.source import first_line
from genolift.errors import InputError, Refusal, few, refused_as
from genolift.files.integrity import check_file, check_sha256_of
from genolift.files.of_models import ShardedModel, model_sha256, sharded
from genolift.files.whole import existing_file
from genolift.models.forms import Form, form_of
from genolift.models.own_code import importable_from
from genolift.models.protocols import NotInProtocol2Error, in_protocol_2
from genolift.models.spare import is_extra_state

_LOG = logging.getLogger("genolift")
_HOLDING_WEIGHTS = ("state_dict", "model_state_dict", "model")
"""Keys under which common trainers store weights: Lightning, PyTorch's tutorials, timm and others."""
_OF_OTHERS: list[Any] = [
    bytes,  # protocol 2 writes empty bytes this way
    io.BytesIO,
    np.ndarray,
    np.dtype,
    *{type(np.dtype(code)) for code in f"{np.typecodes['AllInteger']}{np.typecodes['AllFloat']}?SUMm"},
    *(
        (getattr(module, name), f"numpy.{core}.{part}.{name}")
        for module, part, name in (
            (multiarray, "multiarray", "scalar"),
            (multiarray, "multiarray", "_reconstruct"),
            (numeric, "numeric", "_frombuffer"),
        )
        for core in ("core", "_core")  # as numpy 1 and 2 write them
    ),
]
"""Functions and types needed to unpickle numpy scalars and arrays of numbers, texts and dates, not of
structures or objects; and bytes, in which Transformer Engine stores a layer's extra state."""
_SCRIPT = "__main__"
_REFUSED_GLOBAL = re.compile(r"GLOBAL (\S+) was not an allowed global")
_REPEATED_BYTES = 2**30
"""The most bytes of a tensor that repeats its values in memory, such as a mask."""
_NUMBERS = "?bBhHiIlLqQefdFD"
"""numpy's types that torch has too."""


@dataclass(frozen=True)
class Weights:
    """A state dict, and its file's description of how the model was made."""

    values: dict[str, Any]
    """Tensors, and modules' extra state (``get_extra_state``), plain values of any type, by key."""
    settings: Mapping[str, Any]
    """A Lightning checkpoint's ``hyper_parameters``; empty if there are none."""

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All values but the extra state."""
        return {key: value for key, value in self.values.items() if not is_extra_state(key)}


def safetensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file.

    Raises
    ------
    InputError
        If it is damaged.
    """
    refusal = Refusal("is not a complete safetensors file", f"model.path: {path}", "copy it again")
    with refused_as(refusal, (Exception,)):  # of several types, one from Rust
        return load_file(path)


def unpickled(path: Path, trust: bool, script: Callable[[], ModuleType] | None = None) -> Any:
    """Return what torch.save wrote; without ``trust`` only tensors, numpy arrays and plain containers.

    Parameters
    ----------
    script
        Returns the module to use for the script that saved a trusted pickle (``__main__``); None if unknown.

    Raises
    ------
    InputError
        If it holds anything else, or cannot be read.
    """
    where = f"model.path: {path}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a pickle's protocol and the like
            if not trust:
                copied = in_protocol_2(path)
                with safe_globals(_OF_OTHERS):
                    return torch.load(copied or path, map_location="cpu", weights_only=True)
            with importable_from(path.resolve().parent), importable_from(Path.cwd()):
                reader: Any = _pickle_of(script, where)
                return torch.load(path, map_location="cpu", weights_only=False, pickle_module=reader)
    except InputError:
        raise
    except Exception as error:
        if isinstance(error, pickle.UnpicklingError) and not trust:
            raise _refused(path, where, error) from error
        if isinstance(error, ImportError | AttributeError) and trust:
            raise _not_found(error, where) from error
        raise InputError(
            f"cannot be read as PyTorch weights ({first_line(error)})",
            where=where,
            remedy="give a state dict (.pt, .pth), a .safetensors file or an exported program (.pt2)",
        ) from error


def _pickle_of(script: Callable[[], ModuleType] | None, where: str) -> ModuleType:
    """Return a pickle module for torch that looks up a script's objects in the given module."""

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if module != _SCRIPT:
                return super().find_class(module, name)
            if script is None:
                try:
                    return super().find_class(module, name)
                except AttributeError as error:
                    raise _not_in_script(name, where, None) from error
            found: Any = script()
            for part in name.split("."):
                if not hasattr(found, part):
                    raise _not_in_script(name, where, script().__file__)
                found = getattr(found, part)
            return found

    reader = ModuleType("pickle")
    vars(reader).update(vars(pickle), Unpickler=Unpickler)
    return reader


def _not_found(error: Exception, where: str) -> InputError:
    return InputError(
        f"was saved with code that cannot be found ({error})",
        where=where,
        remedy="run where its module can be imported, or save its state_dict() and name its class",
    )


def _not_in_script(name: str, where: str, file: str | None) -> InputError:
    but = "" if file is None else f", which {Path(file).name} does not"
    return InputError(
        f"was saved by a script that defines {name}{but}",
        where=where,
        remedy="name the class in the file of that script, class: path/to/script.py:Class",
    )


def _refused(path: Path, where: str, error: pickle.UnpicklingError) -> InputError:
    objects = [str(error)] if isinstance(error, NotInProtocol2Error) else _objects_in(path)
    objects = objects or _REFUSED_GLOBAL.findall(str(error))
    named = f" ({few(objects, 3)})" if objects else ""
    return InputError(
        f"holds pickled objects besides tensors{named}, which could run code when read",
        where=where,
        remedy="save its state_dict() and name its class, or, if you trust its source, set trust: true",
    )


def _objects_in(path: Path) -> list[str]:
    """Return the names that a pickle would import, without importing them; empty if they are unknown."""
    try:
        read = in_protocol_2(path) or str(path)
        with safe_globals(_OF_OTHERS):
            return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(read))
    except Exception:
        return []


def weights_of(saved: Any, path: Path) -> Weights:
    """Return the state dict in a file, at the top or within a trainer's checkpoint.

    Raises
    ------
    InputError
        If there is none.
    """
    where = f"model.path: {path}"
    if _is_state_dict(saved):
        return _weights(saved, {}, where)
    if not isinstance(saved, Mapping):
        raise InputError(
            f"holds a {type(saved).__name__}, not a state dict",
            where=where,
            remedy="save model.state_dict()",
        )
    if not saved:
        raise InputError("holds no weights", where=where, remedy="save model.state_dict()")
    settings = _settings(saved.get("hyper_parameters"))
    for key in _HOLDING_WEIGHTS:
        if _is_state_dict(saved.get(key)):
            others = [other for other in saved if other != key and _is_state_dict(saved[other], Tensor)]
            if others:
                _LOG.warning("%s: using the weights under %r; ignored: %s", path, key, few(others))
            return _weights(saved[key], settings, where)
    raise InputError(
        f"holds {few(saved)}, but no state dict",
        where=where,
        remedy=f"save model.state_dict(), alone or under {' or '.join(map(repr, _HOLDING_WEIGHTS))}",
    )


def _weights(saved: Mapping[str, Any], settings: Mapping[str, Any], where: str) -> Weights:
    extra = {key: value for key, value in saved.items() if is_extra_state(key)}
    tensors = {key: value for key, value in saved.items() if key not in extra}
    return Weights(_as_tensors(tensors, where) | extra, settings)


def _is_state_dict(value: Any, of: Any = (Tensor, np.ndarray)) -> bool:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        return False
    weights = [each for key, each in value.items() if not is_extra_state(key)]
    return (
        bool(weights)
        and all(isinstance(each, of) for each in weights)
        and all(each.dtype.char in _NUMBERS for each in weights if isinstance(each, np.ndarray))
    )


def _as_tensors(weights: Mapping[str, Tensor | np.ndarray[Any, Any]], where: str) -> dict[str, Tensor]:
    tensors = {}
    for key, value in weights.items():
        if not isinstance(value, Tensor):
            value = torch.from_numpy(value.astype(value.dtype.newbyteorder("="), order="C"))
        if kind := _unusual(value):
            raise InputError(
                f"{key} is {kind}", where=where, remedy="save the weights as ordinary tensors with values"
            )
        tensors[key] = value
    return tensors


def _unusual(value: Tensor) -> str:
    """Return the kind of a tensor without a stored value for every element; empty for others."""
    if value.is_nested or value.layout != torch.strided:
        return "a nested tensor" if value.is_nested else "a sparse tensor"
    if value.is_quantized:
        return "quantized"
    if value.is_meta:
        return "on the meta device, without values"
    stored, size = value.untyped_storage().nbytes(), value.numel() * value.element_size()
    if size > max(stored, _REPEATED_BYTES):
        return f"{size / 2**30:.3g} GiB made of {stored} bytes"
    return ""


def _settings(saved: Any) -> dict[str, Any]:
    """Return the arguments that a checkpoint says its model was made with, as plain values."""
    given = saved if isinstance(saved, Mapping) else {}
    return {key: value.item() if isinstance(value, np.generic) else value for key, value in given.items()}


def saved_weights(path: Path, digest: str | None, *, trust: bool) -> Weights:
    """Return the weights in a file, in the shards that an index lists, or in a folder.

    Parameters
    ----------
    digest
        The SHA-256 that the user says it has, see `model_sha256`.
    trust
        Whether to read a pickle that can run code.

    Raises
    ------
    InputError
        If it does not hold weights, is damaged, could run code when read, or a shard lacks keys that the
        index lists for it.
    """
    model = sharded(path)
    if model is None:
        return _in_file(path, digest, trust=trust)
    return _in_several(model, path, digest, trust=trust)


def _in_file(path: Path, digest: str | None, *, trust: bool) -> Weights:
    form = form_of(existing_file(path, where="model.path"))
    check_file(path, "model.path", digest)
    saved = in_form(form, path, trust)
    return weights_of(saved.state_dict(), path) if isinstance(saved, nn.Module) else saved


def in_form(
    form: Form, path: Path, trust: bool, script: Callable[[], ModuleType] | None = None
) -> Weights | nn.Module:
    """Return the weights in a file, or the module in a trusted pickle, at the top or as a trainer's "model".

    Raises
    ------
    InputError
        If the file is of another form, and as `unpickled` and `weights_of`.
    """
    if form is Form.SAFETENSORS:
        return weights_of(safetensors(path), path)
    if form is not Form.PICKLE:
        raise InputError(
            f"holds no weights that can be read: it is {form.value}",
            where=f"model.path: {path}",
            remedy="give a state dict (.pt, .pth), a .safetensors file or an exported program (.pt2)",
        )
    saved = unpickled(path, trust, script)
    module = saved.get("model") if isinstance(saved, Mapping) else saved
    return module if isinstance(module, nn.Module) else weights_of(saved, path)


def _in_several(model: ShardedModel, path: Path, digest: str | None, *, trust: bool) -> Weights:
    if digest is not None:
        check_sha256_of(model_sha256(path), digest, f"model.path: {path}")
    values: dict[str, Any] = {}
    for name, keys in model.shards.items():
        file = model.folder / name
        held = _in_file(file, None, trust=trust).values
        if missing := [key for key in keys or () if key not in held]:
            raise InputError(
                f"lacks {missing[0]}"
                + (f" and {len(missing) - 1} more keys" if len(missing) > 1 else "")
                + ", which the index lists for it",
                where=f"model.path: {file}",
                remedy="copy the shards and their index again, all from one place",
            )
        values |= {key: held[key] for key in keys or held}
    return Weights(values, model.settings())
