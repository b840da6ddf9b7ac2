"""The compile step: what numba compiles of the tools that find motifs, before an analysis needs it."""

import hashlib
import json
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genolift.errors import InputError
from genolift.files.output_paths import check_outputs
from genolift.files.whole import write_json
from genolift.motifs.modisco import check_installation
from genolift.results.provenance import versions

_LOG = logging.getLogger("genolift")
_TOOLS = ("modisco-lite", "memelite", "finemo", "numba", "llvmlite")


@dataclass(frozen=True)
class Compiled:
    """The number of ``files`` that numba keeps, and whether all were there ``before``."""

    files: int
    before: bool

    def __str__(self) -> str:
        if self.before:
            return "what finds motifs was compiled before"
        return f"what finds motifs is compiled, and kept in {self.files} files"


def compile_motif_tools(out: Path) -> Compiled:
    """Have the tools that find motifs compiled and kept on disk, a minute of work, unless they are.

    That they are, a file in the user's cache tells (``~/.cache/genolift``, or ``XDG_CACHE_HOME``), for this
    installation and processor, if all files that it names are there with their sizes. Where it says so
    wrongly, a function is compiled when it is called.

    Parameters
    ----------
    out
        What was compiled: versions and files, JSON.

    Raises
    ------
    InputError
        If TF-MoDISco is not modisco-lite's, numba has no folder that can be written, or ``out`` may not be
        written (see `check_outputs`).
    """
    check_outputs([out], inputs=[])
    check_installation()
    told = versions(*_TOOLS)
    record = _record(told)
    files, before = _still_there(record), True
    if not files:
        files, before = _compiled(), False
        _remember(record, files)
    write_json(out, {"versions": told, "files": files})
    return Compiled(len(files), before)


def _record(told: dict[str, str]) -> Path | None:
    """Return the file that tells what was compiled, for all that it depends on; None without a home."""
    from llvmlite import binding

    processor = binding.get_host_cpu_name()
    identity = [told, sys.prefix, sys.executable, processor, os.environ.get("NUMBA_CACHE_DIR")]
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:40]
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:  # the XDG Base Directory Specification has relative paths ignored
        cache = cache if cache.is_absolute() else Path.home() / ".cache"
    except RuntimeError:  # "Could not determine home directory."
        return None
    return cache / "genolift" / f"compiled-{key}.json"


def _still_there(record: Path | None) -> dict[str, int]:
    """Return the files that a record names, with their sizes, if all of them are there, else none."""
    if record is None:
        return {}
    try:
        files: Any = json.loads(record.read_text(encoding="utf-8"))
        good = isinstance(files, dict) and all(
            Path(name).stat().st_size == size for name, size in files.items()
        )
    except (OSError, ValueError):
        return {}
    return files if good else {}


def _compiled() -> dict[str, int]:
    from genolift.motifs.compiled import compile_tools, kept_files

    _LOG.info("compiling what finds motifs, once for this installation: up to a minute")
    compile_tools()
    return kept_files()


def _remember(record: Path | None, files: dict[str, int]) -> None:
    if record is None:
        return
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        write_json(record, files)
    except (OSError, InputError) as error:
        _LOG.info("that it is compiled cannot be noted, and is found out each time: %s", error)
