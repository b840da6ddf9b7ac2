"""The finished pieces of a work on disk, and what is read and written while the next one is computed.

Knows nothing of models or of what is in a piece, but for the layout of contributions.h5.
"""

from __future__ import annotations

import logging
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from genolift.files import make_folder, whole_file
from genolift.store import LAYOUT, Block

_LOG = logging.getLogger("genolift")
Prepared = TypeVar("Prepared")


class Pieces:
    """The finished pieces of a work, in a folder beside its output, one for each work."""

    def __init__(self, out: Path, work: str) -> None:
        self.folder = out.with_name(f"{out.name}.pieces")
        self.work = work
        mark = self.folder / "work"
        if self.folder.is_dir() and not (mark.is_file() and mark.read_text() == work):
            shutil.rmtree(self.folder)  # the pieces of another work
        make_folder(self.folder)
        with whole_file(mark) as beside:
            beside.write_text(work)

    def _path(self, rows: range) -> Path:
        return self.folder / f"{rows.start:09d}-{rows.stop:09d}.npz"

    def read(self, rows: range) -> dict[str, NDArray[Any]] | None:
        """Return a finished piece; None where it is not, or is damaged (a disk that failed)."""
        path = self._path(rows)
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as stored:
                return {name: stored[name] for name in LAYOUT}
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            _LOG.warning("%s: is damaged (%s); its sequences are computed again", path, error)
            return None

    def write(self, rows: range, block: Block) -> None:
        """Write a piece, whole or not at all.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        with whole_file(self._path(rows)) as beside, beside.open("wb") as file:
            np.savez(file, **block)  # type: ignore[arg-type]

    def blocks(self, pieces: Iterable[range]) -> Iterator[Block]:
        """Yield finished pieces."""
        for rows in pieces:
            block = self.read(rows)
            assert block is not None
            yield block

    def remove(self) -> None:
        """Remove the folder, when what it held is written elsewhere."""
        shutil.rmtree(self.folder, ignore_errors=True)


def prepared_ahead(
    pieces: Sequence[range], prepare: Callable[[range], Prepared]
) -> Iterator[tuple[range, Prepared]]:
    """Yield each piece with what ``prepare`` makes for it, made by a thread while the one before is in use.

    What it raises is raised when the piece's turn has come, as if it were prepared then.
    """
    with ThreadPoolExecutor(1, "genolift-read") as thread:
        ahead = [thread.submit(prepare, piece) for piece in pieces[:1]]
        for number, piece in enumerate(pieces):
            made = ahead.pop().result()
            if number + 1 < len(pieces):
                ahead.append(thread.submit(prepare, pieces[number + 1]))
            yield piece, made
            del made


class WritesBehind(AbstractContextManager["WritesBehind"]):
    """Pieces written by a thread while the next one is computed; when the block ends all stand on disk.

    At most one waits or is being written: who is faster than the disk waits for it.
    """

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._thread = ThreadPoolExecutor(1, "genolift-write")
        self._last: Future[None] | None = None

    def write(self, rows: range, block: Block) -> None:
        """Write a piece soon; raises what writing the one before it raised."""
        if self._last is not None:
            self._last.result()
        self._last = self._thread.submit(self._pieces.write, rows, block)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown()
        if self._last is not None and kind is None:
            self._last.result()
