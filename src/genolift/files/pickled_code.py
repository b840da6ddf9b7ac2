"""The user's own Python files that a pickle is read with, found by the names in it.

Nothing is unpickled, and torch is not needed: the workflow asks when it makes its graph of jobs.
"""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from genolift.files.code import code_folder, files_with_imports, is_neighbour

_PICKLES_BEFORE = 3
"""What torch.save wrote before the object, each a pickle, before it wrote zip archives."""


def pickled_code_files(path: Path) -> dict[str, Path]:
    """Return the files of the modules that a pickle names, and those that they import from their folder.

    They lie in the working folder, beside the pickle, or where a package is installed to be edited.

    Returns
    -------
    dict
        Path by name relative to its folder; nothing where the file is missing or no pickle.
    """
    found: dict[str, Path] = {}
    for module in _modules_in(path):
        if module.endswith(".py"):  # which no module is called
            continue
        top = module.partition(".")[0]
        beside = (folder for folder in (Path(), path.parent) if is_neighbour(folder, top))
        folder = next(beside, None) or code_folder(module)
        if folder is not None:
            found = files_with_imports(folder, module) | found
    return dict(sorted(found.items()))


def _modules_in(path: Path) -> list[str]:
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
                with archive.open(name) as file:
                    return list(dict.fromkeys(_named_modules(file)))
        with path.open("rb") as file:
            return list(dict.fromkeys(_of_old_file(file)))
    except Exception:  # of many types; what is damaged is said where it is read
        return []


def _of_old_file(file: IO[bytes]) -> Iterator[str]:
    """Yield the modules that a file names which holds the object alone, or as torch wrote it long ago."""
    for _ in range(_PICKLES_BEFORE + 1):
        yield from _named_modules(file)


def _named_modules(file: IO[bytes]) -> Iterator[str]:
    """Yield the modules of what a pickle imports, which protocol 4 names by the last two texts but one."""
    texts: list[Any] = []
    memo: dict[int, Any] = {}
    for code, value, _ in pickletools.genops(file):
        if code.name in ("GLOBAL", "INST"):
            yield str(value).partition(" ")[0]
        elif code.name == "STACK_GLOBAL" and len(texts) > 1:
            yield str(texts[-2])
        elif code.name == "MEMOIZE":
            memo[len(memo)] = texts[-1] if texts else None
        elif code.name in ("PUT", "BINPUT", "LONG_BINPUT") and isinstance(value, int):
            memo[value] = texts[-1] if texts else None
        elif code.name in ("GET", "BINGET", "LONG_BINGET") and isinstance(value, int):
            texts.append(memo.get(value))
        elif "UNICODE" in code.name:
            texts.append(value)
