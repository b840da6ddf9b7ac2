"""Exported programs that would write a file when they are read: one for each place where torch runs code."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim

Members = dict[str, bytes]
"""The contents of an archive: bytes by name, without the archive's own folder."""


class Writes:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.path, "run")


class Small(nn.Module):
    """A convolution and a dense layer, with a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 3, 5), nn.Linear(3, 2)
        self.register_buffer("scale", torch.tensor([1.0, 2.0]), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return two logits."""
        h = self.out(self.conv(x).relu().mean(-1))
        return h * self.scale + torch.zeros(x.shape[0], 1)


def save_program(path: Path) -> nn.Module:
    """Write a program, and return its module."""
    torch.manual_seed(0)
    model = Small().eval()
    torch.export.save(
        torch.export.export(
            model, (torch.zeros(3, 4, 30),), dynamic_shapes=({0: Dim("batch", min=2)},), strict=False
        ),
        path,
    )
    return model


def members(path: Path) -> Members:
    """Return the contents of one of torch's archives."""
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def write(path: Path, held: Members) -> None:
    """Write an archive as torch does."""
    writer = torch._C.PyTorchFileWriter(str(path))
    for name, content in held.items():
        if not name.startswith(".data/") and name not in ("version", "byteorder"):
            writer.write_record(name, content, len(content))
    writer.write_end_of_file()


def _pickled(target: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save({"conv.weight": Writes(target)}, buffer)
    return buffer.getvalue()


def _with_json(held: Members, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    told = json.loads(held[name])
    change(told)
    held[name] = json.dumps(told).encode()


MODEL = "models/model.json"
WEIGHTS = "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"
Change = Callable[[Members, Path], None]


def _of_program(change: Callable[[dict[str, Any], str], object]) -> Change:
    def changed(held: Members, target: Path) -> None:
        code = f"__import__('pathlib').Path({str(target)!r}).write_text('run')"
        _with_json(held, MODEL, lambda told: change(told, code))

    return changed


def _graph(told: dict[str, Any]) -> dict[str, Any]:
    return told["graph_module"]["graph"]  # type: ignore[no-any-return]


def _root(told: dict[str, Any]) -> dict[str, Any]:
    return told["graph_module"]["module_call_graph"][0]["signature"]  # type: ignore[no-any-return]


def _sample_inputs(held: Members, target: Path) -> None:
    held["data/sample_inputs/model.pt"] = _pickled(target)


def _old_weights(held: Members, target: Path) -> None:
    held["data/weights/model.pt"] = _pickled(target)


def _old_constants(held: Members, target: Path) -> None:
    held["data/constants/model.pt"] = _pickled(target)


def _pickled_weight(held: Members, target: Path) -> None:
    _with_json(held, WEIGHTS, lambda told: told["config"]["conv.weight"].update(use_pickle=True))
    path = json.loads(held[WEIGHTS])["config"]["conv.weight"]["path_name"]
    held[f"data/weights/{path}"] = _pickled(target)


def _constant(name: str, content: Callable[[Path], bytes]) -> Change:
    def changed(held: Members, target: Path) -> None:
        entry = {"path_name": name, "is_param": False, "use_pickle": True, "tensor_meta": None}
        _with_json(held, CONSTANTS, lambda told: told["config"].update(more=entry))
        held[f"data/constants/{name}"] = content(target)

    return changed


def _size(write: str) -> Change:
    def change(told: dict[str, Any], code: str) -> None:
        meta = _graph(told)["tensor_values"]["conv1d"]
        meta["sizes"][0] = {"as_expr": {"expr_str": write.format(code=code), "hint": {"as_int": 3}}}

    return _of_program(change)


def _renamed(old: str, new: str) -> Change:
    def changed(held: Members, target: Path) -> None:
        code = f"__import__('pathlib').Path({str(target)!r}).write_text('run')"
        put = json.dumps(new.format(code=code))
        held[MODEL] = held[MODEL].replace(json.dumps(old).encode(), put.encode())
        held[WEIGHTS] = held[WEIGHTS].replace(json.dumps(old).encode(), put.encode())

    return changed


def _call(target: str, argument: str) -> Change:
    def changed(held: Members, written: Path) -> None:
        def change(told: dict[str, Any]) -> None:
            node = {
                "target": target,
                "inputs": [{"name": "", "arg": {"as_string": argument.format(written)}, "kind": 1}],
                "outputs": [{"as_none": True}],
                "metadata": {},
                "is_hop_single_tensor_return": None,
                "name": "extra",
            }
            _graph(told)["nodes"].insert(0, node)

        _with_json(held, MODEL, change)

    return changed


def _aten(target: str, inputs: Callable[[str], list[dict[str, Any]]]) -> Change:
    def changed(held: Members, written: Path) -> None:
        def change(told: dict[str, Any]) -> None:
            meta = _graph(told)["tensor_values"]["conv1d"]
            _graph(told)["tensor_values"]["extra"] = {
                **meta,
                "sizes": [{"as_int": 4}],
                "strides": [{"as_int": 1}],
            }
            _graph(told)["nodes"].append(
                {
                    "target": target,
                    "inputs": inputs(str(written)),
                    "outputs": [{"as_tensor": {"name": "extra"}}],
                    "metadata": {},
                    "is_hop_single_tensor_return": None,
                    "name": "extra",
                }
            )

        _with_json(held, MODEL, change)

    return changed


def _from_file(written: str) -> list[dict[str, Any]]:
    return [
        {"name": "filename", "arg": {"as_string": written}, "kind": 1},
        {"name": "shared", "arg": {"as_bool": True}, "kind": 1},
        {"name": "size", "arg": {"as_int": 4}, "kind": 1},
    ]


def _save(written: str) -> list[dict[str, Any]]:
    return [
        {"name": "item", "arg": {"as_tensor": {"name": "x"}}, "kind": 1},
        {"name": "filename", "arg": {"as_string": written}, "kind": 1},
    ]


def _tree(kind: str, context: Callable[[str], Any]) -> Change:
    def change(told: dict[str, Any], code: str) -> None:
        leaf = {"type": None, "context": None, "children_spec": []}
        tree = {"type": kind, "context": context(code), "children_spec": [leaf]}
        _root(told)["out_spec"] = json.dumps([1, tree])

    return _of_program(change)


def _compiled(held: Members, target: Path) -> None:
    held["data/aotinductor/model/model.so"] = b"\x7fELF"


TAMPERED: dict[str, tuple[Change, bool]] = {
    # What is changed, and whether torch 2.13 then writes the file when it reads or runs the program.
    "sample inputs": (_sample_inputs, True),
    "weights of an older file": (_old_weights, True),
    "constants of an older file": (_old_constants, True),
    "a pickled weight": (_pickled_weight, True),
    "a pickled constant": (_constant("tensor_9", _pickled), True),
    "an opaque object": (_constant("opaque_obj_0", lambda target: pickle.dumps(Writes(target))), True),
    "a custom object": (_constant("custom_obj_0", _pickled), False),
    "a size": (_size("{code}"), True),
    "a size within a function": (_size("Max({code}, 2)"), True),
    "a size in text": (_size('Max("{code}", 2)'), True),
    "a guard": (_of_program(lambda told, code: told.update(guards_code=[f"{code} > 0"])), True),
    "a value's name": (_renamed("relu", "a = {code}; relu"), False),
    "an argument's name": (_renamed("x", "x={code}"), True),
    "a parameter's name": (_renamed("conv.weight", 'conv.a", {code}).weight'), False),
    "the name of forward's argument": (
        _of_program(lambda told, code: _root(told).update(forward_arg_names=[f"x={code}"])),
        False,
    ),
    "an operation that is a function": (_call("torch.os.system", "echo run > {}"), False),
    "an operation that is an operator": (_call("_operator.methodcaller", "{}"), False),
    "an operation that loads a library": (_call("torch.ops.load_library", "{}.so"), False),
    "an operation that makes a file": (_aten("torch.ops.aten.from_file.default", _from_file), True),
    "an operation that saves": (_aten("torch.ops.aten.save.default", _save), False),
    "an output's type": (
        _tree("collections.namedtuple", lambda code: json.dumps("this.that")),
        False,
    ),
    "an output's default": (
        _tree(
            "collections.defaultdict",
            lambda code: {
                "default_factory_module": "antigravity",
                "default_factory_name": "x",
                "dict_context": [],
            },
        ),
        False,
    ),
    "an output's enum": (
        _tree(
            "builtins.dict",
            lambda code: json.dumps([{"__enum__": True, "fqn": "antigravity:x", "name": "x"}]),
        ),
        False,
    ),
    "compiled code": (_compiled, False),
}
LEFT_OUT = {"sample inputs", "a guard", "compiled code"}
"""Parts that no model needs: the program is read without them."""


def texts(told: Any, place: tuple[str, ...] = ()) -> dict[tuple[str, ...], list[tuple[Any, Any]]]:
    """Return the places of text in JSON: (container, key) by the kind of place, its path without numbers."""
    found: dict[tuple[str, ...], list[tuple[Any, Any]]] = {}
    for key, value in told.items() if isinstance(told, dict) else enumerate(told):
        here = (*place, key) if isinstance(key, str) and len(told) < MOST_KEYS else (*place, "*")
        if isinstance(value, str):
            found.setdefault(here, []).append((told, key))
        elif isinstance(value, dict | list):
            for where, each in texts(value, here).items():
                found.setdefault(where, []).extend(each)
    return found


MOST_KEYS = 12
"""A mapping with more keys is one by name, not of fields."""
INJECTIONS = ["{code}", "x={code}", "a\n{code}", 'a"), {code}, ("', "[{code}]", "lambda: {code}", "x;{code}"]
"""Text that would run if evaluated, or if inserted as it is into source code, within quotes or on a line."""
