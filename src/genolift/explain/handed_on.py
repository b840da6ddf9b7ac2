"""A captured model in a file, so that a step of the workflow need not load and capture it again.

The file has the graph's operations as JSON and its constants as raw tensors (safetensors), and is read as an
exported program is: no code in it is run, and only operations that such a program may call are looked up. It
is for one version of genolift and torch; where it does not fit, the model is captured anew.
"""

import hashlib
import json
import logging
import math
import operator
import re
import sys
import sysconfig
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from genolift.engine.graph.decomposition import REGISTERED
from genolift.engine.graph.graph import Graph, Name, Operation, Result, operation_of
from genolift.engine.torch_internals import OpOverload
from genolift.errors import InputError
from genolift.files.output_paths import UNFINISHED
from genolift.files.whole import sha256, whole_file
from genolift.models.exported.program_check import checked_operation
from genolift.results.provenance import versions

_LOG = logging.getLogger("genolift")
MOST_BYTES = 10**9
"""Of the constants: for a larger model a copy on disk costs more than to capture it again."""
_VERSION = 1
_OURS = re.compile(rf"({re.escape(UNFINISHED)}[0-9a-f]+\.)?[0-9a-f]{{40}}\.safetensors")
_CAPTURING = ("engine", "explain", "inspection", "models", "targets")
"""The rooms whose code a captured model depends on."""
_OF_TORCH = (torch.dtype, torch.layout, torch.memory_format)
_MODULES = {"_operator": operator, "math": math, "torch": torch}


@dataclass(frozen=True)
class HandedOn:
    """What the check hands on of a model: its graph, on the host, and what else attribute asks of it."""

    graph: Graph
    stepped_over: tuple[str, ...]
    tasks: tuple[str, ...]
    outputs: Any
    """What the model returns, as `genolift.targets.outputs.as_json` has it."""
    input_length: int | None
    agreement: Mapping[str, Any] | None
    state: str = ""
    """The digest of the loaded model's fingerprint, by which a check tells that code or data are others."""
    code: Mapping[str, str] = field(default_factory=dict)
    """`loaded_code` when it was captured."""


def key_of(*identity: Any) -> str:
    """Return the name of the file of a model: a digest of all that its graph depends on."""
    told = [_VERSION, versions("torch", "numpy"), _installed(), _own_code(), *identity]
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:40]


@cache
def _installed() -> list[str]:
    """Return the installed packages with their versions, as their folders say: any may define the model."""
    folders = [Path(each) for each in sys.path if each and Path(each).is_dir()]
    return sorted({path.name for folder in folders for path in folder.glob("*.*-info")})


def loaded_code() -> dict[str, str]:
    """Return the SHA-256 of each file of Python code that is loaded and may be the model's, by its path.

    That is what is neither in the installed packages, whose versions are in the key, nor Python's own: a
    model's folder, and packages that are installed in place.
    """
    installed = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    places = [*map(Path, installed), Path(__file__).parents[1]]
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    own = (Path(file) for file in files if file and file.endswith(".py"))
    return {
        str(file): sha256(file)
        for file in sorted(own)
        if file.is_file() and not any(file.is_relative_to(place) for place in places)
    }


@cache
def _own_code() -> str:
    """Return a digest of genolift's own modules, which in a clone change without their version."""
    digest, root = hashlib.sha256(), Path(__file__).parents[1]
    for path in sorted(path for room in _CAPTURING for path in (root / room).rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def hand_on(folder: Path, key: str, found: HandedOn) -> bool:
    """Write a captured model; return whether it was.

    What holds more than tensors and plain values, an operation of the user's own, or too much, is not
    written. If the file cannot be, the model is only captured again where it is needed.
    """
    file = _file(folder, key)
    constants = {name: value.detach() for name, value in found.graph.constants.items()}
    if REGISTERED or sum(each.nbytes for each in constants.values()) > MOST_BYTES:
        return False
    if not all(each.is_contiguous() and each.layout is torch.strided for each in constants.values()):
        return False
    told = {**{each.name: getattr(found, each.name) for each in fields(found)}, "graph": None}
    try:
        graph = _plain_graph(found.graph)
        if _graph(json.loads(json.dumps(graph)), {}) != replace(found.graph, constants={}):
            return False
        text = json.dumps({**told, "key": key, "graph": graph})
        distinct = {name: value.clone() for name, value in constants.items()}  # which no two tensors share
        digest = _digest(text, distinct)
        content = safetensors.torch.save(distinct, {"told": text, "digest": digest})
    except (TypeError, ValueError, AttributeError, KeyError, safetensors.SafetensorError):
        return False
    try:
        with whole_file(file, shared=True) as beside:
            beside.write_bytes(content)
    except (OSError, InputError) as error:
        _LOG.info("a captured model is not handed on: %s", error)
        return False
    return True


def handed_on(folder: Path, key: str, device: torch.device | None = None) -> HandedOn | None:
    """Return a model that was handed on, its constants on ``device``; None if there is none that fits."""
    file = _file(folder, key)
    try:
        if not file.is_file():
            return None
        if file.stat().st_size > 2 * MOST_BYTES:
            raise ValueError("it is too large")
        content = file.read_bytes()
        size = int.from_bytes(content[:8], "little")
        said = json.loads(content[8 : 8 + size])["__metadata__"]
        constants = safetensors.torch.load(content)
        told = json.loads(said["told"])
        if said["digest"] != _digest(said["told"], constants) or told.pop("key") != key:
            raise ValueError("it is not what was written")
        for path, digest in told["code"].items():
            if not Path(path).is_file() or sha256(path) != digest:
                raise ValueError(f"{path} has changed")
        graph = _graph(told.pop("graph"), constants, device)
        return HandedOn(graph, **{**told, **{name: tuple(told[name]) for name in ("tasks", "stepped_over")}})
    except Exception as error:  # whatever a file that is not ours may lead to
        _LOG.info("%s cannot be used (%s): the model is captured again", file, error)
        return None


def remove_unused(folder: Path, analyses: Path) -> None:
    """Remove the files that no analysis's check.json names any more, and what killed runs left.

    One that is removed while it is needed is only captured again.
    """
    with suppress(OSError, ValueError, AttributeError):  # a check.json that cannot be read may name any
        there, named = list(folder.iterdir()), set[str]()
        for told in analyses.glob("*/check.json"):
            named.update(json.loads(told.read_bytes()).get("captures", {}).values())
        for file in there:
            if _OURS.fullmatch(file.name) and file.stem not in named:
                file.unlink(missing_ok=True)


def _file(folder: Path, key: str) -> Path:
    return folder / f"{key}.safetensors"


def _digest(text: str, constants: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(constants):
        value = constants[name]
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _plain_graph(graph: Graph) -> dict[str, Any]:
    return {
        "operations": [_plain_operation(each) for each in graph.operations],
        "inputs": list(graph.inputs),
        "output": graph.output,
        "read": graph.read,
        "dependent": sorted(graph.dependent),
    }


def _plain_operation(operation: Operation) -> dict[str, Any]:
    of_several = isinstance(operation.target, Result)
    return {
        **{each.name: getattr(operation, each.name) for each in fields(operation)},
        "target": _path_of(operation_of(operation.target)),
        "index": operation.target.index if of_several else None,  # type: ignore[attr-defined]
        "args": _plain(operation.args),
        "kwargs": {name: _plain(value) for name, value in operation.kwargs.items()},
        "dtype": _plain(operation.dtype),
    }


def _path_of(target: Any) -> str:
    """Return an operation's name, as `checked_operation` takes it."""
    if isinstance(target, OpOverload):
        return f"torch.ops.{target}"
    return f"{target.__module__}.{target.__name__}"


def _plain(value: Any) -> Any:
    """Return an argument as JSON; raise `TypeError` for what is neither plain nor torch's own."""
    if isinstance(value, Name):
        return {"name": str(value)}
    if type(value) in (bool, int, float, str, type(None)):
        return value
    if isinstance(value, (list, tuple)):
        plain = [_plain(each) for each in value]
        return {"tuple": plain} if isinstance(value, tuple) else plain
    if isinstance(value, _OF_TORCH):
        return {"torch": str(value).removeprefix("torch.")}
    if isinstance(value, torch.device):
        return {"device": "cpu"}
    raise TypeError(f"an argument is a {type(value).__name__}")


def _graph(told: Mapping[str, Any], constants: Mapping[str, Tensor], device: Any = None) -> Graph:
    place = torch.device("cpu") if device is None else device
    return Graph(
        tuple(_operation(each, place) for each in told["operations"]),
        {name: value.to(place) for name, value in constants.items()},
        tuple(map(Name, told["inputs"])),
        Name(told["output"]),
        Name(told["read"]),
        frozenset(map(Name, told["dependent"])),
    )


def _operation(told: Mapping[str, Any], device: torch.device) -> Operation:
    given = dict(told)
    index, target = given.pop("index"), _target(given.pop("target"))
    return Operation(
        **given
        | {
            "name": Name(given["name"]),
            "target": target if index is None else Result(target, int(index)),
            "args": _value(given["args"], device),
            "kwargs": {name: _value(value, device) for name, value in given["kwargs"].items()},
            "dtype": _value(given["dtype"], device),
        }
    )


def _target(name: str) -> Any:
    """Return an operation by its name, if it is one that an exported program may call."""
    root, *parts = checked_operation(name).split(".")
    found: Any = _MODULES[root]
    for part in parts:
        found = getattr(found, part)
    return found


def _value(told: Any, device: torch.device) -> Any:
    if isinstance(told, list):
        return [_value(each, device) for each in told]
    if not isinstance(told, dict):
        return told
    ((kind, value),) = told.items()
    if kind == "tuple":
        return tuple(_value(each, device) for each in value)
    if kind == "torch":
        found = getattr(torch, value)
        if isinstance(found, _OF_TORCH):
            return found
    if kind == "name":
        return Name(value)
    if kind != "device":
        raise ValueError(f"an argument is a {kind}")
    return device
