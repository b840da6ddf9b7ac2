"""The user's own Python files, each run together with the files that it imports from its folder.

A file is run as a package, and whatever it imports from its folder, at the top or later within a function,
becomes part of that package. So ``sys.path`` and the names of other modules stay unchanged, and two models
may each have a layers.py.
"""

from __future__ import annotations

import builtins
import hashlib
import importlib
import logging
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import resolve_name, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from genolift.errors import InputError
from genolift.files.code import code_files, code_folder, files_of_module, folder_of, is_neighbour
from genolift.files.whole import sha256

_LOG = logging.getLogger("genolift")
_PREFIX = "genolift_model_"
_BY_PACKAGE: dict[str, OwnCode] = {}
_BY_FILE: dict[Path, OwnCode] = {}
"""The latest run of each file."""
_WARNED: set[tuple[str, str]] = set()
_MODULES: set[str] = set()
"""Modules imported as "package.module"; one package may hold several models."""
_ONE_AT_A_TIME = threading.RLock()
"""Held while code runs with a changed ``sys.path``, which two threads would restore for each other."""


def own_code(file: Path) -> OwnCode:
    """Run a Python file with those that it imports, again if one of them has changed, and return it.

    Raises whatever the code raises.
    """
    real = file.resolve()
    code = OwnCode(real)
    with _ONE_AT_A_TIME:  # another thread may still be running it
        code = _BY_PACKAGE.setdefault(code.package, code)
        if not code.has_run:
            _run(code)
    _BY_FILE[real] = code
    return code


def _run(code: OwnCode) -> None:
    with code.importable():
        try:
            importlib.import_module(code.package)
        except BaseException:
            for name in [name for name in sys.modules if name.startswith(f"{code.package}.")]:
                del sys.modules[name]
            del _BY_PACKAGE[code.package]
            raise


def digests_of_imports(location: str) -> dict[str, str]:
    """Return the SHA-256 of each file that a Python file or module imports from its folder, by name.

    Files that it imported in other ways than by import statements are included; the file itself is not.

    Raises
    ------
    InputError
        If a file has changed since it was run.
    """
    digests = {name: sha256(path) for name, path in code_files(location).items()}
    digests |= {name: _digest(path) for name, path in _really_imported(location).items()}
    code = _BY_FILE.get(Path(location).resolve())
    if code is not None:
        for name, digest in code.digests().items():
            if digest != _digest(code.folder / name):
                raise InputError("was changed while the model was in use", where=name, remedy="run again")
    if location.endswith(".py"):
        digests.pop(Path(location).resolve().name)
    return digests


def _digest(path: Path) -> str:
    return sha256(path) if path.is_file() else "removed"


def warn_of_unlisted_imports(location: str, where: str) -> None:
    """Warn, once, about files that were imported other than by an import statement."""
    for name in sorted(_really_imported(location).keys() - code_files(location).keys()):
        if (location, name) not in _WARNED:
            _WARNED.add((location, name))
            _LOG.warning(
                "%s: %s imports %s, but not by an import statement; a change in it shows in the provenance, "
                "but does not make the workflow run again: add an import statement",
                *(where, location, name),
            )


def _really_imported(location: str) -> dict[str, Path]:
    """Return the imported files of the code's folder, by their names there."""
    if location.endswith(".py"):
        code = _BY_FILE.get(Path(location).resolve())
        return {name: code.folder / name for name in code.run} if code else {}
    folder, top = code_folder(location), location.partition(".")[0]
    if folder is None:
        return {}
    of_others = {name for other in _MODULES - {location} for name in code_files(other)}
    of_others -= code_files(location).keys()  # imported by another module of the package
    found = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == top and isinstance(getattr(module, "__file__", None), str):
            path = Path(str(module.__file__)).resolve()
            if folder.resolve() in path.parents:
                found[path.relative_to(folder.resolve()).as_posix()] = path
    return {name: path for name, path in found.items() if name not in of_others}


def module_by_name(location: str) -> ModuleType:
    """Return the module "package.module", which may be in the working folder, as with ``python -m``.

    Raises whatever the import raises.
    """
    with importable_from(Path.cwd()):
        module = importlib.import_module(location)
    _MODULES.add(location)
    return module


def plain_names(text: str) -> str:
    """Return a message in which modules have the names that the user knows."""
    return re.sub(rf"{_PREFIX}\w+_[0-9a-f]{{8}}\.", "", text)


class OwnCode:
    """A user's Python file, and the files of its folder that it imports.

    Attributes
    ----------
    folder
        Their folder.
    package
        Their name as a package: the file is the package itself.
    listed
        SHA-256 of the file and of those that its import statements import, by name in the folder.
    run
        SHA-256 of the files that were run.
    """

    def __init__(self, file: Path) -> None:
        self.file, self.folder = file, folder_of(file)
        self.listed = {name: sha256(path) for name, path in code_files(str(file)).items()}
        self.run: dict[str, str] = {}
        digest = hashlib.sha256(repr((str(file), self.listed)).encode()).hexdigest()
        self.package = f"{_PREFIX}{re.sub(r'[^0-9A-Za-z]', '_', file.stem)}_{digest[:8]}"
        self.builtins = {**vars(builtins), "__import__": self._import}
        self._importlib = _Importlib(self)
        self._aside: dict[str, ModuleType] = {}

    @property
    def has_run(self) -> bool:
        """Whether the file has been run."""
        return self.package in sys.modules

    @property
    def module(self) -> ModuleType:
        """The file as a module."""
        return sys.modules[self.package]

    def holds(self, module_name: str) -> bool:
        """Whether a module is the file or one that it imports from its folder."""
        return module_name == self.package or module_name.startswith(f"{self.package}.")

    def digests(self) -> Mapping[str, str]:
        """Return the SHA-256 of the files as they were when they were run."""
        return self.listed | self.run

    @contextmanager
    def importable(self) -> Iterator[None]:
        """Within the block, other code, such as a library given a name, can import from the folder too."""
        with _ONE_AT_A_TIME:
            before = set(sys.modules)
            elsewhere = {Path(place).resolve() for place in sys.path}
            sys.modules.update({name: module for name, module in self._aside.items() if name not in before})
            try:
                with importable_from(self.folder):
                    yield
            finally:
                new = [name for name in sys.modules if name not in before and not name.startswith(_PREFIX)]
                for name in new:
                    file = getattr(sys.modules[name], "__file__", None)
                    real = Path(file).resolve() if isinstance(file, str) else Path()
                    if self.folder in real.parents and elsewhere.isdisjoint(real.parents):
                        self._aside[name] = sys.modules.pop(name)
                        self.run.setdefault(real.relative_to(self.folder).as_posix(), sha256(real))

    def file_of(self, name: str) -> tuple[str, Path | None]:
        """Return a module's name in its folder, and its file, None if it has none."""
        dotted = name.partition(".")[2]
        if not dotted:
            return dotted, self.file
        return dotted, dict(files_of_module(self.folder, dotted)).get(dotted)

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Import as Python does, with the files of the folder first."""
        own = not level and is_neighbour(self.folder, name.partition(".")[0])
        full = f"{self.package}.{name}" if own else name
        try:
            found = builtins.__import__(full, globals, locals, fromlist or (), level)
        except ModuleNotFoundError as error:
            if error.name is None or not self.holds(error.name):
                raise
            missing = error.name.removeprefix(f"{self.package}.")
            raise ModuleNotFoundError(f"No module named '{missing}'", name=missing) from error
        if found is importlib:
            return self._importlib
        return getattr(found, name.partition(".")[0]) if own and not fromlist else found


class _Importlib(ModuleType):
    """importlib as the user's files see it: ``import_module`` finds the files next to them."""

    def __init__(self, code: OwnCode) -> None:
        super().__init__("importlib")
        self._code = code

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib, name)

    def import_module(self, name: str, package: str | None = None) -> ModuleType:
        """Import a module by its name."""
        if name.startswith("."):
            name = resolve_name(name, package)
        if is_neighbour(self._code.folder, name.partition(".")[0]):
            name = f"{self._code.package}.{name}"
        return importlib.import_module(name)


class _Finder(MetaPathFinder):
    """Finds the modules of the user's own files by their unique names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        code = _BY_PACKAGE.get(fullname.partition(".")[0])
        if code is None:
            return None
        dotted, file = code.file_of(fullname)
        if file is None:
            folder = code.folder.joinpath(*dotted.split("."))
            if not folder.is_dir():
                return None
            found = ModuleSpec(fullname, None, is_package=True)
            found.submodule_search_locations = [str(folder)]
            return found
        inside = [str(file.parent)] if not dotted or file.stem == "__init__" else None
        loader = _Loader(fullname, str(file), code) if file.suffix == ".py" else None
        return spec_from_file_location(fullname, file, loader=loader, submodule_search_locations=inside)


class _Loader(SourceFileLoader):
    """Runs the source of one of the user's files, not bytecode, whose validity depends on a file's date."""

    def __init__(self, fullname: str, path: str, code: OwnCode) -> None:
        super().__init__(fullname, path)
        self.code = code

    def get_code(self, fullname: str) -> CodeType:
        """Return the current code of the file."""
        source = self.get_data(self.path)
        name = Path(self.path).relative_to(self.code.folder).as_posix()
        self.code.run[name] = hashlib.sha256(source).hexdigest()
        return self.source_to_code(source, self.path)

    def exec_module(self, module: ModuleType) -> None:
        """Run the file so that its functions, too, import the files next to it."""
        vars(module)["__builtins__"] = self.code.builtins
        super().exec_module(module)


sys.meta_path.insert(0, _Finder())


@contextmanager
def importable_from(folder: Path) -> Iterator[None]:
    """Within the block, files in a folder can be imported; afterwards ``sys.path`` is as before."""
    with _ONE_AT_A_TIME:
        before = list(sys.path)
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.path[:] = before
