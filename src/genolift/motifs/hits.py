"""Where motifs occur in sequences (Fi-NeMo), and where that is on the genome.

The one place that calls finemo.
"""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genolift.motifs.method import Method

_LOG = logging.getLogger("genolift")
# Each region is fitted separately; the batch size only decides how many wait for the slowest one.
_REGIONS_AT_A_TIME = 128
HIT_FILE = ["chrom", "start", "end", "name", "score", "strand", "motif", "similarity", "key"]
"""The columns of ``hits.bed.gz``."""
HIT_COLUMNS = ["row", "motif", "start", "end", "strand", "similarity", "coefficient"]


def call_hits(
    cwms: Sequence[NDArray[np.floating]],
    trims: Sequence[tuple[int, int]],
    onehot: NDArray[np.int8],
    hypothetical: NDArray[np.float32],
    method: Method,
) -> pd.DataFrame:
    """Return the occurrences of motifs by Fi-NeMo, on the GPU if there is one.

    A sequence's contributions are fitted as a sparse sum of the motifs' trimmed CWMs in both orientations
    (finemo's ``hitcaller``). A palindromic motif is found on both strands at the same place: if hits of one
    motif on different strands overlap by more than half, only the one with the larger coefficient is kept,
    ``+`` if they are equal.

    Parameters
    ----------
    cwms
        Float, (base, position) each, all of the same width.
    trims
        Each motif's start and end within its CWM, 0-based half-open.
    onehot, hypothetical
        Sequences and hypothetical contributions, (sequence, base, position).
    method
        Its ``hit_lambda`` makes hits few; their contributions have at least the cosine similarity
        ``hit_similarity`` with the CWM, as Fi-NeMo asks for lambda.

    Returns
    -------
    DataFrame
        ``row`` of the sequence and number of the ``motif``, counted from 0; ``start`` and ``end`` of the
        trimmed motif in the sequence, 0-based half-open; ``strand``; ``similarity``, 0 to 1; ``coefficient``,
        in units of the sequence's own contributions. Sorted by row, start, end, motif and strand.
    """
    if not len(cwms) or not len(onehot):
        return pd.DataFrame({name: [] for name in HIT_COLUMNS}).astype({"row": "int64", "motif": "int64"})
    both, masks = _both_orientations(cwms, trims)
    found = _fit(both, masks, onehot, hypothetical, method)
    motif, reverse = np.divmod(found["motif_id"].astype(np.int64), 2)
    # Trimmed bases may not extend beyond an end: the whole CWM is placed within the sequence.
    width = both.shape[2]
    trimmed = np.array(trims, np.int64)[motif]
    left = np.where(reverse == 1, width - trimmed[:, 1], trimmed[:, 0])
    start = found["hit_start"].astype(np.int64) + left
    hits = pd.DataFrame(
        {
            "row": found["peak_id"].astype(np.int64),
            "motif": motif,
            "start": start,
            "end": start + trimmed[:, 1] - trimmed[:, 0],
            "strand": np.where(reverse == 1, "-", "+"),
            "similarity": np.clip(found["hit_similarity"].astype(float), 0.0, 1.0),
            "coefficient": found["hit_coefficient"].astype(float),
        }
    )
    hits = hits.sort_values(["row", "start", "end", "motif", "strand"], ignore_index=True)
    return _one_strand_each(hits)


def _both_orientations(
    cwms: Sequence[NDArray[np.floating]], trims: Sequence[tuple[int, int]]
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Return CWMs with unit norm, each followed by its reverse complement, and masks of trimmed bases."""
    matrices, masks = [], []
    for cwm, (start, end) in zip(cwms, trims, strict=True):
        unit = np.asarray(cwm, np.float32) / np.sqrt(np.square(cwm).sum())
        mask = np.zeros(unit.shape[1], np.int8)
        mask[start:end] = 1
        matrices += [unit, unit[::-1, ::-1]]
        masks += [mask, mask[::-1]]
    return np.stack(matrices), np.stack(masks)


def _fit(
    cwms: NDArray[np.float32],
    masks: NDArray[np.int8],
    onehot: NDArray[np.int8],
    hypothetical: NDArray[np.float32],
    method: Method,
) -> dict[str, NDArray[np.generic]]:
    """Call Fi-NeMo and return its table of hits that are similar enough, as arrays."""
    import torch
    from finemo import hitcaller

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table, _ = hitcaller.fit_contribs(
            cwms,
            hypothetical,
            onehot,
            masks,
            use_hypothetical=False,
            lambdas=np.full(len(cwms), method.hit_lambda, np.float32),
            max_steps=method.hit_steps,
            post_filter=False,  # its filter asks for a similarity of lambda
            batch_size=min(_REGIONS_AT_A_TIME, len(onehot)),
            device=torch.device("cuda" if torch.cuda.is_available() else "cpu"),
        )
    unfitted = sum(str(one.message).startswith(("Region ", "Optimizer failed")) for one in caught)
    if unfitted:
        _LOG.warning("Fi-NeMo's fit did not converge for %d of %d sequences", unfitted, len(onehot))
    similar = table["hit_similarity"].to_numpy() >= np.float32(method.hit_similarity)
    return {name: table[name].to_numpy()[similar] for name in table.columns}


def _one_strand_each(hits: pd.DataFrame) -> pd.DataFrame:
    drop = np.zeros(len(hits), bool)
    row, motif, start, end = (hits[name].to_numpy() for name in ("row", "motif", "start", "end"))
    strand, coefficient = hits["strand"].to_numpy(), hits["coefficient"].to_numpy()
    last: dict[tuple[int, int, str], int] = {}
    for at in range(len(hits)):
        other = last.get((row[at], motif[at], "+" if strand[at] == "-" else "-"))
        last[row[at], motif[at], strand[at]] = at
        if other is None or drop[other] or 2 * (end[other] - start[at]) <= end[at] - start[at]:
            continue
        plus, minus = (other, at) if strand[at] == "-" else (at, other)
        drop[minus if coefficient[plus] >= coefficient[minus] else plus] = True
    return hits[~drop].reset_index(drop=True)


def place_on_genome(
    rows: NDArray[np.int64],
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    strand: NDArray[np.str_],
    places: pd.DataFrame,
) -> pd.DataFrame:
    """Return the genomic coordinates of stretches of sequences.

    Parameters
    ----------
    rows
        The sequence of each stretch: a row of ``places``.
    start, end
        Positions in the sequence, 0-based half-open.
    strand
        ``+``, ``-`` or ``.``, as the stretch reads in the sequence.
    places
        The kept rows of ``sequences.tsv``, with ``chrom start end strand``. A sequence with strand ``-`` is
        the reverse complement of its window.

    Returns
    -------
    DataFrame
        ``chrom``, empty for sequences from FASTA; ``genome_start`` and ``genome_end``, Int64, 0-based
        half-open, missing for sequences from FASTA; ``strand`` on the genome, for FASTA in the sequence.
    """
    place = places.iloc[rows].reset_index(drop=True)
    turned = (place["strand"] == "-").to_numpy() & (place["chrom"] != "").to_numpy()
    from_start = place["start"] + np.where(turned, 0, start)
    genome_start = from_start.where(~turned, place["end"] - end)
    other = {"+": "-", "-": "+"}
    flipped = [other.get(sign, sign) if turn else sign for sign, turn in zip(strand, turned, strict=True)]
    return pd.DataFrame(
        {
            "chrom": place["chrom"],
            "genome_start": genome_start.astype("Int64"),
            "genome_end": (genome_start + (end - start)).astype("Int64"),
            "strand": pd.Series(flipped, dtype=object),
        }
    )


def write_hits(
    path: Path, hits: pd.DataFrame, places: pd.DataFrame, motifs: Sequence[tuple[str, str]]
) -> None:
    """Write ``hits.bed.gz``, BGZF (SAM specification, section 4.1), sorted by chromosome, start and end.

    Columns are BED6 and ``motif similarity key``; the score is the similarity times 1000.

    Parameters
    ----------
    hits
        As `call_hits` returns, with ``start`` and ``end`` in the whole sequence.
    places
        The kept rows of ``sequences.tsv``; for sequences from FASTA the chromosome is the ``id``.
    motifs
        Each motif's name, and TF-MoDISco's name for it.
    """
    from Bio import bgzf

    row, start, end, strand = (hits[name].to_numpy() for name in ("row", "start", "end", "strand"))
    placed = place_on_genome(row, start, end, strand, places)
    place = places.iloc[hits["row"].to_numpy()].reset_index(drop=True)
    known = placed["genome_start"].notna()
    bed = pd.DataFrame(
        {
            "chrom": placed["chrom"].where(known, place["id"]),
            "start": placed["genome_start"].where(known, hits["start"]),
            "end": placed["genome_end"].where(known, hits["end"]),
            "name": [motifs[motif][0] for motif in hits["motif"]],
            "score": np.round(1000 * hits["similarity"].to_numpy(float)).astype(int),
            "strand": placed["strand"],
            "motif": [motifs[motif][1] for motif in hits["motif"]],
            "similarity": [f"{similarity:.4f}" for similarity in hits["similarity"]],
            "key": place["key"],
        }
    )
    bed = bed.sort_values(["chrom", "start", "end", "strand", "motif", "key"], kind="stable")
    with bgzf.BgzfWriter(str(path), "wb") as file:
        for line in bed.itertuples(index=False, name=None):
            file.write(("\t".join(map(str, line)) + "\n").encode())
