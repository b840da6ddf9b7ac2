"""The weights of a model, in one file or several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from genolift.errors import InputError
from genolift.files.integrity import check_file, check_sha256_of
from genolift.files.of_models import ShardedModel, model_sha256, sharded
from genolift.files.whole import existing_file
from genolift.models.forms import Form, form_of
from genolift.models.weights import Weights, module_of, safetensors, unpickled, weights_of


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
    return (
        _in_file(path, digest, trust=trust)
        if model is None
        else _in_several(model, path, digest, trust=trust)
    )


def _in_file(path: Path, digest: str | None, *, trust: bool) -> Weights:
    form = form_of(existing_file(path, where="model.path"))
    if form not in (Form.SAFETENSORS, Form.PICKLE):
        raise InputError(
            f"is {form.value}, not a file of weights",
            where=f"model.path: {path}",
            remedy="give a state dict (.pt, .pth) or a .safetensors file",
        )
    check_file(path, "model.path", digest)
    saved: Any = safetensors(path) if form is Form.SAFETENSORS else unpickled(path, trust)
    module = module_of(saved)
    return weights_of(saved if module is None else module.state_dict(), path)


def _in_several(model: ShardedModel, path: Path, digest: str | None, *, trust: bool) -> Weights:
    if digest is not None:
        check_sha256_of(model_sha256(path), digest, f"model.path: {path}")
    tensors: dict[str, Tensor] = {}
    extra: dict[str, Any] = {}
    for name, keys in model.shards.items():
        file = model.folder / name
        held = _in_file(file, None, trust=trust)
        both = held.tensors | held.extra_state
        if missing := [key for key in keys or () if key not in both]:
            raise InputError(
                f"lacks {missing[0]}"
                + (f" and {len(missing) - 1} more keys" if len(missing) > 1 else "")
                + ", which the index lists for it",
                where=f"model.path: {file}",
                remedy="copy the shards and their index again, all from one place",
            )
        tensors |= {key: held.tensors[key] for key in keys or held.tensors if key in held.tensors}
        extra |= {key: held.extra_state[key] for key in keys or held.extra_state if key in held.extra_state}
    return Weights(tensors, extra, model.settings())
