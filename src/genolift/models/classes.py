"""From the name of a class in the user's own code to an instance.

The user names the Python file or module that defines the class, and it is run. Only a model class, or a
function in the user's own file, is then called: a package's function could do anything, and needs ``trust``.
Python's own modules are refused.
"""

import difflib
import functools
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from genolift.errors import InputError
from genolift.files.code import check_not_pythons, is_installed
from genolift.files.whole import existing_file
from genolift.models.own_code import OwnCode, importable_from, module_by_name, own_code, plain_names

_FAILED = (Exception, SystemExit)
"""What the user's code may raise; a script may exit when it is imported."""


@dataclass(frozen=True)
class ModelClass:
    """A model class, or a function that makes a model."""

    name: str
    where: str
    made_by: Callable[..., Any]
    code: OwnCode | None
    """The user's own file; None for a package."""

    def make(self, arguments: Mapping[str, Any]) -> nn.Module:
        """Return an instance.

        Raises
        ------
        InputError
            If the class does not accept the arguments, or does not make a module.
        """
        with self._importable():
            try:
                model = self.made_by(**dict(arguments))
            except _FAILED as error:
                raise self._not_made(arguments, error) from error
        if not isinstance(model, nn.Module):
            raise InputError(
                f"{self.name} makes a {type(model).__name__}",
                where=self.where,
                remedy="name a torch.nn.Module",
            )
        return model

    def keywords(self) -> dict[str, Any]:
        """Return the keywords that it takes with their defaults, None for those without."""
        try:
            parameters = inspect.signature(self.made_by).parameters.values()
        except (TypeError, ValueError):
            return {}
        return {
            each.name: None if each.default is each.empty else each.default
            for each in parameters
            if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
        }

    def _importable(self) -> AbstractContextManager[None]:
        return self.code.importable() if self.code else importable_from(Path.cwd())

    def _not_made(self, arguments: Mapping[str, Any], error: BaseException) -> InputError:
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        what = f"{self.name}({given}) raises {type(error).__name__}: {plain_names(str(error))}"
        if isinstance(error, ImportError):
            remedy = "install the module, or put its file next to the class's"
        else:
            remedy = "give the keyword arguments that the model was trained with, as model.arguments"
            remedy += _signature(self.made_by)
        return InputError(what, where=self.where, remedy=remedy)


def model_class(class_name: str, *, trust: bool = False) -> ModelClass:
    """Return the class "path/to/model.py:Class" or "package.module:Class".

    Instead of a class it may be a function that makes a module: from the user's own file or, with ``trust``,
    from a package.

    Raises
    ------
    InputError
        If the file, module or class does not exist, or may not be called.
    """
    where = f"model.class: {class_name}"
    location, _, name = class_name.rpartition(":")
    if not location or not name:
        raise InputError("no class is named", where=where, remedy="write path/to/model.py:Class")
    module, code = imported(location, where)
    made_by = getattr(module, name, None)
    if made_by is None:
        classes = [key for key, value in vars(module).items() if _is_model_class(value)]
        near = difflib.get_close_matches(name, classes, 1) or classes[:5]
        raise InputError(
            f"{location} has no {name}",
            where=where,
            remedy=f"it has {', '.join(near)}" if near else "check the name",
        )
    if not callable(made_by) or isinstance(made_by, nn.Module):
        raise InputError(
            f"{name} is a {type(made_by).__name__}, not a class", where=where, remedy="name a torch.nn.Module"
        )
    _check_called(made_by, name, where, code, trust=trust)
    return ModelClass(name, where, made_by, code)


def make_module(class_name: str, arguments: Mapping[str, Any], *, trust: bool = False) -> nn.Module:
    """Return an instance of a class by its name, as `model_class` finds it.

    Raises
    ------
    InputError
        As `model_class` and `ModelClass.make`.
    """
    return model_class(class_name, trust=trust).make(arguments)


def class_file(class_name: str | None) -> Path | None:
    """Return the Python file that defines a model's class; None if no class is named, or it is not found."""
    location = (class_name or "").rpartition(":")[0]
    if location.endswith(".py"):
        return Path(location)
    with suppress(ImportError, ValueError):
        found = importlib.util.find_spec(location)  # which runs nothing but the packages around it
        return Path(found.origin) if found and found.has_location and found.origin else None
    return None


def imported(location: str, where: str) -> tuple[ModuleType, OwnCode | None]:
    """Return the module of a Python file or of a name such as "package.module", and the file if it is the
    user's own.

    Raises
    ------
    InputError
        If it does not exist, is Python's own, or raises when it is run.
    """
    if location.endswith(".py"):
        file = existing_file(location, where=where.partition(":")[0])
        check_not_pythons(location, where)
        code = _run(file, where)
        return code.module, None if is_installed(file) else code
    check_not_pythons(location, where)
    try:
        return module_by_name(location), None
    except _FAILED as error:
        raise InputError(
            f"cannot be imported ({type(error).__name__}: {error})",
            where=where,
            remedy="install the package, run in its folder, or name a .py file",
        ) from error


def _check_called(
    made_by: Callable[..., Any], name: str, where: str, code: OwnCode | None, *, trust: bool
) -> None:
    """Raise `InputError` unless an object is a model class, from the user's own file, or trusted."""
    if _is_model_class(made_by):
        return
    while isinstance(made_by, functools.partial):
        made_by = made_by.func
    home = str(getattr(made_by, "__module__", None) or "")
    if home.partition(".")[0] in sys.stdlib_module_names:
        raise InputError(
            f"{name} belongs to Python's own module {home}", where=where, remedy="name a torch.nn.Module"
        )
    if trust or (code is not None and code.holds(home)) or _is_model_class(made_by):
        return
    raise InputError(
        f"{name} is neither a torch.nn.Module nor defined in your file, and could do anything when called",
        where=where,
        remedy="name a torch.nn.Module, or a function in your own .py file that calls it, or, if you trust "
        "it, set trust: true",
    )


def _run(file: Path, where: str) -> OwnCode:
    try:
        return own_code(file)
    except _FAILED as error:
        beyond = "relative import" in str(error)
        raise InputError(
            f"running it raises {type(error).__name__}: {plain_names(str(error))}",
            where=where,
            remedy="name it with its package, package.module:Class, and run in the package's folder"
            if beyond
            else "fix the model's file",
        ) from error


def _signature(made_by: Callable[..., Any]) -> str:
    try:
        return f": it takes {inspect.signature(made_by)}"
    except (TypeError, ValueError):
        return ""


def _is_model_class(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, nn.Module)
