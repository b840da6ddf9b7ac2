"""TF-MoDISco as it is installed: whether it is the package that genolift asks for, and how its code is run.

Two packages have the import name ``modiscolite``: modisco-lite, which genolift needs, and modisco, which
others need. pip installs both without a word, and the later overwrites files of the earlier.
"""

import base64
import hashlib
import logging
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.metadata import Distribution, PackagePath
from pathlib import Path
from pickle import UnpicklingError
from types import TracebackType

from genolift.errors import InputError

_LOG = logging.getLogger("genolift")
_MODULE, _PACKAGE = "modiscolite", "modisco-lite"
_RIVALS = ("modisco", "faster-modisco-lite")
"""Other packages that install the module."""
_KERNELS = ("affinitymat", "aggregator", "gapped_kmer", "util")
"""Its modules with functions that numba compiles."""
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


def cache_compiled_code() -> None:
    """Have numba keep what it compiles of TF-MoDISco on disk: 17 s of CPU time the first time, 1 s later.

    numba chooses the place: ``NUMBA_CACHE_DIR`` if it is set, else beside the package, or in the user's cache
    where that cannot be written. Without such a place it compiles each time.
    """
    from numba.core.dispatcher import Dispatcher

    for name in _KERNELS:
        for function in vars(import_module(f"{_MODULE}.{name}")).values():
            if isinstance(function, Dispatcher) and not function.signatures:
                try:
                    function.enable_caching()
                except (
                    RuntimeError
                ) as error:  # "cannot cache function ...: no locator available for file ..."
                    _LOG.info("TF-MoDISco is compiled anew each time: %s", error)
                    return


def load_tools() -> None:
    """Import what else finds motifs, so that what keeps it from working is told first."""
    with kept_by_numba():
        for name in ("memelite", "finemo.hitcaller"):
            import_module(name)


@contextmanager
def kept_by_numba() -> Iterator[None]:
    """Refuse it in one line where numba cannot keep compiled code, or what it has kept is damaged.

    To be used where a package is imported, or first called, that has its code kept.
    """
    try:
        yield
    except (RuntimeError, OSError, EOFError, UnpicklingError) as error:
        folder = "NUMBA_CACHE_DIR"
        remedy = "set this environment variable to a folder that can be written"
        if "no locator available" in str(error):
            raise InputError(
                "numba has no folder to keep compiled code in", where=folder, remedy=remedy
            ) from error
        path = _kept_where(error.__traceback__)
        if path is None:
            raise
        if isinstance(error, OSError):
            what = f"numba cannot keep compiled code: {error.strerror}"
            remedy = f"make room, or set {folder} to another folder"
        else:
            what, remedy = (
                "compiled code that numba has kept is damaged",
                "delete this folder, and run it again",
            )
        raise InputError(what, where=path, remedy=remedy) from error


def _kept_where(raised: TracebackType | None) -> str | None:
    """Return the folder of numba's files if its cache has raised an error, else None."""
    folder = None
    for frame, _ in traceback.walk_tb(raised):
        if frame.f_globals.get("__name__") == "numba.core.caching":
            kept = getattr(frame.f_locals.get("self"), "_cache_path", None)
            folder = kept or folder
    return folder


def at_most(threads: int) -> int:
    """Return so many threads, or those that numba was started with, the number of cores: it takes no more."""
    import numba

    return min(threads, int(getattr(numba.config, "NUMBA_NUM_THREADS")))  # noqa: B009


@contextmanager
def numba_threads(threads: int) -> Iterator[None]:
    """Limit numba to this many threads.

    TF-MoDISco starts a parallel loop for each of thousands of alignments. On two busy cores, 654 seqlets took
    43 s with two threads and 19 s with one.
    """
    import numba

    before = numba.get_num_threads()
    numba.set_num_threads(at_most(threads))
    try:
        yield
    finally:
        numba.set_num_threads(before)
