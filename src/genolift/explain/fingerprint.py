"""What a model computes with, by value: weights, attributes, code, hooks; to tell whether it has changed.

Nothing of the model is kept alive, and nothing is told by an object's identity, which Python gives anew.
"""

from __future__ import annotations

import dis
import logging
import operator
import os
import random
import re
import struct
import sys
import threading
import types
import weakref
from array import array
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from copyreg import dispatch_table
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from decimal import Decimal
from functools import lru_cache, partial
from hashlib import blake2b, sha256
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import GraphModule

from genolift.engine.graph.trial_model import unwrapped
from genolift.engine.torch_internals import OpOverload, OpOverloadPacket, before_compiling, hooks_of_all
from genolift.explain.replaced import is_library, replaced, replaced_in_class, replaced_in_torch

Token = Any
"""What stands for a value: plain, compared by ``==``."""

_VALUES = (bool, int, float, complex, bytes, str)
_EXACT = {*_VALUES, type(None), type(...), type(NotImplemented), range, types.CodeType}
_PLAIN = (
    *(torch.dtype, torch.device, torch.layout, torch.memory_format, np.dtype, np.generic, PurePath),
    *(OpOverload, OpOverloadPacket),
)
_WITHOUT_EFFECT = (logging.Logger, type(threading.Lock()), type(threading.RLock()))
_PICKLED = (
    *(operator.attrgetter, operator.itemgetter, operator.methodcaller, re.Pattern, random.Random),
    *(array, bytearray, Decimal, types.SimpleNamespace, date, time, timedelta),
)
"""Types of Python whose state is not in attributes, but in what they are pickled as."""
_CONTAINERS = {list, tuple, deque, set, frozenset, dict, OrderedDict, types.MappingProxyType}
_HEAP_TYPE = 1 << 9
"""The flag of a class that is made while Python runs, as each ``class`` statement does."""
_POINTER = struct.calcsize("P")
_MOST = 200_000
"""Objects that a walk goes through at most."""
_OF_GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME", "IMPORT_NAME")
_BY_TEXT = {"globals", "eval", "exec", "__import__"}
"""Functions by which code reads what its own names do not tell."""
_OF_A_MODULE_BY_TEXT = {"getattr", "vars", "__dict__"}
_OF_THE_ENVIRONMENT = {"environ", "environb", "getenv", "getenvb"}


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

    def digest(self) -> str:
        """Return what tells this state in another process too; nothing if not all of it can be seen."""
        return sha256(repr(_written(tuple(self.tokens.items()))).encode()).hexdigest() if self.whole else ""


def fingerprint(model: nn.Module | ExportedProgram) -> Fingerprint:
    """Return the fingerprint of a model as it is now. Weights are hashed: about a second for a gigabyte."""
    walk = _Walk()
    try:
        if isinstance(model, ExportedProgram):
            modules = (each for each in model.graph_module.modules() if isinstance(each, GraphModule))
            said = model.graph_signature, model.range_constraints
            graph = *(str(each.graph) for each in modules), *map(str, said)
            walk.tokens["graph of the program"] = graph
            for name, value in {**model.constants, **model.state_dict}.items():
                walk.tokens[f"weight {name}"] = walk.token(value)
        else:
            walk.token(unwrapped(model))
            walk.of_torch()
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
        kind = type(value)
        if kind is str or kind is types.CodeType:  # which are compared by value
            return value
        if kind in _EXACT or isinstance(value, _PLAIN):
            return kind.__name__, repr(value)
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
        self.tokens[f"class of {at}"] = self.token(type(module))
        for attribute, value in _attributes(module).items():
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

    def of_torch(self) -> None:
        """Put what of torch was replaced, and the hooks that all modules have, where there are any."""
        for name, value in replaced_in_torch():
            self.tokens[f"function {name}"] = self.token(value)
        if hooks := hooks_of_all():
            self.tokens["set of hooks of all modules"] = self.token(hooks)

    def _tensor(self, tensor: Tensor) -> Token:
        plain = type(tensor) in (Tensor, nn.Parameter) and tensor.layout is torch.strided
        if not plain or tensor.is_quantized or tensor.device.type == "meta":
            return self._unseen(tensor)
        # Names that begin with _ are torch's own, such as what its compiler leaves on weights.
        beside = tuple((name, self.token(each)) for name, each in vars(tensor).items() if name[0] != "_")
        flat = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
        values = _digest(flat.view(torch.uint8).numpy())
        return tensor.dtype, tuple(tensor.shape), tensor.device, values, beside

    def _array(self, array: Any) -> Token:
        if type(array) not in (np.ndarray, np.memmap):  # a masked array has more than values
            return self._unseen(array)
        if array.dtype.hasobject:
            return "array", array.shape, self.token(array.tolist())
        return str(array.dtype), array.shape, _digest(np.ascontiguousarray(array).view(np.uint8).reshape(-1))

    def _items(self, values: Any) -> Token:
        items = tuple(map(self.token, values))
        unordered = isinstance(values, (set, frozenset))
        return self._own(values), tuple(sorted(items, key=repr)) if unordered else items

    def _mapping(self, values: Mapping[Any, Any]) -> Token:
        return self._own(values), tuple((self.token(k), self.token(v)) for k, v in values.items())

    def _own(self, value: Any) -> Token:
        """Return what a container or a plain value has beside what it holds, if it is of a subclass."""
        kind = type(value)
        if kind in _CONTAINERS:
            return kind.__name__
        made = self.token(getattr(value, "default_factory", None))
        return self.token(kind), made, tuple((n, self.token(v)) for n, v in _attributes(value).items())

    def _value(self, value: Any) -> Token:
        base = next(each for each in _VALUES if isinstance(value, each))
        return base.__repr__(value), self._own(value)

    def _slice(self, value: slice) -> Token:
        return "slice", self.token(value.start), self.token(value.stop), self.token(value.step)

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
        """Yield the globals that a function reads, and what it reads of modules."""
        global_names, names = _names_in(function.__code__)
        given = function.__globals__
        by_text = not _BY_TEXT.isdisjoint(global_names) or "import_module" in names
        if by_text or ("sys" in global_names and "modules" in names):
            self.whole = False
        for name in global_names:
            if name in given:
                yield name, self._read(given[name], names)
            else:  # imported within the function, if it is no builtin
                yield name, tuple(self._read(each, names) for each in _imported(name, given))

    def _read(self, value: Any, names: frozenset[str], *above: types.ModuleType) -> Token:
        """Return what stands for a global: for a module what is read of it."""
        if not isinstance(value, types.ModuleType):
            return self.token(value)
        if value is os:
            return self.token(dict(os.environ)) if names & _OF_THE_ENVIRONMENT else ()
        if is_library(value.__name__):
            return tuple((name, self.token(other)) for name, other in replaced(value, names))
        if names & _OF_A_MODULE_BY_TEXT:
            self.whole = False
        inside = ((name, vars(value)[name]) for name in sorted(names) if name in vars(value))
        return tuple((n, self._read(v, names, *above, value)) for n, v in inside if v not in above)

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
        """Return a class's name, all that the user's own bases define, and what was replaced in others."""
        defined: list[tuple[str, Any]] = []
        for base in (*kind.__mro__, *type.mro(type(kind))):
            if is_library(base.__module__):
                defined += replaced_in_class(base)
            else:
                defined += (item for item in vars(base).items() if _has_effect(*item))
        return kind.__module__, kind.__qualname__, tuple((name, self.token(each)) for name, each in defined)

    def _descriptor(self, value: Any) -> Token:
        parts = (getattr(value, name, None) for name in ("__func__", "fget", "fset", "func"))
        return type(value).__name__, tuple(map(self.token, parts))

    def _other(self, value: Any) -> Token:
        """Return an object's attributes, if that is all that it has."""
        kind = type(value)
        if kind in _WITHOUT_EFFECT:
            return kind.__name__
        if kind in _PICKLED:
            made = dispatch_table[kind](value) if kind in dispatch_table else value.__reduce_ex__(4)
            return kind.__name__, self.token(made)
        if _has_more_than_attributes(kind):
            return self._unseen(value)
        return self.token(kind), tuple((name, self.token(v)) for name, v in _attributes(value).items())

    def _unseen(self, value: Any) -> Token:
        self.whole = False
        return "unseen", type(value).__qualname__


def _written(token: Token) -> Token:
    """Return a token whose text is the same in every process."""
    if isinstance(token, types.CodeType):
        names = token.co_names, token.co_varnames, token.co_freevars, token.co_cellvars, token.co_argcount
        return "code", token.co_code, _written(token.co_consts), token.co_exceptiontable, names
    if isinstance(token, frozenset):
        return "set", *sorted(repr(_written(each)) for each in token)
    return tuple(map(_written, token)) if isinstance(token, tuple) else token


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


def _imported(name: str, given: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the modules that an import of this name may mean in code with these globals."""
    package = str(given.get("__package__") or "").split(".")
    prefixes = ("", *(".".join(package[:end]) for end in range(len(package), 0, -1)))
    names = (f"{prefix}.{name}".strip(".") for prefix in prefixes)
    yield from (sys.modules[each] for each in names if each in sys.modules)


def _of_library(function: types.FunctionType) -> bool:
    return is_library(function.__globals__.get("__name__") or "")


def _attributes(value: Any) -> dict[str, Any]:
    """Return what an object has in slots, private ones too, and in its dictionary."""
    found = {}
    for base in type(value).__mro__:
        for name, each in vars(base).items():
            if isinstance(each, types.MemberDescriptorType):
                with suppress(AttributeError):  # it was not set
                    found[name] = each.__get__(value)
    return found | dict(getattr(value, "__dict__", ()))


def _has_more_than_attributes(kind: type) -> bool:
    """Whether objects of a class take more memory than their attributes do, as a C extension's."""
    if not all(base is object or base.__flags__ & _HEAP_TYPE for base in kind.__mro__):
        return True
    inside = (each for base in kind.__mro__ for each in vars(base).values())
    slots = sum(isinstance(each, types.MemberDescriptorType) for each in inside)
    pointers = slots + (kind.__dictoffset__ > 0) + (kind.__weakrefoffset__ > 0)
    return kind.__itemsize__ > 0 or kind.__basicsize__ > object.__basicsize__ + _POINTER * pointers


def _has_effect(name: str, value: Any) -> bool:
    """Whether a class's attribute is not one of those that Python makes of itself."""
    return callable(value) or not (name.startswith("__") or name == "_abc_impl")


_KINDS: tuple[tuple[Any, Callable[[_Walk, Any], Token]], ...] = (
    (Tensor, _Walk._tensor),
    (np.ndarray, _Walk._array),
    ((list, tuple, deque, set, frozenset), _Walk._items),
    ((dict, types.MappingProxyType), _Walk._mapping),
    (_VALUES, _Walk._value),
    (slice, _Walk._slice),
    (types.FunctionType, _Walk._function),
    (types.MethodType, _Walk._method),
    (partial, _Walk._partial),
    (weakref.ref, _Walk._reference),
    ((types.BuiltinFunctionType, types.MethodWrapperType, types.WrapperDescriptorType), _Walk._builtin),
    ((types.MethodDescriptorType, types.ClassMethodDescriptorType), _Walk._builtin),
    ((types.GetSetDescriptorType, types.MemberDescriptorType), _Walk._builtin),
    ((property, classmethod, staticmethod), _Walk._descriptor),
    (type(lru_cache(len)), lambda walk, function: walk.token(function.__wrapped__)),
    (type, _Walk._class),
)
