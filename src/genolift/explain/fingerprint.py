"""What a model computes with, by value: weights, attributes, code, hooks; to tell whether it has changed.

Nothing of the model is kept alive, and nothing is told by an object's identity, which Python gives anew.
"""

from __future__ import annotations

import dis
import sys
import types
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from enum import Enum
from functools import cache, lru_cache, partial
from hashlib import blake2b
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from genolift.engine.graph.trial_model import unwrapped
from genolift.engine.torch_internals import OpOverload, OpOverloadPacket, before_compiling

Token = Any
"""What stands for a value: plain, compared by ``==``."""

_PLAIN = (
    *(bool, int, float, complex, bytes, type(None), type(...), type(NotImplemented), range, slice),
    *(torch.dtype, torch.device, torch.layout, torch.memory_format, np.dtype, np.generic, PurePath, Enum),
    *(OpOverload, OpOverloadPacket),
)
_MOST = 200_000
"""Objects that a walk goes through at most."""
_OF_GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME", "IMPORT_NAME")
_HEAP_TYPE = 1 << 9
"""The flag of a class that was made by a ``class`` statement: its instances have no state but attributes."""


@dataclass(frozen=True)
class Fingerprint:
    """A model's state by names such as ``weight layers.0.weight``, and whether all of it can be seen."""

    tokens: Mapping[str, Token]
    whole: bool

    def change(self, now: Fingerprint) -> str:
        """Return the name of the first thing that is another now; nothing where all is the same."""
        names = {**now.tokens, **self.tokens}
        missing = object()
        changed = (n for n in names if self.tokens.get(n, missing) != now.tokens.get(n, missing))
        return next(changed, "")


def fingerprint(model: nn.Module | ExportedProgram) -> Fingerprint:
    """Return the fingerprint of a model as it is now. Weights are hashed: about a second for a gigabyte."""
    walk = _Walk()
    try:
        if isinstance(model, ExportedProgram):
            graph = str(model.graph), str(model.graph_signature), str(model.range_constraints)
            walk.tokens["graph of the program"] = graph
            for name, value in {**model.constants, **model.state_dict}.items():
                walk.tokens[f"weight {name}"] = walk.token(value)
        else:
            walk.token(unwrapped(model))
    except RecursionError:
        return Fingerprint({}, False)
    return Fingerprint(walk.tokens, walk.whole)


def token_of(value: Any) -> tuple[Token, bool]:
    """Return what stands for a value, such as a target that is a function, and whether all of it is seen."""
    walk = _Walk()
    try:
        return (walk.token(value), *walk.tokens.items()), walk.whole
    except RecursionError:
        return (), False


@dataclass
class _Walk:
    """One walk through what a model refers to; what is met again is known by its number."""

    tokens: dict[str, Token] = field(default_factory=dict)
    whole: bool = True
    _met: dict[int, int] = field(default_factory=dict)
    _alive: list[Any] = field(default_factory=list)
    _at: str = ""
    """The attribute of a module that is being read."""

    def token(self, value: Any, name: str = "") -> Token:
        """Return what stands for a value; ``name`` is its path in the model, if it is a submodule."""
        if isinstance(value, (str, types.CodeType)):  # which are compared by value
            return value
        if isinstance(value, _PLAIN):
            return type(value).__name__, repr(value)
        if id(value) in self._met:
            return "met", self._met[id(value)]
        if len(self._alive) > _MOST:
            raise RecursionError
        self._met[id(value)] = len(self._alive)
        self._alive.append(value)  # else another value could get its id
        if isinstance(value, nn.Module):
            return self._module(value, name)
        of = next((of for kind, of in _KINDS if isinstance(value, kind)), _Walk._other)
        return of(self, value)

    def _module(self, module: nn.Module, name: str) -> Token:
        """Put the state of a module under its own names, or under an attribute's, if it is no submodule."""
        if not name and self.tokens:
            name = self._at if f"class of {self._at}" not in self.tokens else f"{self._at} {len(self._alive)}"
        module = before_compiling(module) or module  # what torch.compile counts beside is no state
        at = name or "the model"
        self.tokens[f"class of {at}"] = self._class(type(module))
        for attribute, value in list(vars(module).items()):
            if attribute in ("_parameters", "_buffers"):
                for key, tensor in value.items():
                    self.tokens[f"weight {_joined(name, key)}"] = self.token(tensor)
            elif attribute == "_modules":
                inside = {key: self.token(child, _joined(name, key)) for key, child in value.items()}
                self.tokens[f"submodules of {at}"] = tuple(inside.items())
            elif attribute == "training":
                self.tokens[f"mode of {at}"] = value
            elif attribute == "forward" or attribute.endswith("_hooks"):
                self.tokens[f"{attribute.strip('_').replace('_', ' ')} of {at}"] = self.token(value)
            elif attribute != "_is_full_backward_hook":
                self._at = _joined(name, attribute)
                self.tokens[f"attribute {self._at}"] = self.token(value)
        return "module", at

    def _tensor(self, tensor: Tensor) -> Token:
        plain = type(tensor) in (Tensor, nn.Parameter) and tensor.layout is torch.strided
        if not plain or tensor.is_quantized or tensor.device.type == "meta":
            return self._unseen(tensor)
        flat = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
        return tensor.dtype, tuple(tensor.shape), tensor.device, _digest(flat.view(torch.uint8).numpy())

    def _array(self, array: Any) -> Token:
        if array.dtype.hasobject:
            return "array", array.shape, self.token(array.tolist())
        return str(array.dtype), array.shape, _digest(np.ascontiguousarray(array).view(np.uint8).reshape(-1))

    def _items(self, values: Any) -> Token:
        items = tuple(map(self.token, values))
        return type(values).__name__, tuple(sorted(items, key=repr)) if isinstance(values, Set) else items

    def _mapping(self, values: Mapping[Any, Any]) -> Token:
        return type(values).__name__, tuple((self.token(k), self.token(v)) for k, v in values.items())

    def _function(self, function: types.FunctionType) -> Token:
        cells = tuple(map(self._cell, function.__closure__ or ()))
        given = self.token(function.__defaults__), self.token(function.__kwdefaults__)
        own = () if _of_library(function) else tuple(self._globals(function))
        return function.__code__, cells, given, self.token(vars(function)), own

    def _cell(self, cell: types.CellType) -> Token:
        try:
            return self.token(cell.cell_contents)
        except ValueError:
            return "empty"

    def _globals(self, function: types.FunctionType) -> Iterator[Token]:
        """Yield the globals that a function reads, and what it reads of the user's own modules."""
        global_names, names = _names_in(function.__code__)
        for name in global_names:
            value = function.__globals__.get(name, sys.modules.get(name))  # imported within the function
            if isinstance(value, types.ModuleType) and not _is_library(value.__name__):
                inside = ((each, vars(value)[each]) for each in names if each in vars(value))
                yield name, tuple((each, self.token(read)) for each, read in inside)
            elif name in function.__globals__ and not isinstance(value, types.ModuleType):
                yield name, self.token(value)

    def _reference(self, reference: weakref.ref[Any]) -> Token:
        return "reference", self.token(reference())

    def _method(self, method: types.MethodType) -> Token:
        return self.token(method.__func__), self.token(method.__self__)

    def _partial(self, function: partial[Any]) -> Token:
        return "partial", self.token(function.func), self.token(function.args), self.token(function.keywords)

    def _builtin(self, function: Any) -> Token:
        own = getattr(function, "__self__", None)
        named = str(getattr(function, "__module__", "")), str(getattr(function, "__qualname__", ""))
        return (*named, None if isinstance(own, types.ModuleType) else self.token(own))

    def _class(self, kind: type) -> Token:
        """Return a class's name and, of the user's own classes, all that they define."""
        own = [each for each in kind.__mro__ if not _is_library(each.__module__)]
        defined = (item for each in own for item in vars(each).items() if _has_effect(*item))
        forward = getattr(kind, "forward", None)  # somebody may replace that of torch's class too
        tokens = tuple((name, self.token(value)) for name, value in defined)
        return kind.__module__, kind.__qualname__, tokens, self.token(forward)

    def _descriptor(self, value: Any) -> Token:
        parts = (getattr(value, name, None) for name in ("__func__", "fget", "fset", "func"))
        return type(value).__name__, tuple(map(self.token, parts))

    def _other(self, value: Any) -> Token:
        """Return an object's attributes, if that is all that it has."""
        kind = type(value)
        if not all(base is object or base.__flags__ & _HEAP_TYPE for base in kind.__mro__):
            return self._unseen(value)
        slots = (name for base in kind.__mro__ for name in _names_of_slots(base) if hasattr(value, name))
        attributes = {**{name: getattr(value, name) for name in slots}, **getattr(value, "__dict__", {})}
        return self._class(kind), self._mapping(attributes)

    def _unseen(self, value: Any) -> Token:
        self.whole = False
        return "unseen", type(value).__qualname__


def _joined(name: str, inside: str) -> str:
    return f"{name}.{inside}" if name else inside


def _digest(array: Any) -> bytes:
    return blake2b(array, digest_size=16).digest()


@lru_cache(maxsize=10_000)
def _names_in(code: types.CodeType) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the globals that code reads or imports, and all its names, with those of functions within it."""
    read = {each.argval: None for each in dis.get_instructions(code) if each.opname in _OF_GLOBALS}
    names = {*code.co_names}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner, inner_names = _names_in(constant)
            read |= dict.fromkeys(inner)
            names |= inner_names
    return tuple(read), frozenset(names)


@cache
def _is_library(module: str) -> bool:
    """Whether a module is of Python or an installed package, whose globals nobody changes while they run."""
    top = module.partition(".")[0]
    if top == "__main__":  # a notebook's, whose file is that of an installed program
        return False
    where = getattr(sys.modules.get(top), "__file__", None) or ""
    installed = {"site-packages", "dist-packages"} & {*PurePath(where).parts}
    return top == "genolift" or bool(installed) or top in sys.stdlib_module_names


def _of_library(function: types.FunctionType) -> bool:
    return _is_library(function.__globals__.get("__name__") or "")


def _names_of_slots(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _has_effect(name: str, value: Any) -> bool:
    """Whether a class's attribute is not one of those that Python makes of itself."""
    return callable(value) or not (name.startswith("__") or name == "_abc_impl")


_KINDS: tuple[tuple[Any, Callable[[_Walk, Any], Token]], ...] = (
    (Tensor, _Walk._tensor),
    (np.ndarray, _Walk._array),
    ((list, tuple, deque, set, frozenset), _Walk._items),
    (Mapping, _Walk._mapping),
    (types.FunctionType, _Walk._function),
    (types.MethodType, _Walk._method),
    (partial, _Walk._partial),
    (weakref.ref, _Walk._reference),
    ((types.BuiltinFunctionType, types.MethodWrapperType, types.WrapperDescriptorType), _Walk._builtin),
    ((types.MethodDescriptorType, types.ClassMethodDescriptorType), _Walk._builtin),
    ((types.GetSetDescriptorType, types.MemberDescriptorType), _Walk._builtin),
    ((property, classmethod, staticmethod), _Walk._descriptor),
    (type, _Walk._class),
)
