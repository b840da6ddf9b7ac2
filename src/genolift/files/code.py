"""The Python files that the user's code imports from its own folder, found by reading import statements.

The code is not run, and torch is not needed: the workflow asks while it builds its graph of jobs.
"""

import ast
import importlib.util
import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib.machinery import all_suffixes
from pathlib import Path

from genolift.errors import InputError

_INSTALLED = ("site-packages", "dist-packages")
_LARGEST_SOURCE = 10 * 2**20
"""Bytes. A longer file is data, and is not searched for imports."""
_LONGEST_NAME = 200
"""Characters of a file's name, leaving room for a suffix."""


def code_files(location: str) -> dict[str, Path]:
    """Return the files of a module, and those it imports from their folder, directly or indirectly.

    Import statements within functions and classes count, and so does ``importlib.import_module`` of a literal
    name. Imports from elsewhere, such as an installed package, are not followed.

    Parameters
    ----------
    location
        "path/to/model.py", or "package.module", which is the user's own if it is in the working folder or an
        editable install.

    Returns
    -------
    dict
        Path by name relative to the folder, such as "parts/blocks.py", the file at ``location`` first. Empty
        if the module belongs to an installed package or is not found.
    """
    folder = code_folder(location)
    return {} if folder is None else files_with_imports(folder, location)


def files_with_imports(folder: Path, location: str) -> dict[str, Path]:
    """Return what `code_files` returns, for a file or module in a known folder."""
    if location.endswith(".py"):
        waiting = [("", folder / Path(location).resolve().name)]
    else:
        waiting = list(files_of_module(folder, location))
    found = {path: None for _, path in waiting}
    first = list(found)[:1] if location.endswith(".py") else []
    while waiting:
        name, path = waiting.pop()
        package = name if path.stem == "__init__" else name.rpartition(".")[0]
        for imported in _imported_names(path, package):
            for named, other in files_of_module(folder, imported):
                if other not in found:
                    found[other] = None
                    waiting.append((named, other))
    in_order = [*first, *sorted(found.keys() - first)]
    return {path.relative_to(folder).as_posix(): path for path in in_order}


def code_folder(location: str) -> Path | None:
    """Return the folder to which the names of `code_files` are relative; None for an installed package."""
    if location.endswith(".py"):
        return folder_of(Path(location))
    top = location.partition(".")[0]
    if top in sys.stdlib_module_names or top == "genolift":
        return None
    if is_neighbour(Path(), top):
        return Path()
    try:
        origin = getattr(importlib.util.find_spec(top), "origin", None)
    except (ImportError, ValueError, AttributeError):
        return None
    if not isinstance(origin, str) or not Path(origin).is_file() or is_installed(Path(origin)):
        return None
    file = Path(origin)
    return file.parent.parent if file.stem == "__init__" else file.parent


def folder_of(file: Path) -> Path:
    """Return the folder of a file, spelled as the user wrote it unless that is a link."""
    real = file.resolve().parent
    return file.parent if file.parent.resolve() == real else real


def files_of_module(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    """Yield the files in a folder of a module and of the packages around it, each with its dotted name.

    The order is Python's: a package comes before a file of the same name, and a folder without ``__init__``
    counts only if no other package has its name. A module that is not in the folder yields nothing.
    """
    parts = name.split(".")
    if not all(part.isidentifier() and len(part) <= _LONGEST_NAME for part in parts):
        return
    if not is_neighbour(folder, parts[0]):
        return
    for number, part in enumerate(parts, 1):
        dotted = ".".join(parts[:number])
        package = _with_suffix(folder / part / "__init__")
        file = package or _with_suffix(folder / part)
        if file is not None:
            yield dotted, file
        if package is None and file is not None:
            return
        folder = folder / part
        if not folder.is_dir():
            return


def is_neighbour(folder: Path, name: str) -> bool:
    """Whether ``import name``, in a file of this folder, imports a file or package of the same folder."""
    if name in sys.builtin_module_names or folder.name in _INSTALLED:
        return False
    if _with_suffix(folder / name / "__init__") or _with_suffix(folder / name):
        return True
    return (folder / name).is_dir() and not _is_elsewhere(name)


def is_installed(file: Path) -> bool:
    """Whether a file belongs to an installed package."""
    return any(part in _INSTALLED for part in file.resolve().parts)


def check_not_pythons(location: str, where: str) -> None:
    """Raise `InputError` if ``location``, as in `code_files`, belongs to Python's standard library."""
    if location.endswith(".py"):
        places = [] if is_installed(Path(location)) else Path(location).resolve().parents
        of_python = any((place / "os.py").is_file() and (place / "abc.py").is_file() for place in places)
    else:
        of_python = location.partition(".")[0] in sys.stdlib_module_names
    if of_python:
        raise InputError(
            f"{location} is one of Python's own modules",
            where=where,
            remedy="name the module of the model; if it is a file of yours, as path/to/model.py:Class",
        )


def _is_elsewhere(name: str) -> bool:
    try:
        return name in sys.modules or importlib.util.find_spec(name) is not None
    except (ImportError, ValueError, AttributeError):
        return False


def _with_suffix(path: Path) -> Path | None:
    return next((each for end in all_suffixes() if (each := path.with_name(path.name + end)).is_file()), None)


def _imported_names(path: Path, package: str) -> tuple[str, ...]:
    if path.suffix != ".py":
        return ()
    try:
        if path.stat().st_size > _LARGEST_SOURCE:
            return ()
        return _names_in(path.read_bytes(), package)
    except OSError:
        return ()


@lru_cache(maxsize=512)
def _names_in(source: bytes, package: str) -> tuple[str, ...]:
    """Return the dotted names of all modules that a source may import; none if it is not Python."""
    try:
        tree = ast.parse(source)
        return tuple(dict.fromkeys(name for node in ast.walk(tree) for name in _names_of(node, package)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()


def _names_of(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = _absolute(node.module or "", node.level, package)
        if base:
            yield base
        yield from (f"{base}.{alias.name}".strip(".") for alias in node.names if alias.name != "*")
    elif isinstance(node, ast.Assign):  # __all__ = ["blocks"]: import * imports these submodules
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets):
            yield from (f"{package}.{name}".strip(".") for name in _texts(node.value))
    elif isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
        if called in ("import_module", "__import__") and node.args:
            for name in _texts(node.args[0]):
                dots = len(name) - len(name.lstrip("."))
                yield _absolute(name[dots:], dots, _package_given(node) or package)


def _absolute(name: str, level: int, package: str) -> str:
    """Return the absolute name for a relative import with ``level`` dots (one dot is the package itself)."""
    if not level:
        return name
    parts = package.split(".") if package else []
    return ".".join([*parts[: max(0, len(parts) - level + 1)], *([name] if name else [])])


def _texts(node: ast.AST) -> list[str]:
    inside = node.elts if isinstance(node, (ast.List, ast.Tuple)) else [node]
    return [each.value for each in inside if isinstance(each, ast.Constant) and isinstance(each.value, str)]


def _package_given(call: ast.Call) -> str | None:
    given = [*call.args[1:2], *(each.value for each in call.keywords if each.arg == "package")]
    return next((text for node in given for text in _texts(node)), None)
