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
    """The number of ``files`` that numba keeps, and whether they were there ``before``."""

    files: int
    before: bool

    def __str__(self) -> str:
        if self.before:
            return "what finds motifs was compiled before"
        return f"what finds motifs is compiled: {self.files} functions"


def compile_motif_tools(out: Path) -> Compiled:
    """Have the tools that find motifs compiled and kept on disk, a minute of work, unless they are.

    That they are, a file in the user's cache tells (``~/.cache/genolift``, or ``XDG_CACHE_HOME``), for this
    installation and processor, if all files that it names are there. Should they have changed, numba
    notices, and compiles a function again when it is called.

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


def _record(told: dict[str, str]) -> Path:
    """Return the file that tells what was compiled, by all that numba's files depend on."""
    from llvmlite import binding

    processor = binding.get_host_cpu_name()
    identity = [told, sys.prefix, sys.executable, processor, os.environ.get("NUMBA_CACHE_DIR")]
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:40]
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "genolift" / f"compiled-{key}.json"


def _still_there(record: Path) -> list[str]:
    """Return the files that a record names if all of them are there, else none."""
    try:
        files: Any = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    good = isinstance(files, list) and all(isinstance(file, str) and Path(file).is_file() for file in files)
    return files if good else []


def _compiled() -> list[str]:
    from genolift.motifs.compiled import compile_tools, kept_files

    _LOG.info("compiling what finds motifs, once for this installation: about a minute")
    compile_tools()
    return [str(file) for file in kept_files()]


def _remember(record: Path, files: list[str]) -> None:
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        write_json(record, files)
    except (OSError, InputError) as error:
        _LOG.info("that it is compiled cannot be noted, and is found out each time: %s", error)
