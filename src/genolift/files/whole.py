"""Files and folders that appear under their name complete or not at all."""

import errno
import hashlib
import os
import re
import secrets
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from genolift.errors import InputError
from genolift.files.output_paths import MARK, UNFINISHED, check_file, check_folder, files_in, mark_text
from genolift.files.plain_values import as_json
from genolift.files.stopping import not_ended, nothing_lost

_MOST_NAME_BYTES = 120
"""Characters of the final name that are kept in the temporary one, which may have 255."""
_TEMPORARY = re.compile(
    re.escape(UNFINISHED) + r"(?P<machine>[0-9a-f]{8})(?P<process>[0-9a-f]{8})[0-9a-f]{8}\.(?P<ending>.*)",
    re.DOTALL,
)
_unfinished: set[Path] = set()
"""Everything that has a temporary name of this process at the moment."""
_making = threading.RLock()
"""Held while something is given a temporary name. Reentrant, since a signal's handler may interrupt that."""
_PATIENCE = 1.0
"""Seconds that a process which is about to end waits for a thread that makes a file."""


@contextmanager
def whole_file(path: str | os.PathLike[str], *, shared: bool = False) -> Iterator[Path]:
    """Yield a path next to ``path`` to write to; rename it to ``path`` only if the block succeeds.

    The file exists already, empty, with the umask's mode, under an unpredictable name with the suffix of
    ``path``, by which writers choose a format. It is synced to disk before it is renamed. If the block
    raises, a signal arrives, or an exception is lost in the block (`stopping.nothing_lost`), it is removed
    and ``path`` stays as it was. What a killed process left of the same file is removed first, unless the
    file is ``shared``: other machines may write the same meanwhile.

    Raises
    ------
    InputError
        If `output_paths.check_file` refuses ``path``, the folder cannot be created or written to, or the disk
        is full.
    """
    final = Path(path)
    with write_errors(final):
        check_file(final)
        parent = make_folder(final.parent)
        if not shared:
            _remove_left(final, parent)
        with _beside(final, parent, _make_empty_file) as beside:
            with nothing_lost():
                yield beside
            try:
                _sync(beside)
                os.replace(beside, final)
            except FileNotFoundError as error:
                what, remedy = "was removed while it was written", "let one process at a time write it"
                raise InputError(what, where=str(final), remedy=remedy) from error
            _sync(parent)


@contextmanager
def whole_folder(path: str | os.PathLike[str], kind: str) -> Iterator[Path]:
    """Yield a new folder that replaces ``path`` only if the block succeeds, as in `whole_file`.

    It is marked as ours, of this ``kind``; a folder without that mark is never replaced.

    Raises
    ------
    InputError
        As in `whole_file`, and if `output_paths.check_folder` refuses ``path``.
    """
    final = Path(path)
    with write_errors(final):
        check_folder(final, kind)
        parent = make_folder(final.parent)
        _remove_left(final, parent)
        with _beside(final, parent, Path.mkdir) as beside:
            with nothing_lost():
                yield beside
                (beside / MARK).write_text(mark_text(kind, files_in(beside)), encoding="utf-8")
            for folder, _, names in os.walk(beside):
                for name in names:
                    _sync(Path(folder, name))
                _sync(Path(folder))
            check_folder(final, kind)
            with _beside(final, parent, Path.mkdir) as earlier, not_ended():
                is_replaced = final.is_dir()
                try:
                    if is_replaced:
                        os.replace(final, earlier)
                    os.replace(beside, final)
                except BaseException:
                    if is_replaced and not final.is_dir():
                        os.replace(earlier, final)
                    raise
                _sync(parent)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file in UTF-8, as `whole_file` does."""
    with whole_file(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write a value as JSON, indented, as `whole_file` does."""
    write_text(path, as_json(value))


def _make_empty_file(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666))


@contextmanager
def _beside(final: Path, parent: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    """Yield what ``make`` creates under a temporary name in ``parent``; remove it if it is left there."""
    while True:
        token = f"{_machine()}{os.getpid():08x}{secrets.token_hex(4)}"
        beside = parent / f"{UNFINISHED}{token}.{_ending(final)}"
        with _making:
            _unfinished.add(beside)
            try:
                make(beside)
            except FileExistsError:
                _unfinished.discard(beside)
                continue
            except BaseException:
                _remove(beside)
                raise
        break
    try:
        yield beside
    finally:
        _remove(beside)


def _ending(final: Path) -> str:
    """Return the end of the temporary name of a file, by which writers choose a format."""
    return os.fsdecode(os.fsencode(final.name)[-_MOST_NAME_BYTES:])


@cache
def _machine() -> str:
    """Return 8 hexadecimal digits for this machine since it was started."""
    started = Path("/proc/sys/kernel/random/boot_id")
    since = started.read_text() if started.is_file() else ""
    return hashlib.sha256(f"{socket.gethostname()} {since}".encode()).hexdigest()[:8]


def _remove_left(final: Path, parent: Path) -> None:
    """Remove what killed processes left of a file or folder, as its temporary names tell."""
    with os.scandir(parent) as entries:
        left = [entry.name for entry in entries if entry.name.startswith(UNFINISHED)]
    for name in left:
        found = _TEMPORARY.fullmatch(name)
        if found and found["ending"] == _ending(final):
            machine, process = found["machine"], int(found["process"], 16)
            if machine != _machine() or not _is_running(process):
                with suppress(OSError):
                    _remove(parent / name)


def remove_left_in(folder: Path) -> None:
    """Remove all that killed processes left in a folder that one process at a time writes to."""
    for left in folder.glob(f"{UNFINISHED}*"):
        _remove(left)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it is another user's
        return True
    return True


def _remove(beside: Path) -> None:
    if beside.is_dir() and not beside.is_symlink():
        shutil.rmtree(beside, ignore_errors=True)
    else:
        beside.unlink(missing_ok=True)
    _unfinished.discard(beside)


def remove_unfinished() -> None:
    """Remove everything that has a temporary name of this process, which is about to end.

    From now on no other thread makes more: it waits for a lock that is not given back.
    """
    _making.acquire(timeout=_PATIENCE)
    for beside in list(_unfinished):
        with suppress(OSError):
            _remove(beside)


def _sync(path: Path) -> None:
    """Sync a file or folder to disk."""
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):  # a file system without fsync
            raise
    finally:
        os.close(opened)


@contextmanager
def write_errors(final: Path) -> Iterator[None]:
    """Turn a system error of this block, which writes ``final``, into the `InputError` that names it."""
    try:
        yield
    except OSError as error:
        if error.errno is None or isinstance(error, FileNotFoundError):
            raise
        remedy = "free some space or choose another output folder, and run again"
        if isinstance(error, PermissionError):
            remedy = "choose an output folder that you can write to"
        what = f"cannot be written ({os.strerror(error.errno).lower()})"
        raise InputError(what, where=str(final), remedy=remedy) from error


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Create ``path`` and its parents, or raise `InputError` naming it."""
    folder = Path(path)
    with write_errors(folder):
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
