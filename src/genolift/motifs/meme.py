"""MEME's motif format: reads what the MEME Suite's programs write, and writes motifs."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genolift.errors import InputError
from genolift.files.text import read_lines
from genolift.motifs.known import Database, KnownMotif, Matrix, frequencies

_VERSION = re.compile(r"\s*MEME\s+version\s+\d", re.IGNORECASE)
_ALPHABET = re.compile(r"\s*ALPHABET\b(?P<list>\s*=)?(?P<rest>.*)")
_END_OF_ALPHABET = re.compile(r"\s*END\s+ALPHABET\b")
# MEME's own heading of a motif continues with its width, without a space before three digits.
_MOTIF = re.compile(r"\s*MOTIF(?:\s+|$|(?=\d+\s+width\s*=))(?P<names>.*?)(?P<own>\s+width\s*=.*)?$")
_MATRIX = re.compile(r"\s*(?P<kind>letter-probability|log-odds)\s+matrix\b:?(?P<fields>.*)")
_FIELD = re.compile(r"(\w+)\s*=\s*(\S*)")
_ROW = re.compile(r"\s*[-+]?\.?\d")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_BASES = ({"A", "C", "G", "T"}, {"A", "C", "G", "U"})
_ROUNDING = 0.05
"""The most by which a row's probabilities may miss a sum of 1, since they are written with few digits."""
_BYTES_OF_A_LINE = 500  # four Python numbers, their list and the line


def read_meme(path: Path, *, where: str = "") -> Database:
    """Return the motifs of a file in MEME's motif format, in its order.

    The format is https://meme-suite.org/meme/doc/meme-format.html, minimal or as written by MEME, STREME and
    DREME. Letter-probability matrices of DNA or RNA (U is read as T) are read, log-odds matrices skipped. A
    motif without an alternate name gets its identifier as its name.

    Parameters
    ----------
    where
        What errors name before the file.

    Raises
    ------
    InputError
        If the file is not in that format, not DNA or RNA, or has no motif; the message names the line.
    """
    lines = [line.rstrip("\n") for line in read_lines(path, where=where, kept_per_line=_BYTES_OF_A_LINE)]
    reader = _Reader(lines, f"{where}: {path}" if where else str(path))
    reader.check_version()
    motifs = tuple(reader.motifs())
    if not motifs:
        raise InputError("holds no motif", where=reader.place, remedy="give a MEME file with motifs")
    return Database(str(path), motifs)


@dataclass(frozen=True)
class _Reader:
    """The lines of a MEME file, and its name in errors. Lines are counted from 0, in messages from 1."""

    lines: Sequence[str]
    place: str

    def check_version(self) -> None:
        """Raise unless the version comes before the first motif, where MEME has its banner and comments."""
        first = 0
        for at, line in enumerate(self.lines):
            if _VERSION.match(line):
                return
            if _MOTIF.match(line) or _MATRIX.match(line):
                first = at
                break
        raise InputError(
            "is not a MEME file: there is no line 'MEME version 4' before its first motif",
            where=f"{self.place}, line {first + 1}",
            remedy="convert it to MEME's motif format (the MEME Suite has jaspar2meme and others), "
            "or give jaspar:vertebrates",
        )

    def motifs(self) -> Iterator[KnownMotif]:
        name: tuple[str, str] | None = None
        at = named_at = 0
        while at < len(self.lines):
            line = self.lines[at]
            if alphabet := _ALPHABET.match(line):
                at = self._alphabet(at, alphabet)
            elif motif := _MOTIF.match(line):
                self._check_matrix_of(name, named_at)
                name, named_at = self._name(at, motif), at
            elif heading := _MATRIX.match(line):
                fields = self._fields(at, heading)
                if heading["kind"] == "log-odds":
                    at += len(self._rows_from(at + 1, None))
                else:
                    if name is None:
                        raise self._error("a matrix before the first MOTIF line", at)
                    rows, at = self._matrix(at, fields)
                    yield KnownMotif(*name, frequencies(np.array(rows).T))
                    name = None
            at += 1
        self._check_matrix_of(name, named_at)

    def _name(self, at: int, motif: re.Match[str]) -> tuple[str, str]:
        """Return the accession and the name in a MOTIF line."""
        words = motif["names"].split()
        if not words:
            raise self._error("a MOTIF line without a name", at)
        identifier, name = words[0], words[min(1, len(words) - 1)]
        if motif["own"] and identifier.isdecimal() and name in ("MEME", identifier):
            name = f"MEME-{identifier}"  # as in MEME 5; older versions only number their motifs
        return identifier, name

    def _check_matrix_of(self, name: tuple[str, str] | None, at: int) -> None:
        if name is not None:
            raise self._error(f"motif {name[0]} has no letter-probability matrix", at)

    def _alphabet(self, at: int, found: re.Match[str]) -> int:
        """Check the alphabet that begins at a line, and return its last line."""
        if found["list"]:  # in the order of the matrices' columns
            letters, end = found["rest"].strip(), at
            known = letters.upper() in ("ACGT", "ACGU")
        else:
            letters, end = self._letters_of_block(at, found["rest"])
            known = {letter.upper() for letter in letters} in _BASES
        if not known:
            raise self._error(f"the alphabet is {letters!r}, not ACGT or ACGU", at)
        return end

    def _letters_of_block(self, at: int, heading: str) -> tuple[str, int]:
        """Return the letters that a block of definitions lists, and its last line.

        A heading without a block names a standard alphabet.
        """
        letters = ""
        for end, line in enumerate(self.lines[at + 1 :], start=at + 1):
            if _END_OF_ALPHABET.match(line):
                return letters, end
            if _MOTIF.match(line):
                break
            definition = _QUOTED.sub("", line).strip()  # A "Adenine" CC0000 ~ T "Thymine" 008000
            if definition and "=" not in definition and not definition.startswith(("#", "*")):
                letters += "".join(part.strip()[:1] for part in definition.split("~"))
        quoted = _QUOTED.search(heading)
        name = quoted[0].strip('"') if quoted else heading.strip()
        return {"DNA": "ACGT", "RNA": "ACGU"}.get(name.upper(), name), at

    def _fields(self, at: int, heading: re.Match[str]) -> dict[str, str]:
        """Return the fields of a matrix's heading, none of which may occur twice."""
        found = _FIELD.findall(heading["fields"])
        fields = dict(found)
        if len(fields) < len(found):
            raise self._error(f"a heading with a repeated field: {heading['fields'].strip()[:80]!r}", at)
        return fields

    def _matrix(self, at: int, fields: dict[str, str]) -> tuple[list[list[float]], int]:
        """Return the rows of the letter-probability matrix below a heading, and its last line."""
        width = self._checked_fields(at, fields)
        lines = self._rows_from(at + 1, width)
        rows = [self._row(number) for number in lines]
        if not rows or (width is not None and len(rows) != width):
            raise self._error(f"the matrix has {len(rows)} rows, not w= {width or 'at least 1'}", at)
        end = lines[-1]
        following = next((n for n in range(end + 1, len(self.lines)) if self.lines[n].strip()), None)
        if following is not None and _ROW.match(self.lines[following]):
            raise self._error(
                f"the matrix has more rows than w= {width}" if width else "a row of numbers after the matrix",
                following,
            )
        return rows, end

    def _checked_fields(self, at: int, fields: dict[str, str]) -> int | None:
        """Return the number of rows that a heading declares; None if it declares none."""
        numbers = {}
        for key in ("alength", "w", "nsites", "E"):
            if key in fields:
                try:
                    numbers[key] = float(fields[key])
                except ValueError:
                    numbers[key] = -1.0
                if not numbers[key] >= 0:
                    raise self._error(f"'{key}= {fields[key]}' is not a number of 0 or more", at)
        if numbers.get("alength", 4) != 4:
            raise self._error(f"alength= {fields['alength']}, where DNA has 4 letters", at)
        if "w" not in numbers:
            return None
        if not fields["w"].isdecimal() or numbers["w"] < 1:
            raise self._error(f"w= {fields['w']} is not a number of positions", at)
        return int(fields["w"])

    def _rows_from(self, at: int, width: int | None) -> list[int]:
        """Return the rows of numbers from a line on: the declared number, or as many as there are."""
        rows: list[int] = []
        for number in range(at, len(self.lines)):
            if len(rows) == width or (rows and width is None and not self.lines[number].strip()):
                break
            if self.lines[number].strip():
                if not _ROW.match(self.lines[number]):
                    break
                rows.append(number)
        return rows

    def _row(self, at: int) -> list[float]:
        line = self.lines[at].strip()
        try:
            row = [float(word) for word in line.split()]
        except ValueError:
            raise self._error(f"not a row of numbers: {line[:80]!r}", at) from None
        if len(row) != 4:
            raise self._error(f"a row of {len(row)} numbers, where a DNA motif has 4", at)
        if not min(row) >= 0:
            raise self._error(f"a probability below 0: {line!r}", at)
        if not abs(sum(row) - 1) < _ROUNDING:
            raise self._error(f"probabilities that add up to {sum(row):.3g}, not 1: {line!r}", at)
        return row

    def _error(self, what: str, at: int) -> InputError:
        remedy = "correct the file, or give jaspar:vertebrates"
        return InputError(what, where=f"{self.place}, line {at + 1}", remedy=remedy)


def write_meme(path: Path, motifs: Iterable[tuple[str, str, Matrix, int]]) -> None:
    """Write motifs, each ``(name, alternate name, matrix (base, position), number of sites)``, as MEME.

    A matrix may also be a CWM, as ``modisco meme -t CWM`` writes it; it then holds no probabilities.
    """
    lines = ["MEME version 4", "", "ALPHABET= ACGT", "", "strands: + -", ""]
    lines += ["Background letter frequencies", "A 0.25 C 0.25 G 0.25 T 0.25", ""]
    for name, alternate, matrix, n_sites in motifs:
        lines.append(f"MOTIF {name} {alternate}".rstrip())
        lines.append(f"letter-probability matrix: alength= 4 w= {matrix.shape[1]} nsites= {n_sites} E= 0")
        lines += [" ".join(f"{value:.6f}" for value in column) for column in matrix.T]
        lines.append("")
    path.write_text("\n".join(lines), "utf-8")
