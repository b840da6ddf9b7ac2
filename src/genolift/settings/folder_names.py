"""Names that become folders and parts of file names: what every file system takes, so that results can be
copied to any.
"""

import re
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from genolift.errors import InputError

MOST_LETTERS = 100
"""Of a name. The log of a shard has 40 letters more, and Snakemake's plugin for Slurm makes the name of one
folder of an analysis's and a model's; file systems take 255."""
_LONGEST_PART, _LONGEST_FOLDER = 255, 2000  # bytes, of the 255 and 4095 that Linux takes
_OF_WINDOWS = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def folder_name(of_what: str, name: str) -> str:
    """Return a name that a folder can have, else raise `InputError`; ``of_what`` is such as "a model"."""
    faults = (
        (
            not _NAME.fullmatch(name),
            "begin with a letter or digit, then letters, digits, '_', '-' and '.': it names a folder",
        ),
        (len(name) > MOST_LETTERS, f"use {MOST_LETTERS} letters at most, not {len(name)}"),
        (name.endswith("."), "end it without a dot, which Windows drops"),
        (is_of_windows(name), "choose another: Windows keeps it for a device"),
    )
    shown = f"'{name[:30]}{'...' if len(name) > 30 else ''}'"
    for wrong, remedy in faults:
        if wrong:
            raise InputError(f"{shown} is not a name for {of_what}", remedy=remedy)
    return name


def is_of_windows(name: str) -> bool:
    """Whether Windows keeps a name for a device."""
    return _OF_WINDOWS.fullmatch(name) is not None


def model_name(name: str) -> str:
    """Return a model's name, which is a folder's and gives no column another's name."""
    if name == "sd":
        remedy = "choose another, since the column output_sd is the models' standard deviation"
        raise InputError("'sd' is not a name for a model", remedy=remedy)
    return folder_name("a model", name)


def analysis_name(name: str) -> str:
    """Return an analysis's name, which is a folder's beside the list of all analyses."""
    if name.casefold() == "index.html":
        remedy = "choose another, since it is the list of all analyses"
        raise InputError(f"'{name}' is not a name for an analysis", remedy=remedy)
    return folder_name("an analysis", name)


def check_model_name(name: str, where: str) -> None:
    """Raise `InputError` if a model's name is none; errors name ``where``."""
    try:
        model_name(name)
    except InputError as error:
        raise InputError(error.what, where=where, remedy=error.remedy) from error


def names_differ(named: dict[str, T]) -> dict[str, T]:
    """Return what is named, else raise `InputError` if two names differ in upper and lower case only."""
    seen: dict[str, str] = {}
    for name in named:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            remedy = "rename one: on macOS and Windows their folders are the same"
            raise InputError(f"'{other}' and '{name}' differ in upper and lower case only", remedy=remedy)
    return named


def results_folder(folder: str) -> str:
    """Return a folder as Snakemake spells it, else raise `InputError` if no such folder can be made."""
    what = remedy = ""
    if folder.startswith("-"):
        what, remedy = f"'{folder}' begins with '-'", "choose another: commands take it for a flag"
    elif folder.startswith("~"):
        what = f"'{folder}' begins with '~'"
        remedy = "write the path of your home folder in its place: only a shell knows '~'"
    elif len(folder) > _LONGEST_FOLDER or len(max(folder.encode().split(b"/"), key=len)) > _LONGEST_PART:
        what = f"'{folder[:30]}...' is too long for a folder"
        remedy = f"use at most {_LONGEST_PART} letters between slashes and {_LONGEST_FOLDER} in all"
    for part in (Path(folder), *Path(folder).parents):
        with suppress(OSError):  # which is told when the folder is made
            if not what and part.exists() and not part.is_dir():
                what, remedy = f"{part} is a file", "name a folder, or a new one"
    if what:
        raise InputError(what, remedy=remedy)
    return str(Path(folder))
