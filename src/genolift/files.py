"""How a file comes to stand under its name: whole or not at all. Knows nothing of what is in it."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genolift.errors import InputError


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; rename it to ``path`` only if the block succeeds.

    The temporary name keeps the final suffixes, since writers choose a format by them. Whatever was
    written is removed when the block raises, so that nothing half-written stands under a final name.

    Raises
    ------
    InputError
        If the folder cannot be made or written to, or the disk is full.
    """
    final = Path(path)
    beside = make_folder(final.parent) / f".{os.getpid()}.partial.{final.name}"
    with _write_errors(final):
        try:
            yield beside
            os.replace(beside, final)
        finally:
            beside.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """As `whole_file`, for a folder: ``path`` is replaced by the new folder only if the block succeeds."""
    final = Path(path)
    parent = make_folder(final.parent)
    with _write_errors(final):
        beside = Path(tempfile.mkdtemp(prefix=".partial.", suffix=f".{final.name}", dir=parent))
        try:
            beside.chmod(0o755)
            yield beside
            if final.is_dir():
                shutil.rmtree(final)
            os.replace(beside, final)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def _write_errors(final: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise InputError(
            "cannot be written (permission denied)",
            where=str(final),
            remedy="choose an output folder that you may write to",
        ) from error
    except OSError as error:
        if error.errno is None or isinstance(error, FileNotFoundError):
            raise
        raise InputError(
            f"cannot be written ({os.strerror(error.errno).lower()})",
            where=str(final),
            remedy="make room or choose another output folder, and run again",
        ) from error


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Make ``path`` and its parents, or raise `InputError` naming it."""
    folder = Path(path)
    with _write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def existing_file(path: str | os.PathLike[str], *, where: str = "") -> Path:
    """Return ``path`` if it is a readable file, else raise `InputError` naming it (and the key ``where``)."""
    file = Path(path)
    prefix = f"{where}: " if where else ""
    try:
        exists = file.exists()
    except OSError as error:
        shown = f"{str(file)[:60]}..." if len(str(file)) > 60 else str(file)
        what = f"cannot be read ({os.strerror(error.errno or 0).lower()})"
        raise InputError(what, where=f"{prefix}{shown}", remedy="check the path") from error
    if not exists:
        raise InputError("no such file", where=f"{prefix}{file}", remedy="check the path")
    if file.is_dir():
        raise InputError("is a folder, not a file", where=f"{prefix}{file}", remedy="name a file in it")
    if not os.access(file, os.R_OK):
        raise InputError("cannot be read (permission denied)", where=f"{prefix}{file}")
    return file


def sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
