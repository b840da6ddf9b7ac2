"""The tables of motifs and of their seqlets, as the motifs step writes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genolift.data.alphabet import BASES
from genolift.errors import Refusal, refused_as
from genolift.files.tables import Table
from genolift.files.whole import existing_file
from genolift.motifs.discovery import Discovered, Motif
from genolift.motifs.known import Database, Matrix
from genolift.motifs.method import Method
from genolift.motifs.seqlet_rows import Letters, SeqletRows
from genolift.motifs.tomtom import Match, closest_motif_of_seqlets
from genolift.motifs.windows import Windows

_MATRIX_KINDS = ("ppm", "cwm", "hcwm")
_DIGITS = "%.6g"
_MOTIF = "motif name sign n_seqlets:int64 n_hits:int64 trim_start:int64 trim_end:int64 consensus"
_MATCH = "{0} {0}_name {0}_qvalue:float64 {0}_pvalue:float64 {0}_strand"


def match_columns(matches: int) -> tuple[str, ...]:
    """Return the columns of ``motifs.tsv`` with the known motifs most similar to a motif, best first."""
    return tuple(f"match{rank}" for rank in range(1, matches + 1))


def motifs_table(matches: int) -> Table:
    """Return the layout of ``motifs.tsv`` with so many known motifs for each motif."""
    layout = " ".join([_MOTIF, *map(_MATCH.format, match_columns(matches))])
    return Table("motifs.tsv", "motifs", layout, _DIGITS)


MOTIFS = motifs_table(1)
"""What every ``motifs.tsv`` has."""


def read_motifs(path: Path) -> pd.DataFrame:
    """Return ``motifs.tsv`` with the matches that it has; errors as in `genolift.files.tables.read_table`."""
    with refused_as(Refusal("cannot be read as a table", path, "run genolift motifs again"), (ValueError,)):
        columns = set(existing_file(path).open(encoding="utf-8").readline().rstrip("\n").split("\t"))
    matches = 1
    while f"match{matches + 1}" in columns:
        matches += 1
    return motifs_table(matches).read(path)


SEQLETS = Table(
    "seqlets.tsv",
    "motifs",
    "motif key:int64 id start:int64 end:int64 chrom genome_start:Int64 genome_end:Int64 strand "
    "contribution:float64 windows:int64 site:int64 match1 match1_name match1_pvalue:float64",
    _DIGITS,
)
SEQLETS_BY_WINDOW = Table(
    "seqlets_by_window.tsv",
    "motifs",
    "site:int64 motif key:int64 id start:int64 end:int64 chrom genome_start:Int64 genome_end:Int64 "
    "core_contribution:float64",
    _DIGITS,
)
MATRICES = Table(
    "motif_matrices.tsv",
    "motifs",
    "motif kind position:int64 " + " ".join(f"{base}:float64" for base in BASES),
    _DIGITS,
)


def consensus(ppm: Matrix) -> str:
    """Return the most frequent base at each position of a PPM, (base, position); lower case below 1/2."""
    letters = (BASES[at] for at in ppm.argmax(0))
    return "".join(
        base if share >= 0.5 else base.lower() for base, share in zip(letters, ppm.max(0), strict=True)
    )


@dataclass(frozen=True)
class NamedMotif:
    """A motif, its ``name`` in every file and picture, and the known motifs most like it, best first."""

    motif: Motif
    name: str
    matches: tuple[Match, ...]

    def as_meme(self, kind: str) -> tuple[str, str, Matrix, int]:
        """Return its trimmed ``ppm`` or ``cwm`` for `write_meme`, with its name as the alternate name."""
        alternate = "" if self.name == self.motif.name else self.name
        return self.motif.name, alternate, self.motif.trimmed(kind), len(self.motif.seqlets)


def matrix_table(motifs: Sequence[NamedMotif]) -> pd.DataFrame:
    """Return ``motif_matrices.tsv``: the untrimmed matrices of every motif."""
    rows = [
        (each.motif.name, kind, position, *column)
        for each in motifs
        for kind in _MATRIX_KINDS
        for position, column in enumerate(each.motif.matrices[kind].T)
    ]
    return pd.DataFrame(rows, columns=list(MATRICES.columns))


def motif_table(motifs: Sequence[NamedMotif], hits: NDArray[np.int64], matches: int) -> pd.DataFrame:
    """Return ``motifs.tsv`` with the number of ``hits`` of each motif and so many matches; those beyond the
    size of the database are empty.
    """
    columns = list(motifs_table(matches).columns)
    rows = []
    for number, each in enumerate(motifs):
        motif, n_hits = each.motif, int(hits[number])
        row: list[Any] = [motif.name, each.name, motif.name[:3], len(motif.seqlets), n_hits, *motif.trim]
        row.append(consensus(motif.trimmed("ppm")))
        for match in each.matches:
            row += [match.accession, match.name, match.qvalue, match.pvalue, match.strand]
        rows.append(row + [""] * (len(columns) - len(row)))
    return pd.DataFrame(rows, columns=columns)


def seqlet_table(
    rows: SeqletRows, found: Discovered, windows: Windows, known: Database, threads: int
) -> pd.DataFrame:
    """Return ``seqlets.tsv``: each motif's seqlets, then the others with the most similar known motif.

    A seqlet's strand is that of its motif, on the genome if there is one; ``.`` without a motif.
    """
    letters = Letters(found.used)
    matches = closest_motif_of_seqlets([letters.of(row) for row in rows.loose], known, threads=threads)
    loose = [
        {**row, "match1": match.accession, "match1_name": match.name, "match1_pvalue": match.pvalue}
        for row, match in zip(rows.loose, matches, strict=True)
    ]
    frame = pd.DataFrame(rows.of_motifs + loose, columns=["row", *SEQLETS.columns])
    return frame if frame.empty else _with_places(frame, windows)


def seqlets_by_window(rows: SeqletRows, windows: Windows, method: Method) -> pd.DataFrame:
    """Return ``seqlets_by_window.tsv``: the seqlets of every window at the sites of ``seqlets.tsv``, as first
    placed, by site and key.
    """
    motif_of = {row["site"]: row["motif"] for row in [*rows.of_motifs, *rows.loose]}
    shown = rows.shown
    frame = pd.DataFrame({name: shown[name] for name in ("row", "start", "site")}).astype(np.int64)
    frame = frame.assign(
        end=frame["start"] + method.seqlet_width,
        strand=".",
        core_contribution=shown["score"].astype(np.float64),
        motif=frame["site"].map(motif_of),
    )
    return _with_places(frame, windows).sort_values(["site", "key", "start"])


def _with_places(frame: pd.DataFrame, windows: Windows) -> pd.DataFrame:
    """Return a table of stretches of windows, ``row``, ``start``, ``end`` and ``strand``, with their places.

    ``start`` and ``end`` become positions in the sequence.
    """
    row = frame["row"].to_numpy(np.int64)
    start, end = frame["start"].to_numpy(np.int64), frame["end"].to_numpy(np.int64)
    located = windows.located(row, start, end, frame["strand"].to_numpy(str))
    genome = {f"genome_{name}": located[name].astype("Int64") for name in ("start", "end")}
    return frame.assign(
        key=windows.store.key[row],
        id=windows.names(row),
        start=start + windows.offset,
        end=end + windows.offset,
        chrom=located["chrom"] if windows.on_genome else "",
        strand=located["strand"],
        **(genome if windows.on_genome else dict.fromkeys(genome, pd.NA)),
    )
