"""From what people saved to a callable model. Knows nothing of sequences, rules or the workflow.

Weights are read without running code: a pickle that holds anything but tensors and plain containers is
refused, unless the user says ``trust`` by name. The Python file or module that defines the model's class is
the user's own, named by the user, and is run.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.export import ExportedProgram

from genolift.errors import InputError
from genolift.files import existing_file, sha256
from genolift.model_spec import ModelSpec
from genolift.models.layout import laid_out

Model = nn.Module | ExportedProgram
_KERAS = (".keras", ".h5", ".hdf5", ".json")


def load_model(spec: str | Path | Mapping[str, Any] | ModelSpec) -> Model:
    """Return the model of a path or of a config's ``model:`` section, in evaluation mode, on the CPU.

    Parameters
    ----------
    spec
        A path, or a mapping with the keys of `ModelSpec`.

    Raises
    ------
    InputError
        If a file or class does not exist or cannot be read, weights do not fit the class, or a pickled
        object is met without ``trust``.
    """
    spec = ModelSpec.of(spec)
    if Path(spec.path).suffix in _KERAS:
        # Keras is imported for its own models alone: it takes seconds, and is an extra
        from genolift.models.from_keras.loading import load_keras

        net, axes = load_keras(spec)
        return laid_out(net, spec, axes)
    return laid_out(_loaded(spec), spec)


def _loaded(spec: ModelSpec) -> Model:
    path = existing_file(spec.path, where="model.path")
    if path.suffix == ".pt2":
        return _exported(path, spec.trust)
    saved = _safetensors(path) if path.suffix == ".safetensors" else _pickled(path, spec.trust)
    if isinstance(saved, nn.Module):
        return saved.eval()
    weights = _state_dict(saved, path)
    if spec.class_name is None:
        raise InputError(
            "holds weights but no model",
            where=f"model.path: {path}",
            remedy="name the class to put them in, class: path/to/model.py:Class",
        )
    model = make_module(spec.class_name, spec.arguments)
    _fill(model, weights, path, spec.class_name)
    return model.eval()


def input_length(model: Model, spec: ModelSpec) -> int | None:
    """Return the model's input length in base pairs where the spec or the model says it."""
    if spec.input_length is not None:
        return spec.input_length
    if isinstance(model, ExportedProgram):
        for node in model.graph.nodes:
            if node.op == "placeholder" and node.name in model.graph_signature.user_inputs:
                length = node.meta["val"].shape[-1]
                return length if isinstance(length, int) else None
    length = getattr(model, "input_length", None)
    return length if isinstance(length, int) else None


def model_provenance(spec: ModelSpec) -> dict[str, Any]:
    """Return what tells a loaded model from another: its files' SHA-256, and how it is made and reads DNA.

    Keys are "model" and "model_...", in the order and with the names that a report shows.
    """
    code = _class_file(spec)
    return {
        "model": spec.path,
        "model_sha256": sha256(spec.path),
        "model_weights": spec.weights,
        "model_weights_sha256": sha256(spec.weights) if spec.weights else None,
        "model_class": spec.class_name,
        "model_class_sha256": sha256(code) if code else None,
        "model_arguments": dict(spec.arguments),
        "model_custom_layers": spec.custom_layers,
        "model_custom_layers_sha256": sha256(spec.custom_layers) if spec.custom_layers else None,
        "model_axes": spec.axes,
        "model_alphabet": spec.alphabet,
        "model_extra_channels": spec.extra_channels,
        "model_trusted": spec.trust,
    }


def _class_file(spec: ModelSpec) -> Path | None:
    """Return the Python file that a loaded model's class was taken from; None where no class is named."""
    location = (spec.class_name or "").rpartition(":")[0]
    if location.endswith(".py"):
        return Path(location)
    file = getattr(sys.modules.get(location), "__file__", None)
    return Path(file) if file else None


def make_module(class_name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """Return an instance of the class "path/to/model.py:Class" or "package.module:Class".

    Raises
    ------
    InputError
        If there is no such file, module or class, or it does not take the arguments.
    """
    where = f"model.class: {class_name}"
    location, _, name = class_name.rpartition(":")
    if not location or not name:
        raise InputError("no class is named", where=where, remedy="write path/to/model.py:Class")
    module = _module_of(location, where)
    made = getattr(module, name, None)
    if made is None:
        classes = [key for key, value in vars(module).items() if _is_model_class(value)]
        near = difflib.get_close_matches(name, classes, 1) or classes[:5]
        raise InputError(
            f"{location} has no {name}",
            where=where,
            remedy=f"it has {', '.join(near)}" if near else "check the name",
        )
    try:
        model = made(**dict(arguments))
    except Exception as error:
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        raise InputError(
            f"{name}({given}) raises {type(error).__name__}: {error}",
            where=where,
            remedy="give the keyword arguments that the model was trained with, as model.arguments",
        ) from error
    if not isinstance(model, nn.Module):
        raise InputError(
            f"{name} makes a {type(model).__name__}", where=where, remedy="name a torch.nn.Module"
        )
    return model


def _is_model_class(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, nn.Module)


def _module_of(location: str, where: str) -> ModuleType:
    if not location.endswith(".py"):
        try:
            return importlib.import_module(location)
        except Exception as error:
            raise InputError(
                f"cannot be imported ({type(error).__name__}: {error})",
                where=where,
                remedy="install the package, or name a .py file",
            ) from error
    path = existing_file(location, where="model.class").resolve()
    digest = hashlib.sha256(str(path).encode() + path.read_bytes())  # a file changed since is another module
    name = f"genolift_model_{path.stem}_{digest.hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module  # before running it, as dataclasses and pickles look there
    try:
        found.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise InputError(
            f"running it raises {type(error).__name__}: {error}", where=where, remedy="mend the model's file"
        ) from error
    return module


def _exported(path: Path, trust: bool) -> ExportedProgram:
    # torch.export.load unpickles some kinds of tensor with weights_only=False, so that it can run code.
    if not trust:
        raise InputError(
            "is an exported program, which can run code when read",
            where=f"model.path: {path}",
            remedy="if you trust its source, set trust: true",
        )
    try:
        return torch.export.load(path)
    except Exception as error:
        raise InputError(
            f"is no exported program that torch {torch.__version__} reads ({type(error).__name__})",
            where=f"model.path: {path}",
            remedy="save it again with torch.export.save",
        ) from error


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise InputError(
            f"is no whole safetensors file ({error})", where=f"model.path: {path}", remedy="copy it again"
        ) from error


def _pickled(path: Path, trust: bool) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=not trust)
    except Exception as error:
        if isinstance(error, pickle.UnpicklingError) and _is_pickle(path):
            raise InputError(
                "holds pickled objects besides tensors, which could run code when read",
                where=f"model.path: {path}",
                remedy="save its state_dict() and name its class, or, if you trust its source, "
                "set trust: true",
            ) from error
        why = next(iter(str(error).splitlines()), "").removesuffix(".")[:120]
        if isinstance(error, pickle.UnpicklingError):
            why = "it is neither a zip archive nor a pickle"  # torch says how to run it as code instead
        raise InputError(
            f"cannot be read as PyTorch weights ({type(error).__name__}{': ' if why else ''}{why})",
            where=f"model.path: {path}",
            remedy="give a state dict (.pt, .pth), a .safetensors file or an exported program (.pt2)",
        ) from error


def _is_pickle(path: Path) -> bool:
    """Whether a file starts as what torch.save writes does: a zip archive, or a pickle of protocol 2 to 5."""
    with path.open("rb") as file:
        start = file.read(4)
    return start == b"PK\x03\x04" or (start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05")


def _state_dict(saved: Any, path: Path) -> dict[str, Tensor]:
    if isinstance(saved, Mapping) and isinstance(saved.get("state_dict"), Mapping):
        saved = saved["state_dict"]  # a Lightning checkpoint
    if isinstance(saved, Mapping) and saved and all(isinstance(value, Tensor) for value in saved.values()):
        return dict(saved)
    raise InputError(
        f"holds a {type(saved).__name__}, not a state dict",
        where=f"model.path: {path}",
        remedy="save model.state_dict()",
    )


def _fill(model: nn.Module, weights: dict[str, Tensor], path: Path, class_name: str) -> None:
    wanted = model.state_dict()
    for prefix in ("", "module.", "model."):
        stripped = {key.removeprefix(prefix): value for key, value in weights.items()}
        if prefix and not all(key.startswith(prefix) for key in weights):
            continue
        if stripped.keys() == wanted.keys():
            weights = stripped
            break
    missing = [key for key in wanted if key not in weights]
    unexpected = [key for key in weights if key not in wanted]
    misfits = [
        f"{key} is {tuple(weights[key].shape)}, the class has {tuple(wanted[key].shape)}"
        for key in wanted
        if key in weights and weights[key].shape != wanted[key].shape
    ]
    if missing or unexpected or misfits:
        parts = [f"{len(missing)} missing ({_few(missing)})"] if missing else []
        parts += [f"{len(unexpected)} unexpected ({_few(unexpected)})"] if unexpected else []
        parts += [f"{len(misfits)} of another shape ({_few(misfits)})"] if misfits else []
        raise InputError(
            f"weights do not fit {class_name}: {', '.join(parts)}",
            where=f"model.path: {path}",
            remedy="check model.class and model.arguments",
        )
    model.load_state_dict(weights)


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
