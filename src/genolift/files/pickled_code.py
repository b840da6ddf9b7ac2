"""The user's own Python files that unpickling a file would import, found by the names in it.

Nothing is unpickled, and torch is not needed: the workflow asks while it builds its graph of jobs.
"""

import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from genolift.files.code import code_folder, files_with_imports, is_neighbour

_PICKLES = 4
"""The pickles up to the object in torch.save's format before zip archives."""


def pickled_code_files(path: Path) -> dict[str, Path]:
    """Return the files of the modules that a pickle names, and the files that these import from their folder.

    They are in the working folder, next to the pickle, or in an editable install.

    Returns
    -------
    dict
        Path by name relative to its folder; empty if the file is missing or not a pickle.
    """
    found: dict[str, Path] = {}
    for module in _modules_in(path):
        if module.endswith(".py"):  # no module's name
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
        with path.open("rb") as file:  # a plain pickle, or torch's format before zip archives
            return list(dict.fromkeys(name for _ in range(_PICKLES) for name in _named_modules(file)))
    except Exception:  # of many types; damage is reported when the file is read
        return []


def _named_modules(file: IO[bytes]) -> Iterator[str]:
    """Yield the modules that a pickle imports; protocol 4 names them on its stack."""
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
