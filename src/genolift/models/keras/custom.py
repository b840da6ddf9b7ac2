"""The user's own torch functions for a Keras model's Lambda and custom layers.

Python bytecode that a file holds is never run: at most the names in it are read, to say what it may compute.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from types import ModuleType
from typing import Any

from torch import nn

from genolift.errors import InputError
from genolift.models.keras.arguments import TENSORFLOW
from genolift.models.keras.graph import LayerConfig
from genolift.models.own_code import OwnCode

_STRING = re.compile(rb"[ZzaA\xda\xfa\xe1\xc1](.)", re.DOTALL)
"""How marshal begins a short text, with its length."""
OF_CELLS = ("RNN", "StackedRNNCells")
"""Recurrent layers of any cells: of one that is Keras's, they are read as its layer."""
_FEW = 6


class CustomLayers:
    """What the file ``custom_layers`` has for a layer that Keras has not, by the layer's name or its class's.

    A function of that name that the file defines stands for it, also where Keras has such a layer; so does
    what the file's ``LAYERS`` says, a mapping whose keys may be patterns such as "lambda_*" (these only for
    layers that Keras has not, and for functions of TensorFlow), and whose values are functions, or the name
    of the Keras layer to take.

    A function that the file has only imported is taken where ``LAYERS`` lists it: the model's file chooses
    the names, and must not be able to call whatever there is.
    """

    def __init__(self, module: ModuleType | None = None, code: OwnCode | None = None) -> None:
        self.module, self.code = module, code
        self.only_imported: list[str] = []
        listed = getattr(module, "LAYERS", {})
        if not isinstance(listed, Mapping):
            raise InputError(
                f"LAYERS is a {type(listed).__name__}",
                where="model.custom_layers",
                remedy='write LAYERS = {"layer name": function}',
            )
        self.listed: Mapping[str, Any] = listed
        self.missing: list[tuple[str, str, Mapping[str, Any]]] = []
        self.missing_activations: list[str] = []

    def listed_as(self, *names: str) -> Callable[..., Any] | str | None:
        """Return what ``LAYERS`` has under the first of ``names`` that it has; else None."""
        for name in names:
            if name in self.listed:
                return self._usable(name, self.listed[name])
        return None

    def named(self, *names: str) -> Callable[..., Any] | str | None:
        """Return what has the first of ``names`` that is there, in ``LAYERS`` or as a function; else None."""
        listed = self.listed_as(*names)
        if listed is not None:
            return listed
        own = self.defined(*names)
        if own is None:
            there = [name for name in names if callable(getattr(self.module, name, None))]
            self.only_imported += there
        return own

    def defined(self, *names: str) -> Callable[..., Any] | None:
        """Return the first of ``names`` that is a function defined in the file, or a module; else None."""
        for name in names:
            found = getattr(self.module, name, None) if name.isidentifier() else None
            home = str(getattr(found, "__module__", None))
            own = self.code is not None and self.code.holds(home)
            if callable(found) and (own or isinstance(found, nn.Module)):
                return found
        return None

    def of(self, *names: str) -> Callable[..., Any] | str | None:
        """Return what stands for a layer or function, by name or by a pattern; else None."""
        found = self.named(*names)
        if found is not None:
            return found
        for name in names:
            for pattern, value in self.listed.items():
                if fnmatchcase(name, pattern):
                    return self._usable(pattern, value)
        return None

    def lack(self, layer: LayerConfig) -> None:
        """Note a layer that nothing stands for, to name all of them at once."""
        self.missing.append((layer.class_name, layer.name, layer.config))

    def lack_activation(self, name: str) -> None:
        """Note the function of an activation that nothing stands for, beside the layer that has it."""
        if name.isidentifier() and not name.startswith("__") and name not in self.missing_activations:
            self.missing_activations.append(name)

    def check(self, where: str) -> None:
        """Raise `InputError` if layers are missing, naming each with its config."""
        if not self.missing:
            return
        functions = [layer for layer in self.missing if layer[0] in TENSORFLOW]
        of_cells = [layer for layer in self.missing if layer[0] in OF_CELLS]
        others = [layer for layer in self.missing if layer[0] not in (*TENSORFLOW, *OF_CELLS)]
        what = [
            f"{words}: {_listed(layers)}"
            for words, layers in (
                ("has layers that are not Keras's own or hold code, which is not run", others),
                ("has a recurrent layer of several cells or of one's own, which is not read", of_cells),
                ("calls functions of TensorFlow that are not read, or not with these arguments", functions),
            )
            if layers
        ]
        activations = ", ".join(self.missing_activations)
        remedy = (
            "write a Python file with a torch function for each, of the layer's or the class's name, "
            + (f"or of the activation's, {activations}, " if activations else "")
            + "and give it as model.custom_layers"
        )
        if functions:  # no function of Python's can have a name with a dot
            names = [*(name for _, name, _ in self.missing), *self.missing_activations]
            entries = ", ".join(f'"{name}": FUNCTION' for name in dict.fromkeys(names))
            remedy = (
                f"write a Python file with LAYERS = {{{entries}}}, where each FUNCTION is one of torch that "
                "takes the same arguments, and give it as model.custom_layers"
            )
        if self.only_imported:
            name = self.only_imported[0]
            remedy = f'{name} is only imported there: to take it, write LAYERS = {{"{name}": {name}}}'
        raise InputError(
            ", and ".join(what),
            where=where,
            remedy=remedy,
        )

    def _usable(self, name: str, value: Any) -> Callable[..., Any] | str:
        if callable(value) or isinstance(value, str):
            return value
        raise InputError(
            f"{name} is a {type(value).__name__}",
            where="model.custom_layers",
            remedy="give a torch function, or the name of a Keras layer",
        )


def function_name(config: Mapping[str, Any]) -> str | None:
    """Return the name of a Lambda's function, where it was a named one."""
    function = config.get("function")
    if isinstance(function, Mapping) and function.get("class_name") == "function":
        function = function.get("config")
    return function if isinstance(function, str) and function.isidentifier() else None


def _listed(layers: list[tuple[str, str, Mapping[str, Any]]]) -> str:
    """Return layers with their settings, those that are alike together."""
    alike: dict[tuple[str, str], list[str]] = {}
    for class_name, name, config in layers:
        alike.setdefault((class_name, _shown(config)), []).append(name)
    return "; ".join(
        f"{class_name} {_some(names)} ({config})" for (class_name, config), names in alike.items()
    )


def _some(names: list[str]) -> str:
    if len(names) <= _FEW:
        return ", ".join(names)
    return f"{', '.join(names[:3])} and {len(names) - 3} more"


def _shown(config: Mapping[str, Any]) -> str:
    """Return a layer's config in one line, without its name, and with the names in bytecode for the code."""
    plain = _without_code(config)
    words = [f"config {json.dumps(plain, sort_keys=True, default=str)}"]
    names = _names_in_bytecode(config.get("function"))
    if names:
        words.append(f"its code has the names {', '.join(names)}")
    return ", ".join(words)


def _without_code(config: Any) -> Any:
    if isinstance(config, (list, tuple)):
        return [_without_code(each) for each in config]
    if not isinstance(config, Mapping):
        return config
    return {
        key: _without_code(value)
        for key, value in config.items()
        if key
        not in ("name", "trainable", "dtype", "build_config", "registered_name", "output_shape", "mask")
        and not (key == "function" and not _is_name(value))
        and not key.endswith(("_type", "_initializer", "_regularizer", "_constraint"))
        and value not in (None, {}, [])
    }


def _is_name(function: Any) -> bool:
    """Whether what a layer says of its function is a name, as TensorFlow's "math.add", and no code."""
    return isinstance(function, str) and re.fullmatch(r"[A-Za-z_][\w.]{0,60}", function) is not None


def _names_in_bytecode(function: Any) -> list[str]:
    """Return the names in marshalled bytecode, found as text; nothing is unmarshalled."""
    if isinstance(function, Mapping):
        inside = function.get("config")
        function = inside.get("code") if isinstance(inside, Mapping) else None
    if isinstance(function, (list, tuple)) and function:
        function = function[0]
    if not isinstance(function, str):
        return []
    try:
        code = base64.b64decode(function, validate=False)
    except (binascii.Error, ValueError):
        return []
    names = []
    for match in _STRING.finditer(code):
        length = match[1][0]
        text = code[match.end() : match.end() + length].decode("latin-1")
        if len(text) == length > 1 and text.isascii() and text.isidentifier():
            names.append(text)
    return list(dict.fromkeys(names))
