r"""The lines of a text file, whatever its encoding, line ends and compression.

All text that people write or get from other programs is read here: FASTA, BED, tables, motifs, the config.
"""

from __future__ import annotations

import codecs
import gzip
import io
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

from genolift.errors import InputError, Refusal, refused_as
from genolift.files.whole import existing_file
from genolift.host_memory import available_memory

_GZIP_MAGIC = b"\x1f\x8b"
# The empty block that ends every BGZF file (SAM specification, section 4.1.2).
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_SAVE = "save it as UTF-8"
_PLAIN = "give a text file, plain or compressed with gzip or bgzip"
# First bytes of a file, what kind of file it then is, and how to get text from it.
_NO_TEXT = {
    b"BZh": ("compressed with bzip2", "unpack it with bunzip2, or compress it with gzip"),
    b"\xfd7zXZ": ("compressed with xz", "unpack it with unxz, or compress it with gzip"),
    b"\x28\xb5\x2f\xfd": ("compressed with zstandard", "unpack it with unzstd, or compress it with gzip"),
    b"PK\x03\x04": ("a zip archive (as Excel's .xlsx is)", "unpack it, or save the sheet as text with tabs"),
    b"\xd0\xcf\x11\xe0": ("a Microsoft Office file", "save the sheet as text with tabs"),
    b"\x89HDF": ("an HDF5 file", _PLAIN),
    b"PAR1": ("a Parquet file", _PLAIN),
    b"%PDF": ("a PDF", _PLAIN),
    b"BAM\x01": ("BAM", "convert it to BED with bedtools bamtobed, or to FASTA with samtools fasta"),
    b"CRAM": ("CRAM", "convert it to FASTA with samtools fasta"),
    b"\xeb\xf2\x89\x87": ("bigBed", "convert it to BED with bigBedToBed"),
    b"\x87\x89\xf2\xeb": ("bigBed", "convert it to BED with bigBedToBed"),
    b"\x26\xfc\x8f\x88": ("bigWig", "give intervals, such as the peaks called on it"),
    b"\x88\x8f\xfc\x26": ("bigWig", "give intervals, such as the peaks called on it"),
    b"\x43\x27\x41\x1a": ("2bit", "convert it to FASTA with twoBitToFa"),
    b"\x1a\x41\x27\x43": ("2bit", "convert it to FASTA with twoBitToFa"),
    b"version https://git-lfs": ("a Git LFS pointer, not the file itself", "run git lfs pull"),
    b"<!DOCTYPE html": ("a web page", "download the file itself"),
    b"<html": ("a web page", "download the file itself"),
    _GZIP_MAGIC: ("compressed with gzip twice", "unpack it once with gunzip"),
}
_ENCODINGS = {  # by byte order mark; UTF-32's begins with UTF-16's
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_COPIES_OF_A_LINE = 6  # its parts, the line, its bytes, and the caller's copy


def _as_latin_1(error: UnicodeError) -> tuple[str, int]:
    """Decode invalid UTF-8 as Latin-1, which has a character for each byte: different names stay so."""
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("genolift.latin-1", _as_latin_1)


def read_lines(
    path: str | os.PathLike[str], *, where: str = "", kept_per_line: int | None = None, utf_8: bool = False
) -> Iterator[str]:
    r"""Yield the lines of a text file, each ending in ``\n`` whatever the file's line ends are.

    Gzip and BGZF are recognised by content, not by name. Lines may end in ``\n``, ``\r\n`` or a lone ``\r``.
    A byte order mark is skipped; with one, UTF-16 and UTF-32 are read too.

    Parameters
    ----------
    where
        What errors name before the file, such as the config's key.
    kept_per_line
        Bytes that the caller keeps per line besides its text, if it keeps all lines: the file is refused if
        they would not fit into half of the available memory. None: lines are used one at a time, and only a
        line that does not fit is refused.
    utf_8
        Accept only plain UTF-8, because another program reads the file too. By default, bytes that are not
        UTF-8 are read as Latin-1, as in old annotation files.

    Raises
    ------
    InputError
        If the file is missing, is not text (the error says what it is), contains a NUL, does not fit into
        memory, or is truncated. A BGZF file without its final empty block counts as truncated: a cut between
        two blocks leaves no other trace.
    """
    file = existing_file(path, where=where)
    place = f"{where}: {file}" if where else str(file)
    room = available_memory()
    kept, most = 0, room // 2
    with file.open("rb") as raw:
        compressed = raw.peek(2)[:2] == _GZIP_MAGIC
        if compressed and utf_8:
            raise InputError("is compressed with gzip", where=place, remedy="unpack it with gunzip")
        if compressed:
            _check_bgzf_end(raw, place)
        content = gzip.GzipFile(fileobj=raw) if compressed else raw
        with _damage(place), io.BufferedReader(cast(io.RawIOBase, content)) as buffered:
            text = _decoded(buffered, place, utf_8)
            longest = max(1, room // _COPIES_OF_A_LINE)
            for number, line in enumerate(iter(partial(text.readline, longest), ""), start=1):
                if "\0" in line:
                    raise InputError("holds a NUL byte", where=f"{place}:{number}", remedy=_PLAIN)
                if utf_8 and not line.isascii():
                    _check_utf_8(line, f"{place}:{number}")
                kept += len(line) if kept_per_line is None else len(line) + kept_per_line
                if len(line) == longest or (kept_per_line is not None and kept > most):
                    raise too_large(place, room)
                yield line


@contextmanager
def _damage(place: str) -> Iterator[None]:
    again = "copy or download the file again"
    cut_off = Refusal("the gzip compression is truncated or damaged", place, again)
    try:
        with refused_as(cut_off, (EOFError, zlib.error, gzip.BadGzipFile)):
            yield
    except UnicodeDecodeError as error:
        raise InputError(
            f"begins like {error.encoding.upper()}, but is not ({error.reason})",
            where=place,
            remedy=_SAVE,
        ) from error


def read_text(path: str | os.PathLike[str], *, where: str = "", most: int = 2**24) -> str:
    """Return a small text file whole: plain UTF-8, with or without its mark.

    Raises
    ------
    InputError
        As in `read_lines`, and if the file has more than ``most`` characters.
    """
    lines, length = [], 0
    for line in read_lines(path, where=where, kept_per_line=100, utf_8=True):
        lines.append(line)
        length += len(line)
        if length > most:
            raise InputError(
                f"has more than {most:,} characters",
                where=f"{where}: {path}" if where else str(path),
                remedy="check that it is the right file",
            )
    return "".join(lines)


def _decoded(buffered: io.BufferedReader[Any], place: str, utf_8: bool) -> io.TextIOWrapper:
    """Return a text stream chosen by the file's first bytes, or raise `InputError` naming its real format."""
    head = buffered.peek()
    for magic, (name, remedy) in _NO_TEXT.items():
        if head.startswith(magic):
            raise InputError(f"is {name}", where=place, remedy=remedy)
    encoding = next((name for mark, name in _ENCODINGS.items() if head.startswith(mark)), None)
    if encoding in ("utf-16", "utf-32"):
        if utf_8:
            raise InputError(f"is {encoding.upper()}", where=place, remedy=_SAVE)
        return io.TextIOWrapper(buffered, encoding=encoding, errors="strict")
    if b"\0" in head:
        zeros = [head[:200:2].count(0), head[1:200:2].count(0)]
        if max(zeros) > max(2, 0.9 * len(head[1:200:2])) and min(zeros) == 0:
            raise InputError("is UTF-16 text without a byte order mark", where=place, remedy=_SAVE)
        raise InputError("is a binary file, not text", where=place, remedy=_PLAIN)
    errors = "surrogateescape" if utf_8 else "genolift.latin-1"
    return io.TextIOWrapper(buffered, encoding=encoding or "utf-8", errors=errors)


def _check_utf_8(line: str, where: str) -> None:
    wrong = re.search("[\udc80-\udcff]", line)  # "surrogateescape" for an invalid byte
    if wrong:
        byte = ord(wrong[0]) - 0xDC00
        raise InputError(f"the byte 0x{byte:02x} is not UTF-8", where=where, remedy=_SAVE)


def too_large(place: str, room: int) -> InputError:
    """Return the error for a file whose uncompressed text does not fit into ``room`` bytes."""
    return InputError(
        f"is too large, uncompressed, for the available memory ({room / 1e9:.2g} GB)",
        where=place,
        remedy="check that it is the right file, or give the process more memory",
    )


def _check_bgzf_end(raw: io.BufferedReader, place: str) -> None:
    """Raise if ``raw``, a gzip file, is BGZF (extra field BC) without its final block."""
    head = raw.peek(14)[:14]
    is_bgzf = len(head) == 14 and head[3] & 4 and head[12:14] == b"BC"
    if not is_bgzf or not raw.seekable():
        return
    size = raw.seek(0, os.SEEK_END)
    raw.seek(max(0, size - len(_BGZF_END)))
    end = raw.read()
    raw.seek(0)
    if end != _BGZF_END:
        raise InputError(
            "the BGZF file is truncated (its final empty block is missing)",
            where=place,
            remedy="copy or download the file again, or compress it again with bgzip",
        )
