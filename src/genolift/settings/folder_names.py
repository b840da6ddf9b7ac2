"""Names that become folders and parts of file names: what every file system takes, so that results can be
copied to any.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from genolift.errors import InputError

MOST_LETTERS = 100
"""Of a name. The log of a shard has 40 letters more, and Snakemake's plugin for Slurm makes the name of one
folder of an analysis's and a model's; file systems take 255."""
_LONGEST_PART, _LONGEST_FOLDER = 255, 2000  # bytes, of the 255 and 4095 that Linux takes
_OF_WINDOWS = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def check_folder_name(name: str, of_what: str, where: str) -> None:
    """Raise `InputError` if a name is none for a folder; ``of_what`` is such as "a model"."""
    called = f"'{name[:30]}{'...' if len(name) > 30 else ''}' is no name for {of_what}"
    if not _NAME.fullmatch(name):
        raise InputError(
            called,
            where=where,
            remedy="begin with a letter or digit, then letters, digits, '_', '-' and '.': it names a folder",
        )
    if len(name) > MOST_LETTERS:
        raise InputError(
            f"{called}: it has {len(name)} letters", where=where, remedy=f"use {MOST_LETTERS} at most"
        )
    if name.endswith("."):
        raise InputError(called, where=where, remedy="end it without a dot, which Windows drops")
    if _OF_WINDOWS.fullmatch(name):
        raise InputError(called, where=where, remedy="choose another: Windows keeps it for a device")


def check_model_name(name: str, where: str) -> None:
    """Raise `InputError` if a model's name is none for a folder, or would give a column another's name."""
    if name == "sd":
        raise InputError(
            "'sd' is no name for a model",
            where=where,
            remedy="choose another, since the column output_sd is the models' standard deviation",
        )
    check_folder_name(name, "a model", where)


def check_names_differ(names: Iterable[str], where: str) -> None:
    """Raise `InputError` if two names differ in upper and lower case only."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise InputError(
                f"'{other}' and '{name}' differ in upper and lower case only",
                where=where,
                remedy="rename one: on macOS and Windows their folders are the same",
            )


def check_results_folder(folder: str, where: str) -> None:
    """Raise `InputError` if no such folder can be made, or a command would take it for something else."""
    if folder.startswith("-"):
        raise InputError(
            f"'{folder}' begins with '-'", where=where, remedy="choose another: commands take it for a flag"
        )
    if folder.startswith("~"):
        raise InputError(
            f"'{folder}' begins with '~'",
            where=where,
            remedy="write the path of your home folder in its place: only a shell knows '~'",
        )
    if len(folder.encode()) > _LONGEST_FOLDER or any(
        len(part.encode()) > _LONGEST_PART for part in Path(folder).parts
    ):
        raise InputError(
            f"'{folder[:30]}...' is too long for a folder",
            where=where,
            remedy=f"use at most {_LONGEST_PART} letters between slashes and {_LONGEST_FOLDER} in all",
        )
    for part in (Path(folder), *Path(folder).parents):
        with suppress(PermissionError):  # which is told when the folder is made
            if part.exists() and not part.is_dir():
                raise InputError(f"{part} is a file", where=where, remedy="name a folder, or a new one")
