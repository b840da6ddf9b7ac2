"""The known motifs most similar to a matrix (Tomtom), and the names that motifs get from them.

The one place that calls memelite.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genolift.motifs.discovery import trim
from genolift.motifs.known import Database, KnownMotif, Matrix, frequencies
from genolift.motifs.numba_code import at_most, kept_by_numba

_SEQLET_ENDS = 0.3  # of the largest contribution; measured, see `seqlet_ppm`
_LOG = logging.getLogger("genolift")
_FEW_TARGETS = 25  # memelite's own limit; MEME's Tomtom warns below 50
_QUERIES_AT_A_TIME = 500  # a result of 500 x 1,019 targets x 5 float64 is 20 MB


@dataclass(frozen=True)
class Match:
    """A known motif similar to a matrix: Tomtom's ``pvalue``, Benjamini and Hochberg's ``qvalue`` over the
    database, and the ``strand`` of the known motif (``+`` or ``-``) that matches the matrix.
    """

    accession: str
    name: str
    pvalue: float
    qvalue: float
    strand: str


def tell_rough(database: Database) -> None:
    """Warn of a database that is too small for exact p-values."""
    if len(database.motifs) < _FEW_TARGETS:
        _LOG.warning(
            "%s has only %d motifs: Tomtom's p-values are rough, since they are estimated from the database",
            *(database.source, len(database.motifs)),
        )


def closest_motifs(
    ppms: Sequence[Matrix], database: Database, *, n: int, threads: int = 1
) -> list[tuple[Match, ...]]:
    """Return for each PPM, (base, position), the ``n`` known motifs with the smallest Tomtom p-values.

    Both strands of the known motifs are compared (Gupta et al. 2007; memelite's complete score). Ties
    are in the database's order.
    """
    from scipy.stats import false_discovery_control  # here, since it takes most of a second

    if not ppms:
        return []
    found = []
    for pvalues, strands in _tomtom(ppms, database, threads):
        qvalues = false_discovery_control(pvalues)  # Benjamini and Hochberg 1995
        best = np.argsort(pvalues, kind="stable")[:n]
        found.append(tuple(_match(database.motifs[at], pvalues[at], qvalues[at], strands[at]) for at in best))
    return found


def _match(motif: KnownMotif, pvalue: float, qvalue: float, reverse: bool) -> Match:
    return Match(motif.accession, motif.name, float(pvalue), float(qvalue), "-" if reverse else "+")


def motif_name(own: str, matches: Sequence[Match], most: float) -> str:
    """Return a motif's name in every file and picture.

    It is the name of its best match, the first, if its q-value is at most ``most``; else the motif's ``own``
    name, TF-MoDISco's ``pos_patterns.pattern_0``.
    """
    return matches[0].name if matches and matches[0].qvalue <= most else own


def closest_motif_of_seqlets(
    seqlets: Sequence[tuple[Matrix, Matrix]], database: Database, *, threads: int = 1
) -> list[Match]:
    """Return for each seqlet the known motif with the smallest Tomtom p-value for its `seqlet_ppm`.

    A seqlet is given as its one-hot sequence and contributions, both (base, position). q-values are over the
    database.
    """
    ppms = [seqlet_ppm(onehot, contributions) for onehot, contributions in seqlets]
    return [matches[0] for matches in closest_motifs(ppms, database, n=1, threads=threads)]


def seqlet_ppm(onehot: Matrix, contributions: Matrix) -> Matrix:
    """Return a PPM, (base, position), for one seqlet: its letters, more certain where they contribute more.

    A base gets at least half of its position's probability, and more the larger its absolute contribution;
    the rest is spread over all four. Ends below 0.3 of the largest contribution are trimmed. Measured with
    JASPAR vertebrates on the 25 strongest seqlets of CTCF sites, and on random letters with their
    contributions: 20 are named CTCF or CTCFL, but only 1.5 % of the random ones, whose p-values are close to
    uniform. Letters alone give 13. Weights down to 0, or untrimmed ends, give 25 CTCF but also 90 % of the
    random ones: uniform columns resemble CTCF's longest matrices.
    """
    sizes = np.abs(contributions).sum(0)
    inside = slice(*trim(contributions, _SEQLET_ENDS))
    share = 0.5 + 0.5 * sizes[inside] / max(float(sizes.max()), float(np.finfo(float).tiny))
    return frequencies(share * onehot[:, inside] + (1 - share) / 4)


def _tomtom(
    ppms: Sequence[Matrix], database: Database, threads: int
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """Yield for each PPM every known motif's p-value, and whether its reverse complement matches."""
    from memelite import tomtom

    targets = [np.ascontiguousarray(motif.ppm, np.float64) for motif in database.motifs]
    for start in range(0, len(ppms), _QUERIES_AT_A_TIME):
        queries = [np.asarray(ppm, np.float64) for ppm in ppms[start : start + _QUERIES_AT_A_TIME]]
        with warnings.catch_warnings(), kept_by_numba():
            warnings.filterwarnings("ignore", message="tomtom was given .* target motifs")
            pvalues, _, _, _, strands = tomtom(queries, targets, n_jobs=at_most(threads))
        yield from zip(np.clip(pvalues, 0.0, 1.0), strands > 0, strict=True)
