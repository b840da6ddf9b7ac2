"""The user's torch functions for a Keras model's Lambda and custom layers.

Python bytecode in a model file is never run: only the names in it are read, to hint at what it computes.
"""

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
"""The start of a short string in marshal's format: a type code and the length."""
OF_CELLS = ("RNN", "StackedRNNCells")
"""Recurrent layers around arbitrary cells; one around a single Keras cell is read as that cell's layer."""
_FEW = 6


class CustomLayers:
    """Looks up what the file ``custom_layers`` supplies for a layer, by the layer's name or its class's.

    A function of that name defined in the file replaces the layer, even a layer that Keras has. So does an
    entry of the file's ``LAYERS``, a mapping to functions or to the names of Keras layers. Its keys may be
    patterns such as "lambda_*", which apply only to layers that Keras lacks and to TensorFlow functions.

    A function that the file merely imports is used only if ``LAYERS`` lists it: the names come from the
    model's file, which must not be able to call arbitrary functions.
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
        """Return the entry of ``LAYERS`` for the first of ``names`` that it lists, or None."""
        for name in names:
            if name in self.listed:
                return self._usable(name, self.listed[name])
        return None

    def named(self, *names: str) -> Callable[..., Any] | str | None:
        """Return the entry of ``LAYERS``, else the file's function, for the first of ``names``, or None."""
        listed = self.listed_as(*names)
        if listed is not None:
            return listed
        own = self.defined(*names)
        if own is None:
            there = [name for name in names if callable(getattr(self.module, name, None))]
            self.only_imported += there
        return own

    def defined(self, *names: str) -> Callable[..., Any] | None:
        """Return the first of ``names`` that is a function defined in the file or a torch module, or None."""
        for name in names:
            found = getattr(self.module, name, None) if name.isidentifier() else None
            home = str(getattr(found, "__module__", None))
            own = self.code is not None and self.code.holds(home)
            if callable(found) and (own or isinstance(found, nn.Module)):
                return found
        return None

    def of(self, *names: str) -> Callable[..., Any] | str | None:
        """Return what the user supplies for a layer or function, by name or by a pattern, or None."""
        found = self.named(*names)
        if found is not None:
            return found
        for name in names:
            for pattern, value in self.listed.items():
                if fnmatchcase(name, pattern):
                    return self._usable(pattern, value)
        return None

    def lack(self, layer: LayerConfig) -> None:
        """Note a layer that the user must supply; `check` names all of them at once."""
        self.missing.append((layer.class_name, layer.name, layer.config))

    def lack_activation(self, name: str) -> None:
        """Note an activation function that the user must supply, in addition to the layer that uses it."""
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
                ("has layers that are not Keras's own or contain code, which is not run", others),
                ("has a recurrent layer of several or custom cells, which is not supported", of_cells),
                ("calls TensorFlow functions that are not supported, or not with these arguments", functions),
            )
            if layers
        ]
        activations = ", ".join(self.missing_activations)
        remedy = (
            "write a Python file with a torch function for each, named like the layer or its class, "
            + (f"or like the activation, {activations}, " if activations else "")
            + "and give it as model.custom_layers"
        )
        if functions:  # the name of a Python function cannot contain a dot
            names = [*(name for _, name, _ in self.missing), *self.missing_activations]
            entries = ", ".join(f'"{name}": FUNCTION' for name in dict.fromkeys(names))
            remedy = (
                f"write a Python file with LAYERS = {{{entries}}}, where each FUNCTION is a torch function "
                "with the same arguments, and give it as model.custom_layers"
            )
        if self.only_imported:
            name = self.only_imported[0]
            remedy = f'{name} is only imported there: to use it, write LAYERS = {{"{name}": {name}}}'
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
    """Return the name of a Lambda's function if it has one, else None."""
    function = config.get("function")
    if isinstance(function, Mapping) and function.get("class_name") == "function":
        function = function.get("config")
    return function if isinstance(function, str) and function.isidentifier() else None


def _listed(layers: list[tuple[str, str, Mapping[str, Any]]]) -> str:
    """Return a list of layers with their settings, grouping those with the same class and settings."""
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
    """Return a layer's config in one line without its name; for code, give the names in its bytecode."""
    plain = _without_code(config)
    words = [f"config {json.dumps(plain, sort_keys=True, default=str)}"]
    names = _names_in_bytecode(config.get("function"))
    if names:
        words.append(f"its code uses the names {', '.join(names)}")
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
    """Whether a layer gives its function by a name, such as TensorFlow's "math.add", rather than as code."""
    return isinstance(function, str) and re.fullmatch(r"[A-Za-z_][\w.]{0,60}", function) is not None


def _names_in_bytecode(function: Any) -> list[str]:
    """Return the names in marshalled bytecode, searched as text without unmarshalling it."""
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
