"""BigWig files, written in little memory.

The format is that of Kent et al. 2010 (Bioinformatics 26, 2204, supplement). It is written here since
pyBigWig keeps the zoom levels of a whole file in memory until it is closed, 2.7 bytes a base, and pybigtools
counts bases without a value in them (benchmarks/README.md). Here they wait on disk.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from genolift.files.scratch import Scratch, scratch_beside
from genolift.files.whole import whole_file

_MAGIC, _NAMES_MAGIC, _INDEX_MAGIC = 0x888FFC26, 0x78CA8C91, 0x2468ACE0
_VERSION, _FIXED_STEP = 4, 3
_HEADER, _ZOOM_HEADER, _SUMMARY = (
    struct.Struct("<IHHQQQHHQQIQ"),
    struct.Struct("<IIQQ"),
    struct.Struct("<Qdddd"),
)
_NAMES_HEADER, _INDEX_HEADER, _NODE = (
    struct.Struct("<IIIIQQ"),
    struct.Struct("<IIQIIIIQII"),
    struct.Struct("<BBH"),
)
_COUNT, _ZOOM_COUNT = struct.Struct("<Q"), struct.Struct("<I")
_SECTION_HEADER = struct.Struct("<IIIIIBBH")
_CHILDREN = 256
"""The most items of a node of a tree."""
_SECTION_BASES, _BLOCK_RECORDS = 8192, 1024
"""The most values that are deflated together, and records of a zoom level."""
_FINEST, _COARSER = 64, 4
"""Bases of a record in the finest zoom level, and how many times as many there are in each coarser one.

A browser reads a level with half as many bases as its pixels have, or finer. So a view of up to 128 bases a
pixel is drawn from the values, 0.5 MB at most for 1,000 pixels. pyBigWig's finest level, of 16 bases, takes
half as much room as the values.
"""
_WAITING_BASES = 2**16
"""Bases that are put into sections and zoom levels at once."""
_PLACES = [(name, "<u4") for name in ("chrom", "start", "last_chrom", "end")]
_LEAF, _INNER = (
    np.dtype([*_PLACES, ("offset", "<u8"), ("size", "<u8")]),
    np.dtype([*_PLACES, ("offset", "<u8")]),
)
_WITHIN = [
    *((name, "<u4") for name in ("chrom", "start", "end", "covered")),
    ("least", "<f4"),
    ("most", "<f4"),
]
_RECORD = np.dtype([*_WITHIN, ("sum", "<f4"), ("squares", "<f4")])
_SPAN = np.dtype([*_WITHIN, ("sum", "<f8"), ("squares", "<f8")])
"""A record of a zoom level; while it is added up, its sums are more precise."""
_JOINED_BY = {
    **{"covered": np.add, "least": np.minimum, "most": np.maximum},
    **{"sum": np.add, "squares": np.add},
}


@contextmanager
def whole_bigwig(path: Path, chromosomes: Mapping[str, int]) -> Iterator["BigWigWritten"]:
    """Yield a bigWig to write to, which becomes ``path`` only if the block succeeds, as in `whole_file`.

    Parameters
    ----------
    path
        The file.
    chromosomes
        Their lengths in bases.
    """
    levels = [_FINEST]
    while levels[-1] * _COARSER <= max(chromosomes.values(), default=0):
        levels.append(levels[-1] * _COARSER)
    with whole_file(path) as beside, ExitStack() as stack:
        file = stack.enter_context(beside.open("wb"))
        zooms = [_Zoom(bases, stack.enter_context(scratch_beside(path))) for bases in levels]
        written = BigWigWritten(file, chromosomes, zooms)
        yield written
        written.finish()


class BigWigWritten:
    """What `whole_bigwig` yields.

    Attributes
    ----------
    covered
        How many bases have been written.
    """

    def __init__(self, file: BinaryIO, chromosomes: Mapping[str, int], zooms: list["_Zoom"]) -> None:
        self.covered = 0
        self._number = {name: number for number, name in enumerate(sorted(chromosomes))}
        self._file, self._zooms = file, zooms
        self._waiting: list[tuple[int, int, NDArray[np.float32]]] = []
        self._waiting_bases = 0
        self._least, self._most, self._sum, self._squares = np.inf, -np.inf, 0.0, 0.0
        self._summary_at = _HEADER.size + _ZOOM_HEADER.size * len(zooms)
        file.write(bytes(self._summary_at + _SUMMARY.size))  # filled in at the end
        self._names_at = file.tell()
        file.write(_names(chromosomes, self._names_at))
        self._data_at = file.tell()
        file.write(bytes(_COUNT.size))
        self._sections = _Blocks(lambda _, content: file.write(content))

    def add(self, chrom: str, start: int, values: NDArray[np.float32]) -> None:
        """Write the values, (base,), of consecutive bases from ``start`` on, 0-based: further on than those
        before, or on a chromosome whose name is sorted after theirs.
        """
        if len(values):
            self._waiting.append((self._number[chrom], start, values))
            self._waiting_bases += len(values)
        if self._waiting_bases >= _WAITING_BASES:
            self._write_waiting()

    def _write_waiting(self) -> None:
        if not self._waiting:
            return
        for chrom, start, values in self._waiting:
            for at in range(0, len(values), _SECTION_BASES):
                part = np.ascontiguousarray(values[at : at + _SECTION_BASES], "<f4")
                first, end = start + at, start + at + len(part)
                told = _SECTION_HEADER.pack(chrom, first, end, 1, 1, _FIXED_STEP, 0, len(part))
                self._sections.add(told + part.tobytes(), (chrom, first, chrom, end))
        spans = _of_single_bases(self._waiting, self._waiting_bases)
        self.covered += len(spans)
        self._least = min(self._least, float(spans["least"].min()))
        self._most = max(self._most, float(spans["most"].max()))
        self._sum += float(spans["sum"].sum())
        self._squares += float(spans["squares"].sum())
        self._waiting, self._waiting_bases = [], 0
        self._add_to_zooms(spans)

    def _add_to_zooms(self, spans: NDArray[Any], *, are_last: bool = False) -> None:
        for zoom in self._zooms:
            spans = zoom.add(spans, are_last=are_last)

    def finish(self) -> None:
        """Write what is left, the indices, the zoom levels and the header."""
        self._write_waiting()
        self._add_to_zooms(np.empty(0, _SPAN), are_last=True)
        file = self._file
        index_at = file.tell()
        file.writelines(self._sections.tree(self._data_at + _COUNT.size, index_at))
        headers = [zoom.copy_to(file) for zoom in self._zooms]
        file.write(struct.pack("<I", _MAGIC))
        file.seek(0)
        most = max(_SECTION_HEADER.size + 4 * _SECTION_BASES, _RECORD.itemsize * _BLOCK_RECORDS)
        places = (self._names_at, self._data_at, index_at, 0, 0, 0, self._summary_at, most, 0)
        file.write(_HEADER.pack(_MAGIC, _VERSION, len(headers), *places) + b"".join(headers))
        bounds = (self._least, self._most) if self.covered else (0.0, 0.0)
        file.write(_SUMMARY.pack(self.covered, *bounds, self._sum, self._squares))
        file.seek(self._data_at)
        file.write(_COUNT.pack(len(self._sections)))


class _Blocks:
    """Blocks that are deflated and handed to ``write``, and their places: 32 bytes of memory a block."""

    def __init__(self, write: Callable[[int, bytes], object]) -> None:
        self._write, self._index, self.end = write, bytearray(), 0

    def __len__(self) -> int:
        return len(self._index) // _LEAF.itemsize

    def add(self, content: bytes, place: tuple[int, int, int, int]) -> None:
        """Write a block, of what is in a ``place``: the first chromosome and base, the last and the end."""
        packed = isal_zlib.compress(content, 1)
        self._write(self.end, packed)
        self._index += struct.pack("<IIIIQQ", *place, self.end, len(packed))
        self.end += len(packed)

    def tree(self, blocks_at: int, at: int) -> Iterator[bytes]:
        """Yield the index, once, to be written ``at`` a place of the file; its blocks begin at another."""
        leaves = np.frombuffer(self._index, _LEAF)
        leaves["offset"] += blocks_at  # in place, since there may be one for each window
        ends = [int(leaves[edge][name]) for edge, name in _EDGES] if len(leaves) else [0] * 4
        told = _INDEX_HEADER.pack(_INDEX_MAGIC, _CHILDREN, len(leaves), *ends, at, 1, 0)
        yield told
        yield from _nodes(leaves, _INNER, at + len(told))


_EDGES = ((0, "chrom"), (0, "start"), (-1, "last_chrom"), (-1, "end"))


class _Zoom:
    """A zoom level: for each so many ``bases`` with values, how many have one, and what they are."""

    def __init__(self, bases: int, scratch: Scratch) -> None:
        self._bases, self._scratch = bases, scratch
        self._blocks = _Blocks(scratch.write)
        self._left = self._waiting = np.empty(0, _SPAN)
        self._records = 0

    def add(self, spans: NDArray[Any], *, are_last: bool) -> NDArray[Any]:
        """Add the next spans; return those of this level that are complete."""
        joined = _joined(np.concatenate([self._left, spans]), self._bases)
        done = joined if are_last else joined[:-1]  # what comes next may belong to the last
        self._left = joined[len(done) :]
        self._records += len(done)
        waiting = np.concatenate([self._waiting, done])
        whole = len(waiting) if are_last else len(waiting) // _BLOCK_RECORDS * _BLOCK_RECORDS
        for first in range(0, whole, _BLOCK_RECORDS):
            block = waiting[first : min(first + _BLOCK_RECORDS, whole)]
            place = (
                int(block["chrom"][0]),
                int(block["start"][0]),
                int(block["chrom"][-1]),
                int(block["end"][-1]),
            )
            self._blocks.add(block.astype(_RECORD).tobytes(), place)
        self._waiting = waiting[whole:]
        return done

    def copy_to(self, file: BinaryIO) -> bytes:
        """Append the level to the file; return its header."""
        at = file.tell()
        file.write(_ZOOM_COUNT.pack(self._records))
        for start in range(0, self._blocks.end, 2**20):
            file.write(self._scratch.read(start, min(2**20, self._blocks.end - start)))
        index_at = file.tell()
        file.writelines(self._blocks.tree(at + _ZOOM_COUNT.size, index_at))
        return _ZOOM_HEADER.pack(self._bases, 0, at, index_at)


def _of_single_bases(parts: list[tuple[int, int, NDArray[np.float32]]], n: int) -> NDArray[Any]:
    """Return a span for each base of parts, which have n: the number of a chromosome, a start, and values."""
    sizes = np.array([len(values) for *_, values in parts])
    spans = np.empty(n, _SPAN)
    spans["chrom"] = np.repeat([chrom for chrom, *_ in parts], sizes)
    before = np.cumsum(sizes) - sizes
    start = np.arange(n) + np.repeat([start for _, start, _ in parts] - before, sizes)
    spans["start"], spans["end"], spans["covered"] = start, start + 1, 1
    values = np.concatenate([values for *_, values in parts])
    spans["least"] = spans["most"] = spans["sum"] = values
    spans["squares"] = np.square(values, dtype=np.float64)
    return spans


def _joined(spans: NDArray[Any], bases: int) -> NDArray[Any]:
    """Return spans in order, those of the same ``bases`` of a chromosome joined: from their first base with a
    value to their last.
    """
    if not len(spans):
        return spans
    place = spans["start"] // bases
    differs = (place[1:] != place[:-1]) | (spans["chrom"][1:] != spans["chrom"][:-1])
    first = np.flatnonzero(np.append(True, differs))
    joined = spans[first]
    joined["end"] = spans["end"][np.append(first[1:], len(spans)) - 1]
    for name, join in _JOINED_BY.items():
        joined[name] = join.reduceat(spans[name], first)
    return joined


def _names(lengths: Mapping[str, int], at: int) -> bytes:
    """Return the tree of chromosomes, to be written ``at`` a place of the file."""
    names = sorted(lengths)  # as their bytes are in UTF-8
    raw = [name.encode() for name in names]
    longest = max(map(len, raw), default=1)
    leaves = np.zeros(len(raw), [("name", f"S{longest}"), ("number", "<u4"), ("length", "<u4")])
    leaves["name"], leaves["number"] = raw, np.arange(len(raw))
    leaves["length"] = [lengths[name] for name in names]
    told = _NAMES_HEADER.pack(_NAMES_MAGIC, _CHILDREN, longest, 8, len(raw), 0)
    inner = np.dtype([("name", f"S{longest}"), ("offset", "<u8")])
    return told + b"".join(_nodes(leaves, inner, at + len(told)))


def _nodes(leaves: NDArray[Any], inner: np.dtype[Any], at: int) -> Iterator[bytes]:
    """Yield the nodes of a tree that begins ``at`` a place of the file: the root first, the leaves last.

    An item of a node above others has what their first has, and the end of their last.
    """
    levels = [leaves]
    while len(below := levels[0]) > _CHILDREN:
        first = np.arange(0, len(below), _CHILDREN)
        last = np.append(first[1:], len(below)) - 1
        items = np.zeros(len(first), inner)
        for name in set(inner.fields or ()) - {"offset"}:
            items[name] = below[name][last if name in ("last_chrom", "end") else first]
        levels.insert(0, items)
    for number, items in enumerate(levels):
        is_leaf = number == len(levels) - 1
        starts = range(0, max(1, len(items)), _CHILDREN)
        at += _NODE.size * len(starts) + items.nbytes
        if not is_leaf:
            whole = _NODE.size + _CHILDREN * levels[number + 1].itemsize
            items["offset"] = at + whole * np.arange(len(items))
        for start in starts:
            node = items[start : start + _CHILDREN]
            yield _NODE.pack(is_leaf, 0, len(node)) + node.tobytes()
