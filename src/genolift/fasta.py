"""Records of a FASTA file, plain, gzip or BGZF. Knows nothing of intervals, tables or models."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from genolift.alphabet import N_CODE, encode_letters
from genolift.errors import InputError
from genolift.files import existing_file

_GZIP_MAGIC = b"\x1f\x8b"
# The empty block that ends every BGZF file (SAM specification, section 4.1.2).
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_OTHER_COMPRESSION = {
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"PK\x03\x04": "zip",
}
_WHITESPACE = b" \t\r\n\v\f"
_NO_CODE = 255


@dataclass(frozen=True)
class FastaRecord:
    """One record: ``number`` is 0-based in the file, ``line`` the 1-based line of its header, ``name`` the
    header's first word, ``letters`` the sequence as in the file, without white space.
    """

    number: int
    line: int
    name: str
    letters: bytes


def read_lines(path: str | os.PathLike[str]) -> Iterator[str]:
    r"""Yield the lines of a text file, each with ``\n`` at its end whatever the file's line ends.

    Gzip and BGZF are recognised by the file's first bytes, not by its name. A byte order mark is skipped.

    Raises
    ------
    InputError
        If the file is missing, not text, compressed in another way, or truncated. A BGZF file without its
        final empty block counts as truncated, since a cut between two blocks shows in nothing else.
    """
    file = existing_file(path)
    with file.open("rb") as raw:
        compressed = raw.peek(2)[:2] == _GZIP_MAGIC
        if compressed:
            _check_bgzf_end(raw, file)
        content = gzip.GzipFile(fileobj=raw) if compressed else raw
        try:
            with io.BufferedReader(cast(io.RawIOBase, content)) as buffered:
                _check_text(buffered.peek(), file)
                yield from io.TextIOWrapper(buffered, encoding="utf-8-sig", errors="replace")
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(
                f"the gzip compression is truncated or damaged ({error})",
                where=str(file),
                remedy="copy or download the file again",
            ) from error


def _check_bgzf_end(raw: io.BufferedReader, file: Path) -> None:
    """Raise if ``raw``, a gzip file, is BGZF (extra field BC) and its last block is missing."""
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
            where=str(file),
            remedy="copy or download the file again, or write it anew with bgzip",
        )


def _check_text(head: bytes, file: Path) -> None:
    remedy = "give a text file, plain or compressed with gzip or bgzip"
    for magic, name in _OTHER_COMPRESSION.items():
        if head.startswith(magic):
            raise InputError(f"is compressed with {name}", where=str(file), remedy=remedy)
    if b"\0" in head:
        raise InputError("is a binary file, not text", where=str(file), remedy=remedy)


def read_fasta(path: str | os.PathLike[str]) -> Iterator[FastaRecord]:
    """Yield the records of a FASTA file in order, one in memory at a time.

    Biopython's SimpleFastaParser is not used: it skips text before the first record without a word, knows no
    line numbers, and holds a chromosome as a list of its lines.

    Raises
    ------
    InputError
        As `read_lines`; and for a file without records, text before the first ``>``, a header without
        a name, or a name that stands twice.
    """
    line_of: dict[str, int] = {}
    name: str | None = None
    letters = bytearray()
    for line_number, line in enumerate(read_lines(path), start=1):
        if line.startswith(">"):
            if name is not None:
                yield _record(line_of, name, letters)
            name = _name_of_header(line, line_number, line_of, path)
            line_of[name] = line_number
            letters = bytearray()
        elif name is not None:
            letters += line.encode("latin-1", "replace").translate(None, _WHITESPACE)
        elif line.strip():
            raise InputError(
                f"text before the first record: {line.strip()[:30]!r}",
                where=f"{path}:{line_number}",
                remedy="a FASTA record starts with a line of '>' and its name",
            )
    if name is None:
        raise InputError("holds no FASTA record (it is empty)", where=str(path), remedy="check the path")
    yield _record(line_of, name, letters)


def _record(line_of: dict[str, int], name: str, letters: bytearray) -> FastaRecord:
    return FastaRecord(len(line_of) - 1, line_of[name], name, bytes(letters))


def _name_of_header(
    line: str, line_number: int, line_of: dict[str, int], path: str | os.PathLike[str]
) -> str:
    number = len(line_of) + 1
    words = line[1:].split(maxsplit=1)
    if not words:
        raise InputError(
            f"record {number} has no name",
            where=f"{path}:{line_number}",
            remedy="write a name after its '>'",
        )
    name = words[0]
    if name in line_of:
        first = list(line_of).index(name) + 1
        raise InputError(
            f"the name {name!r} stands twice: record {first} (line {line_of[name]}) and record {number} "
            f"(line {line_number})",
            where=str(path),
            remedy="give every record its own first word",
        )
    return name


def codes_of_letters(letters: bytes, *, where: str, first: int = 0, rna: bool = False) -> NDArray[np.uint8]:
    """Return the codes of ``letters``, shape (position,) uint8: 0-3 for A C G T, 4 for other IUPAC letters.

    Parameters
    ----------
    letters
        Letters in either case, without white space.
    where
        File and record, for the error.
    first
        The 0-based position of the first of ``letters`` in its record.
    rna
        Read U as T; a record may hold both.

    Raises
    ------
    InputError
        For a letter that is no DNA letter, with its position in the record counted from 1.
    """
    codes = encode_letters(letters, rna=rna)
    wrong = codes == _NO_CODE
    if wrong.any():
        position = int(wrong.argmax())
        letter = bytes([letters[position]]).decode("latin-1")
        raise InputError(
            f"the letter {letter!r} at position {first + position + 1} (counted from 1) is no DNA letter",
            where=where,
            remedy=_remedy_for_letter(letter),
        )
    return codes


def _remedy_for_letter(letter: str) -> str:
    if letter in "Uu":
        return "this looks like RNA: set model.alphabet (--alphabet) to that of the model, such as ACGU"
    if letter in "-.":
        return "this looks like an alignment: take the gaps out"
    return "use A C G T, or N for an unknown base"


def count_replaced_letters(letters: bytes, codes: NDArray[np.uint8]) -> Counter[str]:
    """Count the IUPAC letters other than N that became N in ``codes`` (position,), by upper-case letter."""
    replaced = np.frombuffer(letters, dtype=np.uint8)[codes == N_CODE].tobytes().upper()
    counts = Counter(replaced.decode("ascii"))
    del counts["N"]
    return counts
