"""The finished pieces of a job on disk, and what is read and written while the next one is computed."""

import fcntl
import hashlib
import logging
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from genolift.errors import InputError
from genolift.files.digests import SIZE
from genolift.files.output_paths import MARK, check_folder, mark_text, read_mark
from genolift.files.whole import make_folder, remove_left_in, whole_file, write_text
from genolift.results.store import LAYOUT, Block

_LOG = logging.getLogger("genolift")
_KIND = "attribute"
_LOCK = ".genolift-lock"
_PIECE = re.compile(r"\d{9,}-\d{9,}\.npz")
Prepared = TypeVar("Prepared")


class Pieces:
    """The finished pieces of a job, each with a block for each of ``number`` targets, in a folder next to its
    output. One process at a time may use it.

    Raises
    ------
    InputError
        If the folder has other content, or another process is computing the same output.
    """

    def __init__(self, out: Path, work: str, number: int = 1) -> None:
        self.folder, self.work, self._number = folder_of_pieces(out), work, number
        check_folder(self.folder, _KIND, replaced=False)
        self._lock = _locked(self.folder)
        remove_left_in(self.folder)
        if (read_mark(self.folder) or {}).get("work") != work:
            self._clear()  # the pieces of another job
            write_text(self.folder / MARK, mark_text(_KIND, [], work=work))

    def _clear(self) -> None:
        for piece in self.folder.iterdir():
            if _PIECE.fullmatch(piece.name) or piece.name == MARK:
                piece.unlink(missing_ok=True)

    def close(self) -> None:
        """Let another process use the folder."""
        os.close(self._lock)

    def _path(self, rows: range) -> Path:
        return self.folder / f"{rows.start:09d}-{rows.stop:09d}.npz"

    def read(self, rows: range) -> list[Block] | None:
        """Return the blocks of a finished piece; None if there is none, or a failing disk has damaged it."""
        path = self._path(rows)
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as stored:
                return [self._block(stored, rows, number) for number in range(self._number)]
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            _LOG.warning("%s: is damaged (%s); its sequences are computed again", path, error)
            return None

    def _block(self, stored: Mapping[str, NDArray[Any]], rows: range, number: int) -> Block:
        block = {name: stored[f"{number}/{name}"] for name in LAYOUT}
        if bytes(stored[f"{number}/seal"]) != self._seal(rows, number, block):
            raise ValueError("it is not what was written")
        return block

    def write(self, rows: range, blocks: Sequence[Block]) -> None:
        """Write a piece, whole or not at all.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        with whole_file(self._path(rows), shared=True) as beside, beside.open("wb") as file:
            stored: dict[str, Any] = {}
            for number, block in enumerate(blocks):
                sealed = {**block, "seal": np.frombuffer(self._seal(rows, number, block), np.uint8)}
                stored |= {f"{number}/{name}": values for name, values in sealed.items()}
            np.savez(file, **stored)

    def _seal(self, rows: range, number: int, block: Block) -> bytes:
        """Return a digest of the job, the rows, the target's number and everything in their block."""
        digest = hashlib.blake2b(f"{self.work} {rows.start} {rows.stop} {number}".encode(), digest_size=SIZE)
        for name in LAYOUT:
            values = np.ascontiguousarray(block[name])
            digest.update(f"{name} {values.dtype.str} {values.shape}".encode())
            digest.update(values.tobytes() if values.dtype.kind in "US" else values.data)
        return digest.digest()

    def blocks(self, pieces: Iterable[range], number: int) -> Iterator[Block]:
        """Yield the blocks of finished pieces for one target."""
        for rows in pieces:
            with np.load(self._path(rows), allow_pickle=False) as stored:
                yield self._block(stored, rows, number)

    def remove(self) -> None:
        """Remove the folder once its content is in the output; files that are not ours stay."""
        self._clear()
        (self.folder / _LOCK).unlink()
        with suppress(OSError):
            self.folder.rmdir()


def folder_of_pieces(out: Path) -> Path:
    """Return the folder of an output's pieces until it is complete."""
    return out.with_name(f"{out.name}.pieces")


def _locked(folder: Path) -> int:
    """Make a folder and lock it against other processes; closing the descriptor returned unlocks it."""
    while True:
        make_folder(folder)
        path = folder / _LOCK
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except FileNotFoundError:  # another process has just finished, and removed the folder
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise InputError(
                "another genolift attribute is writing the same output",
                where=str(folder.with_suffix("")),
                remedy="let that end, or give another --out",
            ) from None
        except OSError as error:  # a file system without locks
            _LOG.debug("%s: cannot be locked (%s)", path, error)
        if path.exists() and os.path.samestat(os.fstat(lock), path.stat()):
            return lock
        os.close(lock)  # of a folder that has been removed since


def prepared_ahead(
    pieces: Sequence[range], prepare: Callable[[range], Prepared]
) -> Generator[tuple[range, Prepared], None, None]:
    """Yield each piece with what ``prepare`` returns for it, computed by a thread during the previous piece.

    An exception from it is raised when it is the piece's turn.
    """
    with ThreadPoolExecutor(1, "genolift-read") as thread:
        ahead = [thread.submit(prepare, piece) for piece in pieces[:1]]
        for number, piece in enumerate(pieces):
            made = ahead.pop().result()
            if number + 1 < len(pieces):
                ahead.append(thread.submit(prepare, pieces[number + 1]))
            yield piece, made
            del made


@contextmanager
def written_behind(pieces: Pieces) -> Iterator[Callable[[range, Sequence[Block]], None]]:
    """Yield a function that has a thread write a piece, and raises what went wrong with the previous one.

    At most one is waiting or being written, so a faster computation waits for the disk. At the end of the
    block, even if it raises, all that has been computed is on disk.
    """
    last: list[Future[None]] = []

    def write(rows: range, blocks: Sequence[Block]) -> None:
        if last:
            last.pop().result()
        last.append(thread.submit(pieces.write, rows, blocks))

    with ThreadPoolExecutor(1, "genolift-write") as thread:
        yield write
    if last:
        last.pop().result()
