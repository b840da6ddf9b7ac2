"""The format of a saved file, by its content rather than its suffix. Reads no pickle."""

import lzma
import tarfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path

from genolift.errors import InputError
from genolift.files.integrity import opened_archive

_OF_MODELS = (
    *(".pt", ".pth", ".pt2", ".ckpt", ".bin", ".pkl", ".safetensors"),
    *(".keras", ".h5", ".hdf5", ".json", ".yaml", ".pb"),
)
"""Suffixes of models' files."""
_COMPRESSED = {b"\x1f\x8b\x08": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}
"""First bytes of compressed files, and the command that compresses them."""
_SHOWN = 3


class Form(Enum):
    """A file's format, in the words of an error."""

    PROGRAM = "an exported program"
    COMPILED = "a compiled program (AOTInductor)"
    TORCHSCRIPT = "TorchScript"
    PICKLE = "a pickle"
    SAFETENSORS = "safetensors"
    HDF5 = "HDF5"
    KERAS = "a Keras archive"
    JSON = "JSON"
    NUMPY = "numpy arrays"
    ONNX = "ONNX"
    UNKNOWN = "neither a zip archive nor a pickle"


def form_of(path: Path) -> Form:
    """Return what a file is.

    Raises
    ------
    InputError
        If it is empty, a truncated zip archive, a Git LFS pointer instead of the file, or a zip, tar, gzip,
        bzip2 or xz archive of a model's file or folder.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        raise InputError("is empty", where=f"model.path: {path}", remedy="copy it again")
    if start.startswith(b"version https://git-lfs"):
        raise InputError(
            "is a Git LFS pointer, not the file itself",
            where=f"model.path: {path}",
            remedy="run git lfs pull",
        )
    if start.startswith(b"PK\x03\x04"):
        return _form_of_zip(path)
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return Form.HDF5
    if start.startswith(b"\x93NUMPY"):
        return Form.NUMPY
    if start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05":
        return Form.PICKLE
    if start[8:9] == b"{" and 0 < int.from_bytes(start[:8], "little") < max(size, 1 << 27):
        return Form.SAFETENSORS
    if (packed := _unpacking(path, start)) is not None:
        raise _packed(path, *packed)
    if start.lstrip()[:1] == b"{":
        return Form.JSON
    if start[:1] == b"\x08" and path.suffix == ".onnx":
        return Form.ONNX
    return Form.UNKNOWN


def _form_of_zip(path: Path) -> Form:
    with opened_archive(path, "model.path") as archive:
        names = archive.namelist()
    within = {name.partition("/")[2] for name in names}  # torch's archives have one top folder
    if any(name.startswith("models/") for name in within) or "serialized_exported_program.json" in names:
        return Form.PROGRAM
    if any("aotinductor/" in name for name in within):
        return Form.COMPILED
    if "archive_format" in within:
        return Form.PROGRAM
    if "constants.pkl" in within:
        return Form.TORCHSCRIPT
    if "data.pkl" in within:
        return Form.PICKLE
    if "config.json" in names and any(name.endswith(".weights.h5") for name in names):
        return Form.KERAS
    if names and all(name.endswith(".npy") for name in names):
        return Form.NUMPY
    files = [name for name in names if not name.endswith("/")]
    models = [name for name in files if name.lower().endswith(_OF_MODELS)]
    if models:
        raise _packed(path, "a zip archive", "unzip it", models)
    return Form.UNKNOWN


def _unpacking(path: Path, start: bytes) -> tuple[str, str] | None:
    """Return a packed file's format and how to unpack it; None for other files."""
    kind = next((kind for magic, kind in _COMPRESSED.items() if start.startswith(magic)), "")
    if start.strip(b"\0"):  # tarfile takes a file of zeros for an empty archive
        with suppress(EOFError, zlib.error, lzma.LZMAError):
            if tarfile.is_tarfile(path):
                packed = f"a tar archive compressed with {kind}" if kind else "a tar archive"
                return packed, f"unpack it (tar -xf {path.name})"
    unpacked = path.stem if path.suffix else f"{path.name}.unpacked"
    return (f"compressed with {kind}", f"unpack it ({kind} -dc {path.name} > {unpacked})") if kind else None


def _packed(path: Path, kind: str, command: str, models: Sequence[str] = ()) -> InputError:
    holds, give = "", "what is in it"
    if len(models) == 1:
        holds, give = f" that holds {models[0]}", models[0]
    elif models:
        shown = ", ".join(models[:_SHOWN]) + (" ..." if len(models) > _SHOWN else "")
        holds, give = f" that holds {len(models)} files of models ({shown})", "one of them"
    return InputError(
        f"is {kind}{holds}, not a model's file",
        where=f"model.path: {path}",
        remedy=f"{command} and give {give} as model.path",
    )
