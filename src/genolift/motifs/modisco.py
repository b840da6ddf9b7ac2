"""TF-MoDISco as it is installed: whether it is the package that genolift asks for.

Two packages have the import name ``modiscolite``: modisco-lite, which genolift needs, and modisco, which
others need. pip installs both without a word, and the later overwrites files of the earlier.
"""

import base64
import hashlib
import sys
from collections.abc import Sequence
from importlib.machinery import PathFinder
from importlib.metadata import Distribution, PackagePath
from pathlib import Path

from genolift.errors import InputError

_MODULE, _PACKAGE = "modiscolite", "modisco-lite"
_RIVALS = ("modisco", "faster-modisco-lite")
"""Other packages that install the module."""
_FIRST = 3
"""The first version of modisco-lite that is fast, and whose functions are called here."""


def check_installation(path: Sequence[str] | None = None) -> None:
    """Refuse an installation whose ``modiscolite`` is not modisco-lite's, or not only modisco-lite's.

    Its files are compared with the digests that pip has recorded of them. If two packages are listed, but all
    files are modisco-lite's, they are accepted.

    Parameters
    ----------
    path
        Folders to look in, in order; None for Python's own path.

    Raises
    ------
    InputError
        What is there instead, and the commands that mend it.
    """
    folders = list(sys.path if path is None else path)
    ours = _installed(_PACKAGE, folders)
    others = [found for found in (_installed(name, folders) for name in _RIVALS) if found is not None]
    if ours is None or int(ours.version.split(".")[0]) < _FIRST:
        there = ", ".join(map(_named, [*([ours] if ours else []), *others])) or "nothing"
        raise _refused(f"TF-MoDISco is not {_PACKAGE} {_FIRST} or later: {there} is installed", others)
    changed = _changed_files(ours, folders)
    if changed:
        over = f", since {' and '.join(map(_named, others))} has the same import name" if others else ""
        raise _refused(f"{len(changed)} of its files are not those of {_named(ours)}{over}", others)


def _installed(name: str, folders: list[str]) -> Distribution | None:
    return next(iter(Distribution.discover(name=name, path=folders)), None)


def _named(package: Distribution) -> str:
    return f"{package.metadata['Name']} {package.version}"


def _refused(what: str, others: Sequence[Distribution]) -> InputError:
    names = " ".join([*(other.metadata["Name"] for other in others), _PACKAGE])
    remedy = f"run: pip uninstall -y {names}; pip install '{_PACKAGE}>={_FIRST}'"
    return InputError(what, where=_MODULE, remedy=remedy)


def _changed_files(package: Distribution, folders: list[str]) -> list[PackagePath]:
    """Return a package's modules that are not what was installed, or not what Python would import."""
    modules = [file for file in package.files or [] if file.parts[0] == _MODULE and file.suffix == ".py"]
    spec = PathFinder.find_spec(_MODULE, folders)
    imported = None if spec is None or spec.origin is None else Path(spec.origin).parent
    changed = []
    for file in modules:
        there = Path(str(file.locate()))
        elsewhere = imported is not None and there.parts[: len(imported.parts)] != imported.parts
        if (
            elsewhere
            or not there.is_file()
            or (file.hash and _digest(there, file.hash.mode) != file.hash.value)
        ):
            changed.append(file)
    return changed


def _digest(path: Path, algorithm: str) -> str:
    """Return a file's digest as RECORD has it: URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(hashlib.new(algorithm, path.read_bytes()).digest()).decode().rstrip("=")
