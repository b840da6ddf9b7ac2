"""Saved models: our loader, compared with torch, Keras, or the bytes read by the format's description.

Models are compared by all of their weights, and by their outputs on the same sequences.
"""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from safetensors.torch import save_file
from tampered_programs import Small, save_program
from torch import Tensor, nn

from fuzz.container_changes import change_hdf5, change_hdf5_headers, change_safetensors, change_zip
from fuzz.judging import difference
from fuzz.mutations import Change
from fuzz.running import Format
from genolift.models import ModelSpec, load_model
from genolift.models.keras import keras
from genolift.steps.export import write_program

Reader = Callable[[Path], Any]
_LENGTH = 30
_CLASS = "tampered_programs:Small"


def _onehot() -> Tensor:
    codes = torch.randint(0, 4, (3, _LENGTH), generator=torch.Generator().manual_seed(3))
    return nn.functional.one_hot(codes, 4).mT.float()


def _weights(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    return {name: tensor.detach().cpu().numpy() for name, tensor in sorted(tensors.items())}


# Weights that are put into a class


def _put_into_class(path: Path) -> Any:
    model = load_model({"path": str(path), "class": _CLASS})
    assert isinstance(model, nn.Module)
    return _weights(model.state_dict())


def _made(seed: int = 0) -> Small:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Small().eval()


def _saved_weights(folder: Path) -> list[Path]:
    state = _made().state_dict()
    torch.save(state, folder / "plain.pt")
    torch.save(
        {"state_dict": {f"model.{key}": value for key, value in state.items()}, "epoch": 3},
        folder / "more.pt",
    )
    torch.save(state, folder / "old.pt", _use_new_zipfile_serialization=False)
    torch.save({key: value.double() for key, value in state.items()}, folder / "double.pt")
    return [folder / f"{name}.pt" for name in ("plain", "more", "old", "double")]


def _put_by_torch(path: Path) -> Any:
    """Return Small's weights as torch.load gives them, from an archive whose checksums are right."""
    if zipfile.is_zipfile(path):
        _check_archive(path)
    saved = torch.load(path, map_location="cpu", weights_only=True)
    while not all(isinstance(each, Tensor) for each in saved.values()):
        saved = next(each for each in saved.values() if isinstance(each, Mapping))
    return _of_small(saved)


def _check_archive(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        unwritten = all(member.CRC == 0 for member in archive.infolist())
        wrong = None if unwritten else archive.testzip()
    if wrong is not None:
        raise ValueError(f"the checksum of {wrong} is wrong")


def _of_small(saved: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return Small's weights from a file's contents, whatever prefix their names have."""
    wanted = Small().state_dict()
    ends = {key: [name for name in saved if name == key or name.endswith(f".{key}")] for key in wanted}
    if any(len(found) != 1 for found in ends.values()):
        raise ValueError(f"of each weight there are {[len(found) for found in ends.values()]}")
    return _weights({key: saved[names[0]].to(wanted[key].dtype) for key, names in ends.items()})


def _saved_safetensors(folder: Path) -> list[Path]:
    state = _made().state_dict()
    save_file(state, folder / "plain.safetensors", metadata={"format": "pt"})
    save_file({f"net.{key}": value.half() for key, value in state.items()}, folder / "half.safetensors")
    return [folder / "plain.safetensors", folder / "half.safetensors"]


_NUMPY_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
}


def _put_by_layout(path: Path) -> Any:
    """Read safetensors as described: eight bytes of length, JSON, and the tensors' bytes at its offsets."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    header.pop("__metadata__", None)
    tensors = {}
    for name, told in header.items():
        start, stop = told["data_offsets"]
        if told["dtype"] == "BF16":
            high = np.frombuffer(body[start:stop], "<u2").astype("<u4") << 16
            values = high.view("<f4").reshape(told["shape"])
        else:
            values = np.frombuffer(body[start:stop], _NUMPY_TYPES[told["dtype"]]).reshape(told["shape"])
        tensors[name] = torch.from_numpy(values.copy())
    return _of_small(tensors)


# Exported programs


def _outputs(model: Any, rows: Tensor) -> Any:
    run = model.module() if hasattr(model, "module") and not isinstance(model, nn.Module) else model
    with torch.no_grad():
        return np.asarray(run(rows).detach().float().numpy())


def _program(path: Path) -> Any:
    model = load_model(str(path))
    return {"weights": _weights(model.state_dict), "outputs": _outputs(model, _onehot())}  # type: ignore[arg-type]


def _saved_programs(folder: Path) -> list[Path]:
    save_program(folder / "by_torch.pt2")
    torch.save(_made().state_dict(), folder / "small.pt")
    spec = ModelSpec(path=str(folder / "small.pt"), class_name=_CLASS, input_length=_LENGTH)
    write_program(spec, folder / "by_us.pt2")
    return [folder / "by_torch.pt2", folder / "by_us.pt2"]


def _program_of_torch(path: Path) -> Any:
    """Return what torch reads of a program without its sample inputs, which do not affect the results.

    The records that identify it as a program are as torch writes them.
    """
    _check_archive(path)
    copied = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(copied, "w") as copy:
        root = archive.namelist()[0].partition("/")[0]
        marks = {f"{root}/archive_format": b"pt2", f"{root}/archive_version": b"0"}
        marks[f"{root}/.data/version"] = b"6\n"
        for member in archive.infolist():
            member.CRC = None  # type: ignore[assignment]  # torch's archives need none
            if member.filename.startswith(f"{root}/") and member.filename not in marks:
                left_out = "/sample_inputs/" in member.filename
                copy.writestr(member.filename, b"" if left_out else archive.read(member))
        for name, content in marks.items():
            copy.writestr(name, content)
    copied.seek(0)
    program = torch.export.load(copied)
    return {"weights": _weights(program.state_dict), "outputs": _outputs(program, _onehot())}


# Keras


def _keras_model(seed: int) -> Any:
    layers = keras.layers
    dna = keras.Input((_LENGTH, 4), name="dna")
    hidden = layers.BatchNormalization()(layers.Conv1D(3, 5, activation="relu", padding="same")(dna))
    hidden = layers.MaxPooling1D(2)(layers.ReLU()(hidden))
    hidden = layers.GRU(3)(hidden) if seed else layers.GlobalAveragePooling1D()(hidden)
    model = keras.Model(dna, layers.Dense(2, activation="sigmoid")(layers.Dropout(0.1)(hidden)))
    random = np.random.default_rng(seed)
    model.set_weights([random.uniform(0.1, 0.8, weight.shape) for weight in model.get_weights()])
    return model


def _saved_keras(suffix: str) -> Any:
    def write(folder: Path) -> list[Path]:
        files = [folder / f"{seed}{suffix}" for seed in (0, 1)]
        for seed, file in enumerate(files):
            _keras_model(seed).save(file)
        return files

    return write


def _ours_of_keras(path: Path) -> Any:
    model = load_model({"path": str(path), "input_length": _LENGTH})
    assert isinstance(model, nn.Module)
    weights = [value.detach().numpy() for value in model.state_dict().values() if value.is_floating_point()]
    return {"weights": _sorted(weights), "outputs": _outputs(model, _onehot())}


def _keras_of_keras(path: Path) -> Any:
    copy = _as_keras_reads(path)
    try:
        model = keras.saving.load_model(copy, compile=False)
    except Exception:
        if path.suffix != ".h5":
            raise
        _leave_out_what_is_not_said(copy)
        model = keras.saving.load_model(copy, compile=False)
    weights = [weight.numpy() for weight in model.weights if "seed_generator" not in weight.path]
    with torch.no_grad():
        outputs = model(_onehot().mT)
    return {"weights": _sorted(weights), "outputs": outputs.detach().float().numpy()}


def _leave_out_what_is_not_said(copy: Path) -> None:
    """Remove null settings from a file, whatever their name is now, and weights that belong to no layer.

    A missing type is filled in, since everything that is not given has the same default.
    """
    with h5py.File(copy, "r+") as file:
        told = json.loads(file.attrs["model_config"], object_hook=_with_type)
        for layer in told["config"]["layers"]:
            said = {key: value for key, value in layer["config"].items() if value is not None}
            layer["config"] = {"dtype": "float32"} | said
        file.attrs["model_config"] = json.dumps(told)
        file["model_weights/top_level_model_weights"].attrs["weight_names"] = []


def _with_type(told: dict[str, Any]) -> dict[str, Any]:
    return {"dtype": "float32"} | told if "keras_history" in told else told


def _as_keras_reads(path: Path) -> Path:
    """Return a copy of a file with the same values: numbers in this machine's byte order, with checksums.

    torch may write archives without checksums; Keras reads none of these, and no other byte order.
    """
    copy = path.with_name(f"copy-{os.getpid()}{path.suffix}")
    if not zipfile.is_zipfile(path):
        copy.write_bytes(_in_native_order(path.read_bytes()))
        return copy
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(copy, "w") as copied:
        unwritten = all(member.CRC == 0 for member in archive.infolist())
        for member in archive.infolist():
            member.CRC = None if unwritten else member.CRC  # type: ignore[assignment]
            with suppress(zipfile.BadZipFile):  # Keras then reports what is missing
                content = archive.read(member)
                is_hdf5 = member.filename.endswith(".h5")
                copied.writestr(member.filename, _in_native_order(content) if is_hdf5 else content)
    return copy


def _in_native_order(data: bytes) -> bytes:
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        datasets: list[Any] = []
        file.visititems(lambda _, each: datasets.append(each) if isinstance(each, h5py.Dataset) else None)
        for each in datasets:
            if not each.dtype.isnative:
                name, values = each.name, each[()]
                del file[name]
                file[name] = values.astype(values.dtype.newbyteorder("="))
    return buffer.getvalue()


def _sorted(weights: Sequence[np.ndarray]) -> np.ndarray:
    """Return all weights as one sorted array, since torch's own layers transpose some."""
    return np.sort(np.concatenate([np.ravel(each).astype(np.float32) for each in weights]))


def _difference_of_models(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """Return how two models differ; outputs may round differently, and are compared for moderate weights."""
    if "refused" in theirs:
        if all(_difference_of_models(ours, valid) for valid in theirs["valid"]):
            raise theirs["refused"]
        return ""
    differs = difference(ours["weights"], theirs["weights"])
    if differs:
        return f"weights{differs}"
    one, other = ours["outputs"], theirs["outputs"]
    if one.shape != other.shape:
        return f"outputs: {one.shape}, not {other.shape}"
    if (
        not np.isfinite(other).all()
        or np.abs(other).max(initial=0) > 1e4
        or np.allclose(one, other, 1e-3, 1e-5)
    ):
        return ""
    return f"outputs: {one.ravel()[:4]}, not {other.ravel()[:4]}"


def _or_undamaged(read: Reader, name: str) -> Reader:
    """Return a reader that returns the format's valid models if ``read`` refuses a file.

    The refusal may concern a part that no output needs and we ignore: metadata, regularizers, names.
    """

    def read_or_take(path: Path) -> Any:
        try:
            return read(path)
        except Exception as error:
            return {"refused": error, "valid": _valid(read, path.parent.parent / "bases" / name)}

    return read_or_take


@cache
def _valid(read: Reader, folder: Path) -> list[Any]:
    return [
        read(file)
        for file in sorted(folder.iterdir())
        if file.suffix != ".pt" and not file.name.startswith("copy-")
    ]


def _compared(name: str, suffix: str, read: Reader, other: Reader, bases: Any, *changes: Change) -> Format:
    """Return a format of models that are compared by their outputs."""
    other = _or_undamaged(other, name)
    return Format(name, suffix, read, other, bases, changes=changes, difference=_difference_of_models)


_HDF5 = (change_hdf5, change_hdf5, change_hdf5_headers)
MODEL_FORMATS = (
    Format("pt", ".pt", _put_into_class, _put_by_torch, _saved_weights, changes=(change_zip,)),
    Format(
        *("safetensors", ".safetensors", _put_into_class, _put_by_layout, _saved_safetensors),
        changes=(change_safetensors,),
    ),
    _compared("pt2", ".pt2", _program, _program_of_torch, _saved_programs, change_zip),
    _compared("keras", ".keras", _ours_of_keras, _keras_of_keras, _saved_keras(".keras"), change_zip),
    _compared("keras.h5", ".h5", _ours_of_keras, _keras_of_keras, _saved_keras(".h5"), *_HDF5),
)
