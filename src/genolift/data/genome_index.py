"""Windows of a genome by the index next to it, which is used only if the genome agrees with it.

The index is what ``samtools faidx`` makes (.fai, and .gzi for BGZF). pyfaidx reads it, but trusts it by its
date, and drops the line breaks that would reveal a stale one, so the bytes are checked here.
"""

from __future__ import annotations

import codecs
import struct
import warnings
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from Bio import bgzf

from genolift.files.whole import existing_file

if TYPE_CHECKING:  # which imports asyncio, and not every sequence is of a genome
    from pyfaidx import Faidx

_BLOCK_HEADER = 18  # bytes; SAM specification, section 4.1
_BLOCK_BYTES = 2**16
_LONGEST_HEADER = 2**20
_LINE_CHECKED_WHOLE = 10_000
_NO_LETTER = np.zeros(256, dtype=bool)
_NO_LETTER[[*range(33), ord(">")]] = True


class StaleIndexError(Exception):
    """The index was made from another genome; the message says what shows it."""


@dataclass(frozen=True)
class _Record:
    """A line of a .fai: ``offset`` is the place of the first letter, in bytes of the uncompressed file;
    ``line_bytes`` includes the line break.
    """

    name: str
    length: int
    offset: int
    line_bases: int
    line_bytes: int

    def at(self, position: int) -> int:
        """Return the place in the file of the letter at a 0-based position."""
        return self.offset + position // self.line_bases * self.line_bytes + position % self.line_bases

    @property
    def end(self) -> int:
        """Where the last letter ends in the file."""
        return self.at(self.length - 1) + 1 if self.length else self.offset


class IndexedGenome:
    """A genome by its index; each method raises `StaleIndexError` if the two do not agree.

    It is checked that the chromosomes in the index follow one another from the file's start to its end, with
    only their headers between them, and that line breaks are where the index says, and nowhere else, in each
    window and in the first and last line of each chromosome that is used.
    """

    def __init__(self, records: Mapping[str, _Record], file: _PlainFile | _BgzfFile) -> None:
        self._records, self._file = records, file
        self._checked: set[str] = set()
        self._check_order()

    @property
    def lengths(self) -> dict[str, int]:
        """The bases of each chromosome, in the file's order."""
        ordered = sorted(self._records.values(), key=lambda record: record.offset)
        return {record.name: record.length for record in ordered}

    def letters(self, chrom: str, start: int, end: int) -> bytes:
        """Return the letters of a window, 0-based half-open, within its chromosome."""
        record = self._records[chrom]
        if chrom not in self._checked:
            self._checked.add(chrom)
            last_line = (record.length - 1) // record.line_bases * record.line_bases
            for begin, stop in (
                (0, min(record.length, record.line_bases + 1)),
                (last_line - 1, record.length),
            ):
                for part in _ends_of(max(0, begin), stop):
                    self._window(record, *part)
        return self._window(record, start, end)

    def _window(self, record: _Record, start: int, end: int) -> bytes:
        if start == end:
            return b""
        first, stop = record.at(start), record.at(end - 1) + 1
        raw = np.frombuffer(self._file.read(first, stop), dtype=np.uint8)
        columns = (np.arange(len(raw)) + (first - record.offset)) % record.line_bytes
        is_break = columns >= record.line_bases
        if len(raw) != stop - first or not np.array_equal(_NO_LETTER[raw], is_break):
            raise StaleIndexError(f"the lines of {record.name} are not where it says, near base {start + 1}")
        return raw[~is_break].tobytes()

    def _check_order(self) -> None:
        end = 0
        for record in sorted(self._records.values(), key=lambda record: record.offset):
            far = not 0 <= record.offset - end <= _LONGEST_HEADER
            if far or not _is_header_of(record, self._file.read(end, record.offset)):
                raise StaleIndexError(f"the header of {record.name} is not where it says")
            end = record.end
        if self._file.read(end, end + _LONGEST_HEADER).strip(b"\r\n"):
            raise StaleIndexError("the file goes on after the last chromosome")
        if self._file.read(end - 1, end) == b"":
            raise StaleIndexError("the file ends before the last chromosome does")


def _is_header_of(record: _Record, between: bytes) -> bool:
    """Whether the bytes between two chromosomes, or before the first, are this one's header alone."""
    header = between.removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n")
    name = b">" + record.name.encode()
    after = header[len(name) : len(name) + 1]
    return header.startswith(name) and after.isspace() and header.find(b"\n") == len(header) - 1


def _ends_of(start: int, end: int) -> list[tuple[int, int]]:
    """Return a stretch, or both ends of a long one (a chromosome in one line)."""
    if end - start <= _LINE_CHECKED_WHOLE:
        return [(start, end)]
    return [(start, start + _LINE_CHECKED_WHOLE // 2), (end - _LINE_CHECKED_WHOLE // 2, end)]


@contextmanager
def indexed_genome(path: Path) -> Iterator[IndexedGenome | None]:
    """Yield a genome by the index next to it, None if there is none; nothing is written.

    The index of a genome in plain gzip is of no use, since it can only be read from the start.

    Raises
    ------
    StaleIndexError
        If the index is damaged, or belongs to another genome.
    """
    index, blocks = (path.with_name(path.name + end) for end in (".fai", ".gzi"))
    if not path.is_file() or not index.is_file():
        yield None
        return
    with existing_file(path).open("rb") as file:
        start = file.read(_BLOCK_HEADER)
        named_as_gzip = path.suffix.lower() in (".gz", ".bgz")  # as pyfaidx decides
        if start[:2] != b"\x1f\x8b" and not named_as_gzip:
            with closing(_opened(path)) as faidx:
                yield IndexedGenome(_records(faidx), _PlainFile(file))
        # without a .gzi pyfaidx would write one, and the .fai again
        elif _is_block(start) and named_as_gzip and blocks.is_file():
            with closing(_opened(path)) as faidx:
                yield IndexedGenome(_records(faidx), _BgzfFile(faidx, file))
        else:
            yield None


def _opened(path: Path) -> Faidx:
    """Open a genome with its index, which is not made or replaced."""
    from pyfaidx import Faidx

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # that an index is older than its genome
            return Faidx(str(path), rebuild=False, build_index=False)
    except (OSError, ValueError, struct.error) as error:
        raise StaleIndexError(f"it is damaged: {error}") from error


def _records(faidx: Faidx) -> dict[str, _Record]:
    """Return the records of a .fai by name."""
    records: dict[str, _Record] = {}
    for name, found in faidx.index.items():
        record = _Record(name, found.rlen, found.offset, found.lenc, found.lenb)
        breaks = record.line_bytes - record.line_bases
        # no break if the file ends right after a record of one line
        possible = (1, 2) if record.length > record.line_bases else (0, 1, 2)
        good = record.length == 0 or (record.line_bases > 0 and breaks in possible)
        if not good or min(record.length, record.offset) < 0:
            raise StaleIndexError(f"it is damaged: {name} {found}")
        records[name] = record
    if not records:
        raise StaleIndexError("it is empty")
    return records


def _is_block(header: bytes) -> bool:
    return header[:4] == b"\x1f\x8b\x08\x04" and header[12:14] == b"BC"


class _PlainFile:
    """The bytes of an uncompressed file by their place."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from ``start`` to ``end``, fewer if the file ends before."""
        self._file.seek(max(0, start))
        return self._file.read(max(0, end - start))


class _BgzfFile:
    """The uncompressed bytes of a BGZF file by their place.

    Every block that is read must begin where the .gzi says, and have the size that it says.
    """

    def __init__(self, faidx: Faidx, file: BinaryIO) -> None:
        self._unpacked, self._file = faidx.file, file
        self._compressed = [block.cstart for block in faidx.gzi_index]
        self._plain = [block.ustart for block in faidx.gzi_index]
        self._checked: set[int] = set()

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from ``start`` to ``end``, fewer if the file ends before."""
        start = max(0, start)
        first, last = (bisect_right(self._plain, at) - 1 for at in (start, max(start, end - 1)))
        for number in range(first, last + 1):
            if number not in self._checked:
                self._check(number)
                self._checked.add(number)
        within = start - self._plain[first]
        if start >= end or within >= _BLOCK_BYTES:  # after the last block
            return b""
        try:
            self._unpacked.seek(bgzf.make_virtual_offset(self._compressed[first], within))
            read: bytes = self._unpacked.read(end - start)
        except (OSError, ValueError, EOFError, zlib.error) as error:
            raise StaleIndexError(f"a BGZF block cannot be read ({error})") from error
        return read

    def _check(self, number: int) -> None:
        begin = self._compressed[number]
        self._file.seek(begin)
        try:
            # bytes of the block in the file, and uncompressed
            _, size, _, length = next(bgzf.BgzfBlocks(self._file))
        except (StopIteration, OSError, ValueError, EOFError, struct.error, zlib.error) as error:
            raise StaleIndexError(
                f"no BGZF block begins at byte {begin}, where the .gzi says ({error})"
            ) from error
        following = [each[number + 1 : number + 2] for each in (self._compressed, self._plain)]
        if following not in ([[], []], [[begin + size], [self._plain[number] + length]]):
            raise StaleIndexError(f"the BGZF block at byte {begin} is not as large as the .gzi says")
