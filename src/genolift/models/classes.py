"""From the name of a class in the user's own code to an instance. Knows nothing of weights.

The Python file or module that defines the class is the user's own, named by the user, and is run.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from genolift.errors import InputError
from genolift.files import existing_file

_SIBLINGS: dict[Path, dict[str, ModuleType]] = {}
"""What files imported from their folder, kept out of sys.modules: two folders may each have a layers.py."""


def make_module(class_name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """Return an instance of the class "path/to/model.py:Class" or "package.module:Class".

    In the place of a class there may be a function that makes a module.

    Raises
    ------
    InputError
        If there is no such file, module or class, or it does not take the arguments.
    """
    where = f"model.class: {class_name}"
    made, name = _made_by(class_name), class_name.rpartition(":")[2]
    try:
        model = made(**dict(arguments))
    except Exception as error:
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        raise InputError(
            f"{name}({given}) raises {type(error).__name__}: {error}",
            where=where,
            remedy="give the keyword arguments that the model was trained with, as model.arguments"
            + _signature(made),
        ) from error
    if not isinstance(model, nn.Module):
        raise InputError(
            f"{name} makes a {type(model).__name__}", where=where, remedy="name a torch.nn.Module"
        )
    return model


def keywords_of(class_name: str) -> dict[str, Any]:
    """Return the keywords that a class or function takes, with their defaults, None where there is none."""
    try:
        parameters = inspect.signature(_made_by(class_name)).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {
        each.name: None if each.default is each.empty else each.default
        for each in parameters
        if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
    }


def class_file(class_name: str | None) -> Path | None:
    """Return the Python file that a loaded model's class was taken from; None where no class is named."""
    location = (class_name or "").rpartition(":")[0]
    if location.endswith(".py"):
        return Path(location)
    file = getattr(sys.modules.get(location), "__file__", None)
    return Path(file) if file else None


@contextmanager
def importable_from(folder: Path) -> Iterator[None]:
    """Within it, what lies in a folder can be imported; after it, what could be before."""
    before = list(sys.path)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before


def _made_by(class_name: str) -> Callable[..., Any]:
    where = f"model.class: {class_name}"
    location, _, name = class_name.rpartition(":")
    if not location or not name:
        raise InputError("no class is named", where=where, remedy="write path/to/model.py:Class")
    module = imported(location, where)
    made = getattr(module, name, None)
    if made is None:
        classes = [key for key, value in vars(module).items() if _is_model_class(value)]
        near = difflib.get_close_matches(name, classes, 1) or classes[:5]
        raise InputError(
            f"{location} has no {name}",
            where=where,
            remedy=f"it has {', '.join(near)}" if near else "check the name",
        )
    if not callable(made):
        raise InputError(
            f"{name} is a {type(made).__name__}, not a class", where=where, remedy="name a torch.nn.Module"
        )
    return made


def _signature(made: Callable[..., Any]) -> str:
    try:
        return f": it takes {inspect.signature(made)}"
    except (TypeError, ValueError):
        return ""


def _is_model_class(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, nn.Module)


def imported(location: str, where: str) -> ModuleType:
    """Return the module of a Python file, or of a name such as "package.module".

    Raises
    ------
    InputError
        If there is none, or running it raises.
    """
    if location.endswith(".py"):
        return _module_of_file(existing_file(location, where=where.partition(":")[0]).resolve(), where)
    try:
        with importable_from(Path.cwd()):  # as python -m has it, and a console script has not
            return importlib.import_module(location)
    except Exception as error:
        raise InputError(
            f"cannot be imported ({type(error).__name__}: {error})",
            where=where,
            remedy="install the package, run where it lies, or name a .py file",
        ) from error


def _module_of_file(path: Path, where: str) -> ModuleType:
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
        with _siblings_importable(path.parent):
            found.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        _SIBLINGS.pop(path.parent, None)  # they may be mended too
        within = "relative import" in str(error)
        raise InputError(
            f"running it raises {type(error).__name__}: {error}",
            where=where,
            remedy="name it as its package's, package.module:Class, and run in the folder of the package"
            if within
            else "mend the model's file",
        ) from error
    return module


@contextmanager
def _siblings_importable(folder: Path) -> Iterator[None]:
    """Within it, a file may import others beside it, whatever those of other folders are called."""
    before = set(sys.modules)
    mine = _SIBLINGS.setdefault(folder, {})
    sys.modules.update({name: module for name, module in mine.items() if name not in before})
    try:
        with importable_from(folder):
            yield
    finally:
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            own = name.startswith("genolift_model_")
            if name not in before and not own and file and folder in Path(file).resolve().parents:
                mine[name] = sys.modules.pop(name)
