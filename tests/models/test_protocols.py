"""Files of torch.save are read in every pickle protocol, zipped or not, and never run."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import genolift
from genolift.models.weights import unpickled

PROTOCOLS = [2, 3, 4, 5]
CLASS = "torch.nn:Linear"
ARGUMENTS = {"in_features": 4, "out_features": 3}


def save(saved: Any, path: Path, protocol: int, zipped: bool) -> Path:
    torch.save(saved, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    return path


def same(found: Any, expected: Any) -> bool:
    if type(found) is not type(expected):
        return False
    if isinstance(expected, torch.Tensor):
        return found.dtype == expected.dtype and torch.equal(found, expected)
    if isinstance(expected, np.ndarray):
        return found.dtype == expected.dtype and np.array_equal(found, expected)
    if isinstance(expected, dict):
        return list(found) == list(expected) and all(same(found[key], expected[key]) for key in expected)
    if isinstance(expected, (list, tuple)):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, io.BytesIO):
        return found.getvalue() == expected.getvalue()
    return bool(found == expected)


def checkpoint() -> dict[str, Any]:
    """Return what a trainer may save: weights, and numbers, strings and arrays of every plain type.

    Some strings are also names of modules and globals, which protocol 4 writes only once.
    """
    model = nn.Sequential(nn.Conv1d(4, 8, 5), nn.BatchNorm1d(8), nn.Linear(8, 2))
    settings = {
        "filters": np.int64(7),
        "rates": np.arange(5.0),
        "read_only": np.frombuffer(b"12345678", dtype=np.int8),
        "letters": np.array(["a", "ü"]),
        "modules": ["torch._utils", "collections", "OrderedDict", "_rebuild_tensor_v2", "torch", "storage"],
        "sizes": (torch.Size([1, 2]), torch.float16, 1 + 2j, None, True, -7, 2**40, 1.5),
        "bytes": [b"", b"abc\xff\n", bytearray(b"xyz"), io.BytesIO(b"extra")],
        "empty": ((), [], {}, set(), ""),
        "ordered": OrderedDict(a=1, b="a" * 300),
        "many": [str(number) for number in range(1500)] * 2,
    }
    return {
        "state_dict": model.state_dict(),
        "hyper_parameters": settings,
        "same": settings,
        "half": torch.ones(3, dtype=torch.bfloat16),
        "parameter": nn.Parameter(torch.ones(2)),
    }


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_was_saved_is_read_in_every_protocol(tmp_path: Path, protocol: int, zipped: bool) -> None:
    saved = checkpoint()
    found = unpickled(save(saved, tmp_path / "saved.pt", protocol, zipped), trust=False)
    assert same(found, saved)
    assert found["same"] is found["hyper_parameters"]


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_weights_of_every_protocol_are_put_into_their_class(
    tmp_path: Path, protocol: int, zipped: bool
) -> None:
    weights = nn.Linear(4, 3).state_dict()
    path = save(weights, tmp_path / "weights.pt", protocol, zipped)
    model = genolift.load_model({"path": str(path), "class": CLASS, "arguments": ARGUMENTS})
    assert isinstance(model, nn.Module)
    assert same(model.state_dict(), weights)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_bit_that_has_flipped_is_seen_in_every_protocol(tmp_path: Path, protocol: int) -> None:
    weights = nn.Linear(4, 3).state_dict()
    path = save(weights, tmp_path / "weights.pt", protocol, zipped=True)
    held = bytearray(path.read_bytes())
    held[held.index(weights["weight"].numpy().tobytes()) + 3] ^= 1
    path.write_bytes(held)
    with pytest.raises(genolift.InputError, match="is damaged: the checksum of weights/data/0 is wrong"):
        genolift.load_model({"path": str(path), "class": CLASS, "arguments": ARGUMENTS})


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_else_is_pickled_is_named_in_every_protocol(tmp_path: Path, protocol: int, zipped: bool) -> None:
    path = save(
        {"weights": nn.Linear(4, 3).state_dict(), "place": Path()}, tmp_path / "a.pt", protocol, zipped
    )
    with pytest.raises(genolift.InputError) as error:
        genolift.load_model({"path": str(path), "class": CLASS, "arguments": ARGUMENTS})
    assert "holds pickled objects besides tensors (pathlib.PosixPath), which could run code" in str(
        error.value
    )


CONTRIVED = {
    "a name that is made up": b"(Xx\x00\x00\x00s\x93.",
    "a global of two lines": b"\x8c\x0cposix\nsystem\n\x8c\x01x\x93.",
    "a name that is kept": b"\x8c\x05posix\x94\x8c\x06system\x94h\x00h\x01\x93\x8c\x04true\x85R.",
    "an object by keywords": b"\x8c\x08builtins\x8c\x03set\x93)}\x92.",
    "bytes beside it": b"\x97.",
    "a number that is not kept": b"h\x05.",
    "cut short": b"\x8c\x09abc",
    "no opcode": b"\xff.",
}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", CONTRIVED)
def test_a_contrived_pickle_of_protocol_4_is_refused(tmp_path: Path, name: str, zipped: bool) -> None:
    path, held = tmp_path / "saved.pt", b"\x80\x04" + CONTRIVED[name]
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("saved/data.pkl", held)
            archive.writestr("saved/version", "3\n")
    else:
        path.write_bytes(held)
    with pytest.raises(genolift.InputError) as error:
        genolift.load_model({"path": str(path), "class": CLASS, "arguments": ARGUMENTS})
    assert "\n" not in str(error.value)


def test_a_global_of_protocol_4_is_no_other_than_of_protocol_2(tmp_path: Path) -> None:
    """Torch is only asked for names that it allows, and nothing is called on the way."""
    held = pickle.dumps(Runs(tmp_path / "written"), protocol=4)
    (tmp_path / "saved.pt").write_bytes(held)
    with pytest.raises(genolift.InputError, match="holds pickled objects besides tensors"):
        genolift.load_model({"path": f"{tmp_path}/saved.pt", "class": CLASS, "arguments": ARGUMENTS})
    assert not (tmp_path / "written").exists()


class Runs:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)
