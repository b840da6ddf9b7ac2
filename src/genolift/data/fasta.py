"""Records of a FASTA file, plain, gzip or BGZF."""

import os
import re
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genolift.data.alphabet import N_CODE, encode_letters
from genolift.data.texts import Names
from genolift.errors import InputError
from genolift.files.text import read_lines, too_large
from genolift.host_memory import available_memory

_WHITESPACE = b" \t\r\n\v\f"
_NO_CODE = 255
_COPIES_OF_A_RECORD = 3  # its letters while growing, as passed on, and their codes
_KEPT_PER_RECORD = 300  # bytes: its name and the caller's notes


@dataclass(frozen=True)
class FastaRecord:
    """One record: ``number`` is 0-based in the file, ``line`` the 1-based line of its header, ``name`` the
    header's first word, ``letters`` the sequence as in the file, without white space.
    """

    number: int
    line: int
    name: str
    letters: bytes


def read_fasta(path: str | os.PathLike[str], *, kept_per_base: int = 0) -> Iterator[FastaRecord]:
    """Yield the records of a FASTA file in order, one in memory at a time.

    Biopython's SimpleFastaParser is not used: it silently skips text before the first record, has no line
    numbers, and keeps a chromosome as a list of lines.

    Parameters
    ----------
    path
        Plain, gzip or BGZF.
    kept_per_base
        Bytes that the caller keeps per letter of all the records that it has received.

    Raises
    ------
    InputError
        As in `read_lines`; and for a file without records, text before the first ``>``, a header without
        a name, a duplicate name, or kept records that do not fit into memory.
    """
    room = available_memory()
    n_before = 0  # letters of the records before this one
    headers = _Headers(path)
    name: str | None = None
    letters = bytearray()
    for line_number, line in enumerate(read_lines(path), start=1):
        if line.startswith(">"):
            if name is not None:
                yield headers.record(name, letters)
                n_before += len(letters)
            name = headers.name(line, line_number)
            letters = bytearray()
        elif name is not None:
            letters += line.encode("latin-1", "replace").translate(None, _WHITESPACE)
            kept = _COPIES_OF_A_RECORD * len(letters) + kept_per_base * (n_before + len(letters))
            if kept + _KEPT_PER_RECORD * headers.number > room:
                raise too_large(str(path), room)
        elif line.strip():
            raise InputError(
                f"text before the first record: {line.strip()[:30]!r}",
                where=f"{path}:{line_number}",
                remedy=_remedy_for_text(line),
            )
    if name is None:
        raise InputError("holds no FASTA record (it is empty)", where=str(path), remedy="check the path")
    yield headers.record(name, letters)


def read_codes(
    path: str | os.PathLike[str], replaced: Counter[str], *, rna: bool = False, kept_per_base: int = 0
) -> Iterator[tuple[FastaRecord, NDArray[np.uint8], str]]:
    """Yield the records of a FASTA file with their codes (position,), and their places for messages.

    Letters that are read as N are counted in ``replaced``; the rest is as in `read_fasta` and
    `codes_of_letters`.
    """
    for record in read_fasta(path, kept_per_base=kept_per_base):
        where = f"{path}, record {record.number + 1} {record.name!r} (line {record.line})"
        codes = codes_of_letters(record.letters, where=where, rna=rna)
        replaced.update(count_replaced_letters(record.letters, codes))
        yield record, codes, where


def _remedy_for_text(line: str) -> str:
    """Return what to do about a first line that is not a FASTA header, by what it looks like."""
    if re.match(r"[^\t]+\t[0-9]+\t[0-9]+", line):
        return "this looks like BED: give it as sequences.bed (--bed), with a genome"
    if line.startswith("@"):
        return "this looks like FASTQ: convert it to FASTA, for example with seqtk seq -A"
    if line.startswith(("LOCUS  ", "ID   ")):
        return "this looks like GenBank or EMBL: export it as FASTA"
    return "a FASTA record starts with a line that has '>' and a name"


class _Headers:
    """The headers of a FASTA so far: their names, which differ, and their lines."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path, self._names, self._lines = path, Names(), array("q")

    @property
    def number(self) -> int:
        """How many there are."""
        return len(self._lines)

    def name(self, line: str, line_number: int) -> str:
        """Return the name in the next header, or raise `InputError` if it has none or one that was there."""
        number = self.number + 1
        words = line[1:].split(maxsplit=1)
        if not words:
            raise InputError(
                f"record {number} has no name",
                where=f"{self._path}:{line_number}",
                remedy="write a name after its '>'",
            )
        first = self._names.add(words[0])
        if first is not None:
            raise InputError(
                f"the name {words[0]!r} occurs twice: record {first + 1} (line {self._lines[first]}) and "
                f"record {number} (line {line_number})",
                where=str(self._path),
                remedy="give every record its own first word",
            )
        self._lines.append(line_number)
        return words[0]

    def record(self, name: str, letters: bytearray) -> FastaRecord:
        """Return the record of the last header."""
        return FastaRecord(self.number - 1, self._lines[-1], name, bytes(letters))


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
        For a letter that is not a DNA letter, with its position in the record counted from 1.
    """
    codes = encode_letters(letters, rna=rna)
    wrong = codes == _NO_CODE
    if wrong.any():
        position = int(wrong.argmax())
        letter = bytes([letters[position]]).decode("latin-1")
        raise InputError(
            f"the letter {letter!r} at position {first + position + 1} (counted from 1) is not a DNA letter",
            where=where,
            remedy=_remedy_for_letter(letter),
        )
    return codes


def _remedy_for_letter(letter: str) -> str:
    if letter in "Uu":
        return "this looks like RNA: set model.alphabet (--alphabet) to that of the model, such as ACGU"
    if letter in "-.":
        return "this looks like an alignment: remove the gaps"
    return "use A C G T, or N for an unknown base"


def count_replaced_letters(letters: bytes, codes: NDArray[np.uint8]) -> Counter[str]:
    """Count the IUPAC letters other than N that became N in ``codes`` (position,), by upper-case letter."""
    unknown = codes == N_CODE
    if not unknown.any():
        return Counter()
    replaced = np.frombuffer(letters, dtype=np.uint8)[unknown].tobytes().upper()
    counts = Counter(replaced.decode("ascii"))
    del counts["N"]
    return counts
