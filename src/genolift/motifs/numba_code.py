"""How numba runs the tools that find motifs, and keeps on disk what it compiles of them."""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pickle import UnpicklingError
from types import TracebackType

from genolift.errors import InputError

_LOG = logging.getLogger("genolift")
_KERNELS = ("affinitymat", "aggregator", "gapped_kmer", "util")
"""TF-MoDISco's modules with functions that numba compiles."""


def cache_compiled_code() -> None:
    """Have numba keep what it compiles of TF-MoDISco on disk: 17 s of CPU time the first time, 1 s later.

    numba chooses the place: ``NUMBA_CACHE_DIR`` if it is set, else beside the package, or in the user's cache
    where that cannot be written. Without such a place it compiles each time.
    """
    from numba.core.dispatcher import Dispatcher

    for name in _KERNELS:
        for function in vars(import_module(f"modiscolite.{name}")).values():
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
