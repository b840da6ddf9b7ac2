"""Databases of known motifs, and which of them a matrix is like (Tomtom). Knows nothing of contributions.

The one place that reads JASPAR (through pyjaspar), MEME files, and calls memelite.
"""

from __future__ import annotations

import difflib
import logging
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genolift.errors import InputError
from genolift.text_files import read_lines

_LOG = logging.getLogger("genolift")
_PREFIX = "jaspar:"
_FEW_TARGETS = 25  # memelite's own limit; MEME's Tomtom warns below 50
_QUERIES_AT_A_TIME = 500  # a result of 500 x 1,019 targets x 5 float64 is 20 MB

Matrix = NDArray[np.floating]
"""A motif's matrix, (base, position), bases A C G T."""


@dataclass(frozen=True)
class KnownMotif:
    """A motif of a database: ``accession``, factor's ``name`` and ``ppm``, float64 (base, position)."""

    accession: str
    name: str
    ppm: Matrix


@dataclass(frozen=True)
class Database:
    """Known motifs, in the order of their source, and where they are from in words."""

    source: str
    motifs: tuple[KnownMotif, ...]


@dataclass(frozen=True)
class Match:
    """A known motif that a matrix is like: Tomtom's ``pvalue``, Benjamini and Hochberg's ``qvalue`` over the
    database, and the ``strand`` of the known motif (``+`` or ``-``) that lies along the matrix.
    """

    accession: str
    name: str
    pvalue: float
    qvalue: float
    strand: str


def read_database(name: str) -> Database:
    """Return the motifs of ``jaspar:GROUP``, a taxonomic group of JASPAR CORE, or of a MEME file.

    Raises
    ------
    InputError
        If there is no such group or file, or the file is no MEME file of DNA motifs.
    """
    if name.lower().split(":")[0] == _PREFIX[:-1]:
        return read_jaspar(name.partition(":")[2].lower())
    return read_meme(Path(name))


def read_jaspar(group: str) -> Database:
    """Return the latest version of every motif of JASPAR CORE in a taxonomic group, by accession.

    The newest release that the installed pyjaspar holds is read; nothing is downloaded.

    Raises
    ------
    InputError
        If JASPAR has no such group; the message names those it has.
    """
    from pyjaspar import jaspardb

    jaspar = jaspardb()
    # Two queries take 0.6 s for vertebrates; jaspardb.fetch_motifs asks a dozen for each motif: 3 s.
    try:
        motifs = jaspar.conn.execute(_JASPAR_MOTIFS, (group,)).fetchall()
        counts: dict[int, dict[str, list[float]]] = {}
        for motif, base, value in jaspar.conn.execute(_JASPAR_MATRICES, (group,)):
            counts.setdefault(motif, {letter: [] for letter in "ACGT"})[base].append(float(value))
        groups = [row[0] for row in jaspar.conn.execute(_JASPAR_GROUPS)]
    finally:
        jaspar.conn.close()
    if not motifs:
        near = difflib.get_close_matches(group, groups, n=1)
        meant = f"did you mean {_PREFIX}{near[0]}? " if near else ""
        raise InputError(
            f"JASPAR has no taxonomic group {group!r}",
            where=f"motif database {_PREFIX}{group}",
            remedy=f"{meant}its groups are {', '.join(groups)}",
        )
    return Database(
        f"{jaspar.release} CORE {group}",
        tuple(
            KnownMotif(accession, name, _frequencies(np.array([counts[motif][base] for base in "ACGT"])))
            for motif, accession, name in motifs
        ),
    )


_JASPAR_CORE = """from MATRIX m join MATRIX_ANNOTATION a on a.ID = m.ID
where m.COLLECTION = 'CORE' and a.TAG = 'tax_group' and a.VAL = ? and not exists
(select 1 from MATRIX later where later.BASE_ID = m.BASE_ID and later.VERSION > m.VERSION)"""
_JASPAR_MOTIFS = (
    f"select distinct m.ID, m.BASE_ID || '.' || m.VERSION, m.NAME {_JASPAR_CORE} order by m.BASE_ID"
)
_JASPAR_MATRICES = f"""select ID, row, val from MATRIX_DATA where ID in (select m.ID {_JASPAR_CORE})
order by ID, row, col"""
_JASPAR_GROUPS = """select distinct a.VAL from MATRIX m join MATRIX_ANNOTATION a on a.ID = m.ID
where m.COLLECTION = 'CORE' and a.TAG = 'tax_group' order by a.VAL"""


def _frequencies(counts: Matrix) -> Matrix:
    """Return columns that sum to 1; a column of zeros becomes 1/4 each."""
    sums = counts.sum(0, keepdims=True)
    return np.where(sums > 0, counts / np.where(sums > 0, sums, 1.0), 0.25)


def read_meme(path: Path) -> Database:
    """Return the motifs of a file in MEME's minimal motif format, in its order.

    The format is https://meme-suite.org/meme/doc/meme-format.html. Only the letter-probability matrices are
    read; a motif without an alternate name is called by its identifier.

    Raises
    ------
    InputError
        If the file is not in that format, not of DNA, or has no motif; the message names the line.
    """
    lines = [line.rstrip("\n") for line in read_lines(path, where="motif database", kept_per_line=500)]
    head = next((line for line in lines if line.strip()), "")
    if not head.upper().startswith("MEME VERSION"):
        raise InputError(
            "is no MEME file: its first line is not 'MEME version ...'",
            where=f"{path}, line 1",
            remedy="give a file in MEME's motif format, or jaspar:vertebrates",
        )
    motifs = tuple(_meme_motifs(lines, path))
    if not motifs:
        raise InputError("holds no motif", where=str(path), remedy="give a MEME file with motifs")
    return Database(str(path), motifs)


def _meme_motifs(lines: Sequence[str], path: Path) -> Iterator[KnownMotif]:
    """Yield the motifs of a MEME file's lines; rows of a matrix end at the first line that is none."""
    name: list[str] = []
    at = 0
    while at < len(lines):
        words = lines[at].split()
        if words and words[0].startswith("ALPHABET"):
            _check_alphabet(lines[at], path, at)
        elif words and words[0] == "MOTIF":
            if name:
                raise _meme_error(f"motif {name[0]} has no letter-probability matrix", path, at)
            name = words[1:3]
            if not name:
                raise _meme_error("a MOTIF line without a name", path, at)
        elif words and words[0] == "letter-probability":
            if not name:
                raise _meme_error("a matrix before the first MOTIF line", path, at)
            rows = _meme_rows(lines, at, path)
            yield KnownMotif(name[0], name[-1], _frequencies(np.array(rows).T))
            at += len(rows)
            name = []
        at += 1
    if name:
        raise _meme_error(f"motif {name[0]} has no letter-probability matrix", path, at - 1)


def _check_alphabet(line: str, path: Path, at: int) -> None:
    alphabet = line.partition("=")[2].strip() if "=" in line else line.split()[-1].strip('"')
    if alphabet.upper() not in ("ACGT", "DNA"):
        raise _meme_error(f"the alphabet is {alphabet!r}, not ACGT", path, at)


def _meme_rows(lines: Sequence[str], at: int, path: Path) -> list[list[float]]:
    """Return the rows of the matrix whose heading is line ``at``, counted from 0."""
    width = re.search(r"\bw=\s*(\d+)", lines[at])
    promised = int(width.group(1)) if width else None
    rows: list[list[float]] = []
    for number, line in enumerate(lines[at + 1 :], start=at + 1):
        if len(rows) == promised or not re.match(r"\s*[-+.\d]", line):
            break
        try:
            row = [float(word) for word in line.split()]
        except ValueError:
            raise _meme_error(f"not a row of numbers: {line.strip()!r}", path, number) from None
        if len(row) != 4:
            raise _meme_error(f"a row of {len(row)} numbers, where a DNA motif has 4", path, number)
        if min(row) < 0 or not abs(sum(row) - 1) < 0.05:
            raise _meme_error(f"no probabilities that sum to 1: {line.strip()!r}", path, number)
        rows.append(row)
    if not rows or (promised is not None and len(rows) != promised):
        raise _meme_error(f"the matrix has {len(rows)} rows, not w= {promised or 'at least 1'}", path, at)
    return rows


def _meme_error(what: str, path: Path, at: int) -> InputError:
    return InputError(
        what, where=f"{path}, line {at + 1}", remedy="correct the file, or give jaspar:vertebrates"
    )


def write_meme(path: Path, motifs: Iterable[tuple[str, str, Matrix, int]]) -> None:
    """Write motifs, each ``(name, alternate name, matrix (base, position), number of sites)``, as MEME.

    A CWM may be given as a matrix too, as ``modisco meme -t CWM`` writes it; it then holds no probabilities.
    """
    lines = ["MEME version 4", "", "ALPHABET= ACGT", "", "strands: + -", ""]
    lines += ["Background letter frequencies", "A 0.25 C 0.25 G 0.25 T 0.25", ""]
    for name, alternate, matrix, n_sites in motifs:
        lines.append(f"MOTIF {name} {alternate}".rstrip())
        lines.append(f"letter-probability matrix: alength= 4 w= {matrix.shape[1]} nsites= {n_sites} E= 0")
        lines += [" ".join(f"{value:.6f}" for value in column) for column in matrix.T]
        lines.append("")
    path.write_text("\n".join(lines), "utf-8")


def closest_motifs(
    ppms: Sequence[Matrix], database: Database, *, n: int, threads: int = 1
) -> list[tuple[Match, ...]]:
    """Return for each PPM, (base, position), the ``n`` known motifs with the smallest p-values by Tomtom.

    Both strands of the known motifs are compared (Gupta et al. 2007; memelite's complete score). Equal
    p-values stand in the database's order.
    """
    if not ppms:
        return []
    if len(database.motifs) < _FEW_TARGETS:
        _LOG.warning(
            "%s has only %d motifs: Tomtom's p-values are rough, since they are estimated from the database",
            database.source,
            len(database.motifs),
        )
    found = []
    for pvalues, strands in _tomtom(ppms, database, threads):
        qvalues = benjamini_hochberg(pvalues)
        found.append(
            tuple(
                Match(
                    database.motifs[at].accession,
                    database.motifs[at].name,
                    float(pvalues[at]),
                    float(qvalues[at]),
                    "-" if strands[at] else "+",
                )
                for at in np.argsort(pvalues, kind="stable")[:n]
            )
        )
    return found


def closest_motif_of_seqlets(
    seqlets: Sequence[tuple[Matrix, Matrix]], database: Database, *, threads: int = 1
) -> list[Match]:
    """Return the known motif with the smallest p-value by Tomtom for each seqlet, as of `seqlet_ppm`.

    A seqlet is its one-hot sequence and its contributions, both (base, position). Its q-value is over the
    database.
    """
    ppms = [seqlet_ppm(onehot, contributions) for onehot, contributions in seqlets]
    return [matches[0] for matches in closest_motifs(ppms, database, n=1, threads=threads)]


def seqlet_ppm(onehot: Matrix, contributions: Matrix) -> Matrix:
    """Return a PPM, (base, position), for one seqlet: its letters, firmer where they contribute.

    A base has at least half of its position, and the more the larger its absolute contribution; the rest is
    spread over all four. The ends below 0.3 of the largest contribution are cut off. Measured with JASPAR
    vertebrates on the 25 strongest seqlets of CTCF sites, and on random letters with their contributions: 20
    are called CTCF or CTCFL, of random ones 1.5 %, and for these the p-values are close to uniform. Letters
    alone give 13. Weights down to 0, or the ends left on, call 25 CTCF, but 90 % of the random ones too: even
    columns are like CTCF's longest matrices.
    """
    sizes = np.abs(contributions).sum(0)
    kept = np.flatnonzero(sizes >= 0.3 * sizes.max())
    inside = slice(int(kept[0]), int(kept[-1]) + 1)
    share = 0.5 + 0.5 * sizes[inside] / max(float(sizes.max()), float(np.finfo(float).tiny))
    return _frequencies(share * onehot[:, inside] + (1 - share) / 4)


def _tomtom(
    ppms: Sequence[Matrix], database: Database, threads: int
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """Yield for each PPM the p-value of every known motif, and whether it is its reverse complement's."""
    from memelite import tomtom

    targets = [np.ascontiguousarray(motif.ppm, np.float64) for motif in database.motifs]
    for start in range(0, len(ppms), _QUERIES_AT_A_TIME):
        queries = [np.asarray(ppm, np.float64) for ppm in ppms[start : start + _QUERIES_AT_A_TIME]]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="tomtom was given .* target motifs")
            pvalues, _, _, _, strands = tomtom(queries, targets, n_jobs=threads)
        yield from zip(np.clip(pvalues, 0.0, 1.0), strands > 0, strict=True)


def benjamini_hochberg(pvalues: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the q-values of ``pvalues``, shape (motif,) (Benjamini and Hochberg 1995)."""
    order = np.argsort(-pvalues, kind="stable")
    ranks = np.arange(len(pvalues), 0, -1)
    qvalues = np.empty_like(pvalues)
    qvalues[order] = np.minimum(1.0, np.minimum.accumulate(pvalues[order] * len(pvalues) / ranks))
    return qvalues
