"""The files of a model: a single one, the shards that an index lists, or a Hugging Face folder.

No weights are read, and torch is not needed: the workflow asks while it builds its graph of jobs.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genolift.errors import InputError, Refusal, refused_as
from genolift.files.whole import existing_file, sha256

_SUFFIX = ".index.json"
_IN_A_FOLDER = ("model.safetensors", "pytorch_model.bin")
"""Names of a folder's weights, alone or with an index of shards; the first that exists is read."""
_CONFIG = "config.json"
_MOST_BYTES = 2**26
"""Of an index, which has some 100 bytes per tensor."""


@dataclass(frozen=True)
class ShardedModel:
    """A model whose weights are in several files, or next to a description of it."""

    shards: Mapping[str, tuple[str, ...] | None]
    """The files of weights in the folder, each with the keys that the index lists for it; None for all."""
    folder: Path
    described: tuple[str, ...]
    """The other files that are read: the index, and the description of how the model was made."""

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that are read."""
        return tuple(self.folder / name for name in (*self.described, *self.shards))

    def settings(self) -> dict[str, Any]:
        """Return the folder's description of how the model was made; empty if there is none."""
        return _read(self.folder / _CONFIG) if _CONFIG in self.described else {}


def sharded(path: str | os.PathLike[str], where: str = "model.path") -> ShardedModel | None:
    """Return the files of an index or of a folder of weights; None for any other file or folder.

    Parameters
    ----------
    where
        The config's key, for errors.

    Raises
    ------
    InputError
        If an index cannot be read or names something outside its folder, or a shard is missing.
    """
    given = Path(path)
    if not _is_there(given):
        return None
    if given.is_dir():
        held = [given / f"{name}{end}" for name in _IN_A_FOLDER for end in ("", _SUFFIX)]
        weights = next((file for file in held if file.is_file()), None)
        if weights is None:
            return None
    elif given.name.endswith(".json") and given.is_file() and _is_index(given):
        weights = given
    else:
        return None
    described = (_CONFIG,) if (weights.parent / _CONFIG).is_file() else ()
    if not weights.name.endswith(_SUFFIX) and weights != given:
        return ShardedModel({weights.name: None}, weights.parent, described)
    return ShardedModel(_shards(weights, where), weights.parent, (weights.name, *described))


def _is_there(given: Path) -> bool:
    """Whether a path exists; a name that is too long for any file does not."""
    try:
        return given.exists()
    except OSError:
        return False


def model_files(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Return the files that a model's path stands for: itself, if it is a file.

    Raises
    ------
    InputError
        As `sharded`.
    """
    found = sharded(path)
    return (str(path),) if found is None else tuple(map(str, found.files))


def existing_model(path: str | os.PathLike[str], *, where: str = "model.path") -> Path:
    """Return a model's path if its files are there.

    Raises
    ------
    InputError
        If one is missing, or the path is a folder without weights.
    """
    given = Path(path)
    found = sharded(given, where)
    if found is not None:
        for file in found.files:
            existing_file(file, where=where)
        return given
    if not _is_there(given):
        return existing_file(given, where=where)
    if given.is_dir() and not (given / "saved_model.pb").is_file():
        raise InputError(
            "is a folder without weights",
            where=f"{where}: {given}",
            remedy="name a file in it, or a folder that holds " + " or ".join(_IN_A_FOLDER),
        )
    return given if given.is_dir() else existing_file(given, where=where)


def model_sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a model's file; for several, that of ``sha256sum``'s output for them by name."""
    found = sharded(path)
    if found is None:
        return sha256(path)
    told = "".join(f"{digest}  {name}\n" for name, digest in file_digests(path).items())
    return hashlib.sha256(told.encode()).hexdigest()


def file_digests(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return the SHA-256 by sorted name of a model's files, if it has several; else nothing."""
    found = sharded(path)
    files = () if found is None else found.files
    return {file.name: sha256(file) for file in sorted(files, key=lambda file: file.name)}


def _is_index(path: Path) -> bool:
    if path.name.endswith(_SUFFIX):
        return True
    try:
        with path.open("rb") as file:
            return b'"weight_map"' in file.read(2**16)
    except OSError:
        return False


def _shards(index: Path, where: str) -> dict[str, tuple[str, ...] | None]:
    told = _read(index).get("weight_map")
    if not isinstance(told, dict) or not told:
        raise InputError("has no weight_map", where=f"{where}: {index}", remedy="copy it again")
    shards: dict[str, list[str]] = {}
    for key, name in told.items():
        if not isinstance(name, str) or Path(name).name != name or name in ("", ".", ".."):
            raise InputError(
                f"names {str(name)[:60]!r}, which is not a file next to it",
                where=f"{where}: {index}, {key}",
                remedy="name files in the index's own folder",
            )
        shards.setdefault(name, []).append(key)
    missing = [name for name in shards if not (index.parent / name).is_file()]
    if missing:
        more = f", and {len(missing) - 1} more of {len(shards)} shards" if len(missing) > 1 else ""
        raise InputError(
            f"names {missing[0]}, which is not next to it{more}",
            where=f"{where}: {index}",
            remedy=f"copy {'them' if more else 'it'} into {index.parent}",
        )
    return {name: tuple(keys) for name, keys in shards.items()}


def _read(path: Path) -> dict[str, Any]:
    refusal = Refusal("cannot be read as JSON", f"model.path: {path}", "copy it again")
    with refused_as(refusal, (OSError, ValueError, RecursionError)):
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("it is longer than any model's")
        told: dict[str, Any] = json.loads(path.read_bytes())
        if not isinstance(told, dict):
            raise ValueError("it is not a mapping")
    return told
