"""What somebody has replaced in the modules and classes of Python and of installed packages while they run.

What these hold is not read anew for each model, but compared with what was there at first sight: most of it
never changes, and no model is told by it.
"""

from __future__ import annotations

import sys
import types
import weakref
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain
from pathlib import PurePath
from typing import Any

import torch
from torch.nn import functional

_FOLDER = f"{PurePath(torch.__file__).parent}"
_PLAIN = (bool, int, float, str)
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType)
_OF_THE_COMPILER = ("__init__", "__setstate__", "___needs_generation_tag_patch")
"""What torch's compiler replaces in nn.Module when it begins; no forward calls it."""
_FIRST: weakref.WeakKeyDictionary[Any, dict[str, Any]] = weakref.WeakKeyDictionary()
"""By module or class, what its names stood for at first sight: weak references to functions, plain values."""
_OF_TORCH = (torch, functional)
"""Where all models' functions are, whichever layer calls them."""


@cache
def is_library(module: str) -> bool:
    """Whether a module, by its name, is of Python or an installed package."""
    top = module.partition(".")[0]
    if top == "__main__":  # a notebook's, whose file is that of an installed program
        return False
    where = getattr(sys.modules.get(top), "__file__", None) or ""
    installed = {"site-packages", "dist-packages"} & {*PurePath(where).parts}
    return top == "genolift" or bool(installed) or top in sys.stdlib_module_names


def replaced_in_torch() -> Iterator[tuple[str, Any]]:
    """Yield the functions and methods of torch that are others now, by their names."""
    for owner in _OF_TORCH:
        for name, value in replaced(owner, list(_FIRST.get(owner, ())) or list(vars(owner))):
            yield f"{owner.__name__}.{name}", value
    for name, value in replaced_in_class(torch.Tensor):
        yield f"torch.Tensor.{name}", value


def replaced_in_class(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield what is another now of a library's class, and what was added to it, by name."""
    known = _FIRST.get(kind)
    if known is None:
        yield from replaced(kind, vars(kind))
    else:
        added = [item for item in vars(kind).items() if item[0] not in known and _told(item[1]) is not None]
        for name, value in chain(replaced(kind, list(known)), added):
            if name not in _OF_THE_COMPILER:
                yield name, value


def replaced(owner: Any, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Yield those of the names of a library's module or class that stand for something else now."""
    first, now = _FIRST.setdefault(owner, {}), vars(owner)
    for name in names:
        seen, value = first.get(name), now.get(name)
        if type(seen) is weakref.ref and seen() is value:
            continue
        told = _told(value)
        if seen is None and told is not None:
            first[name] = told
        elif seen is not None and seen is not told and seen != told:
            yield name, value


def _told(value: Any) -> Any:
    """Return what tells a function or a plain value from another; None of anything else."""
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    elif isinstance(value, property):
        value = value.fget
    while _is_wrapped_by_torch(value):  # as torch's compiler does some functions when it is imported
        value = value.__wrapped__
    if isinstance(value, _FUNCTIONS):
        return weakref.ref(value)  # the same one each time, while the function lives
    return (type(value), value) if type(value) in _PLAIN else None


def _is_wrapped_by_torch(value: Any) -> bool:
    own = isinstance(value, types.FunctionType) and value.__code__.co_filename.startswith(_FOLDER)
    return own and hasattr(value, "__wrapped__")
