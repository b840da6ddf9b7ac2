"""Where a command may write, decided here for every output.

An output file replaces a regular file or nothing; an output folder replaces nothing, an empty folder, or
what an earlier run wrote, which the mark in it shows. No output ever replaces an input, under any name.
"""

import json
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from genolift.errors import InputError
from genolift.files.plain_values import as_json

_FORMAT = "genolift-folder"
MARK = ".genolift"
"""The file that marks a folder as ours: its kind, and what was written into it."""
UNFINISHED = ".genolift-unfinished-"
"""The beginning of the temporary names of files and folders that are being written."""
_NOBODYS = (
    *(".snakemake_timestamp", ".DS_Store", "._*", ".nfs*", "Thumbs.db"),
    *(f"{UNFINISHED}*", ".genolift-lock"),
)
"""What operating systems, and runs that were killed, leave in a folder."""
_INDEXES = (".fai", ".gzi")
"""Suffixes of index files, which are read along with an input."""
_SPECIAL = (
    (stat.S_ISLNK, "is a link", "name the file or folder that it points to, or remove the link"),
    (stat.S_ISCHR, "is a device", "name a file"),
    (stat.S_ISBLK, "is a device", "name a file"),
    (stat.S_ISFIFO, "is a named pipe", "name a file"),
    (stat.S_ISSOCK, "is a socket", "name a file"),
)


def check_outputs(
    files: Sequence[str | os.PathLike[str]] = (),
    *,
    folders: Sequence[tuple[str | os.PathLike[str], str]] = (),
    inputs: Iterable[str | os.PathLike[str] | None],
) -> None:
    """Check a command's outputs before it does anything.

    Parameters
    ----------
    files
        The files that it writes.
    folders
        The folders that it replaces as a whole, each with its kind (see `check_folder`).
    inputs
        All files and folders that it reads. None and missing ones are left to the reader.

    Raises
    ------
    InputError
        If `check_file` or `check_folder` refuses an output, or if it is also an input (by any path, hard link
        or symbolic link), contains an input, or is named for two outputs, or its folder cannot be written to.
    """
    named = [os.fspath(path) for path in inputs if path is not None]
    named += [f"{path}{end}" for path in named for end in _INDEXES]
    read = {identity: path for path in named if (identity := _identity(path)) is not None}
    seen: set[Path] = set()
    for file in map(Path, files):
        check_file(file)
    for folder, kind in folders:
        check_folder(Path(folder), kind)
    for output in map(Path, (*files, *(folder for folder, _ in folders))):
        _check_not_read(output, read)
        _check_new(output, seen)
        _check_writable(output.parent)


def _check_writable(folder: Path) -> None:
    """Raise `InputError` unless a folder can be written to, or made."""
    remedy = "choose another output folder"
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise InputError("is a file, not a folder", where=str(there), remedy=remedy)
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError("cannot be written to", where=str(there), remedy=remedy)


def check_file(path: Path) -> None:
    """Raise `InputError` unless ``path`` is a regular file or absent; links among its folders are followed.

    A path that is itself a link is refused, since replacing the link and replacing its target could both be
    unintended.
    """
    mode = _mode(path)
    if mode is None:
        return
    _refuse_special(path, mode)
    if stat.S_ISDIR(mode):
        raise InputError("is a folder, not a file", where=str(path), remedy="name a file in it")


def check_folder(path: Path, kind: str, *, replaced: bool = True) -> None:
    """Raise `InputError` unless ``path`` is absent, an empty folder, or one with the mark of this ``kind``.

    If it will be ``replaced`` as a whole it may hold only what we wrote into it, since anything that a user
    added would be lost. A link to a folder is refused.
    """
    mode = _mode(path)
    if mode is None:
        return
    _refuse_special(path, mode)
    if not stat.S_ISDIR(mode):
        raise InputError("is a file, not a folder", where=str(path), remedy="name a folder")
    held, mark = files_in(path), read_mark(path)
    if mark is None or mark.get("kind") != kind:
        if held:
            raise InputError(
                f"already exists, and was not made by genolift {kind}",
                where=str(path),
                remedy="move it elsewhere, or name a new or empty folder",
            )
        return
    more = sorted(held - set(mark["files"])) if replaced else []
    if more:
        others = f" and {len(more) - 1} more" if len(more) > 1 else ""
        raise InputError(
            f"would be replaced, but holds {more[0]!r}{others}, which genolift {kind} did not write",
            where=str(path),
            remedy="move that elsewhere, or name a new folder",
        )


def mark_text(kind: str, files: Iterable[str], **more: str) -> str:
    """Return the text of `MARK`: the kind of folder, and the files we write into it."""
    said = {"format": _FORMAT, "version": 1, "kind": kind, "files": sorted(files), **more}
    return as_json(said)


def read_mark(folder: Path) -> dict[str, Any] | None:
    """Return the content of a folder's mark; None if it has none."""
    try:
        said = json.loads((folder / MARK).read_bytes())
    except (OSError, ValueError):
        return None
    known = isinstance(said, dict) and said.get("format") == _FORMAT and isinstance(said.get("files"), list)
    return said if known else None


def files_in(folder: Path) -> set[str]:
    """Return the paths of all files in a folder, except its mark and what operating systems leave."""
    found = set()
    for parent, folders, names in os.walk(folder):
        linked = [name for name in folders if Path(parent, name).is_symlink()]
        for name in (*names, *linked):
            if not any(fnmatch(name, pattern) for pattern in _NOBODYS):
                found.add(Path(parent, name).relative_to(folder).as_posix())
    return found - {MARK}


def _mode(path: Path) -> int | None:
    """Return the type of the file at a path, without following links; None if there is none."""
    try:
        return path.lstat().st_mode
    except OSError:  # any other trouble shows again on writing
        return None


def _refuse_special(path: Path, mode: int) -> None:
    for is_one, what, remedy in _SPECIAL:
        if is_one(mode):
            raise InputError(f"{what}, which is not replaced", where=str(path), remedy=remedy)


def _identity(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return the identity of a file, the same by any path; None if there is no file."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _check_not_read(path: Path, read: Mapping[tuple[int, int], str]) -> None:
    """Raise `InputError` if a path is one of those ``read``, or a folder that contains one."""
    identity = _identity(path)
    if identity is None:
        return
    if identity in read:
        called = "" if read[identity] == str(path) else f" ({read[identity]})"
        raise InputError(
            f"is also an input{called}, and would be replaced", where=str(path), remedy="name another output"
        )
    for each in read.values():
        if any(_identity(parent) == identity for parent in Path(each).resolve().parents):
            raise InputError(
                f"contains an input, {each}, and would be replaced",
                where=str(path),
                remedy="name another output",
            )


def _check_new(path: Path, seen: set[Path]) -> None:
    place = path.parent.resolve() / path.name
    if place in seen:
        raise InputError("is named for two outputs", where=str(path), remedy="give each its own path")
    seen.add(place)
