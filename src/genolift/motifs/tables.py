"""The tables of motifs and of their seqlets, as the motifs step writes them."""

from collections.abc import Iterable, Mapping, Sequence
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
from genolift.motifs.hits import place_on_genome
from genolift.motifs.known import Database, Matrix
from genolift.motifs.tomtom import Match, closest_motif_of_seqlets

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
    "contribution:float64 match1 match1_name match1_pvalue:float64",
    _DIGITS,
)
MATRICES = Table(
    "motif_matrices.tsv",
    "motifs",
    "motif kind position:int64 " + " ".join(f"{base}:float64" for base in BASES),
    _DIGITS,
)


@dataclass(frozen=True)
class Scores:
    """The analysed windows: ``onehot`` int8 and ``hypothetical`` float32, (sequence, base, position), of the
    positions of each sequence from ``offset`` on; ``places``, the sequences' rows of ``sequences.tsv``;
    ``made_from``, the digests of both files.
    """

    onehot: NDArray[np.int8]
    hypothetical: NDArray[np.float32]
    offset: int
    places: pd.DataFrame
    made_from: Mapping[str, str]


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


def motif_table(motifs: Sequence[NamedMotif], hits: pd.DataFrame, matches: int) -> pd.DataFrame:
    """Return ``motifs.tsv`` with so many matches; those beyond the size of the database are empty."""
    columns = list(motifs_table(matches).columns)
    counts = hits["motif"].value_counts()
    rows = []
    for number, each in enumerate(motifs):
        motif, n_hits = each.motif, int(counts.get(number, 0))
        row: list[Any] = [motif.name, each.name, motif.name[:3], len(motif.seqlets), n_hits, *motif.trim]
        row.append(consensus(motif.trimmed("ppm")))
        for match in each.matches:
            row += [match.accession, match.name, match.qvalue, match.pvalue, match.strand]
        rows.append(row + [""] * (len(columns) - len(row)))
    return pd.DataFrame(rows, columns=columns)


def seqlet_table(found: Discovered, scores: Scores, known: Database, threads: int) -> pd.DataFrame:
    """Return ``seqlets.tsv``: each motif's seqlets as TF-MoDISco trimmed and oriented them, then the others
    as first placed, with the most similar known motif; strongest first within each part.

    A seqlet's strand is that of its motif, on the genome if there is one; ``.`` without a motif. Its
    contribution is the sum over its bases.
    """
    rows: list[dict[str, Any]] = []
    for motif in found.motifs:
        rows += _strongest_first(_seqlet_row(seqlet, motif.name) for seqlet in motif.seqlets)
    loose = _strongest_first(_seqlet_row(seqlet, "") for seqlet in _loose_seqlets(found))
    pieces = [(row["example"], np.s_[:, row["start"] : row["end"]]) for row in loose]
    onehot = [scores.onehot[example][part] for example, part in pieces]
    values = [scores.hypothetical[example][part] for example, part in pieces]
    seqlets = [(one, one * value) for one, value in zip(onehot, values, strict=True)]
    matches = closest_motif_of_seqlets(seqlets, known, threads=threads)
    for row, match in zip(loose, matches, strict=True):
        row |= {"match1": match.accession, "match1_name": match.name, "match1_pvalue": match.pvalue}
    frame = pd.DataFrame(rows + loose, columns=["example", *SEQLETS.columns])
    if frame.empty:
        return frame[list(SEQLETS.columns)]
    example = frame["example"].to_numpy(np.int64)
    frame[["start", "end"]] += scores.offset
    start, end = frame["start"].to_numpy(np.int64), frame["end"].to_numpy(np.int64)
    placed = place_on_genome(example, start, end, frame["strand"].to_numpy(str), scores.places)
    frame[placed.columns] = placed
    frame[["key", "id"]] = scores.places.loc[example, ["key", "id"]].to_numpy()
    return frame[list(SEQLETS.columns)]


def _seqlet_row(seqlet: Any, motif: str) -> dict[str, Any]:
    return {
        "motif": motif,
        "example": seqlet.example_idx,
        "start": seqlet.start,
        "end": seqlet.end,
        "strand": ("-" if seqlet.is_revcomp else "+") if motif else ".",
        "contribution": float(np.sum(seqlet.contrib_scores, dtype=np.float64)),
    }


def _strongest_first(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (-abs(row["contribution"]), row["example"], row["start"]))


def _loose_seqlets(found: Discovered) -> list[Any]:
    """Return the seqlets whose middle is in no motif's seqlet: TF-MoDISco shifts those that it uses."""
    taken: dict[int, list[tuple[int, int]]] = {}
    for motif in found.motifs:
        for seqlet in motif.seqlets:
            taken.setdefault(seqlet.example_idx, []).append((seqlet.start, seqlet.end))
    return [
        seqlet
        for seqlets in found.seqlets.values()
        for seqlet in seqlets
        if not any(
            start <= (seqlet.start + seqlet.end) // 2 < end
            for start, end in taken.get(seqlet.example_idx, ())
        )
    ]
