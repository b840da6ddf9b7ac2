"""What a saved file is, by what it holds: a suffix says what somebody called it. Reads no pickle."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from genolift.errors import InputError
from genolift.models.integrity import opened_archive


class Form(Enum):
    """What a file holds, in the words of an error."""

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
        If it is empty, a zip archive that is not whole, or a pointer of Git LFS to a file that is not here.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        raise InputError("is empty", where=f"model.path: {path}", remedy="copy it again")
    if start.startswith(b"version https://git-lfs"):
        raise InputError(
            "is a pointer of Git LFS, not the file", where=f"model.path: {path}", remedy="run git lfs pull"
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
    if start.lstrip()[:1] == b"{":
        return Form.JSON
    if start[:1] == b"\x08" and path.suffix == ".onnx":
        return Form.ONNX
    return Form.UNKNOWN


def _form_of_zip(path: Path) -> Form:
    with opened_archive(path, "model.path") as archive:
        names = archive.namelist()
    within = {name.partition("/")[2] for name in names}  # torch's archives hold one folder
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
    return Form.UNKNOWN
