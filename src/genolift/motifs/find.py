"""The motifs step: from contributions to tables of motifs, seqlets and hits."""

from __future__ import annotations

import csv
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genolift.data.alphabet import BASES
from genolift.data.stored_sequences import check_table, read_sequence_table
from genolift.errors import InputError
from genolift.files.output_paths import check_outputs
from genolift.files.whole import sha256, whole_file
from genolift.motifs.databases import read_database
from genolift.motifs.discovery import Discovered, Motif, discover, save_patterns
from genolift.motifs.hits import call_hits, place_on_genome, write_hits
from genolift.motifs.known import Database, Matrix
from genolift.motifs.meme import write_meme
from genolift.motifs.tomtom import Match, closest_motif_of_seqlets, closest_motifs, motif_name
from genolift.results.step_record import write_record
from genolift.results.store import Rows, open_contributions

_LOG = logging.getLogger("genolift")
_FILES = (
    *("motifs.h5", "motifs.meme", "motifs_cwm.meme", "motif_matrices.tsv", "motifs.tsv", "seqlets.tsv"),
    "hits.bed.gz",
)
_ROWS = 256
_RECORD = "motifs.json"
_SEQLETS_IN_NOTE = 25
_MATRIX_KINDS = ("ppm", "cwm", "hcwm")
MOTIF_COLUMNS = ["motif", "name", "sign", "n_seqlets", "n_hits", "trim_start", "trim_end", "consensus"]
SEQLET_COLUMNS = [
    *("motif", "key", "id", "start", "end", "chrom", "genome_start", "genome_end", "strand", "contribution"),
    *("match1", "match1_name", "match1_pvalue"),
]


@dataclass(frozen=True)
class MotifSummary:
    """What `find_motifs` found: numbers of motifs, of seqlets looked at and of hits; ``note`` is a sentence
    for the reader of the report where there is something to explain, else empty.
    """

    n_motifs: int
    n_seqlets: int
    n_hits: int
    note: str


@dataclass(frozen=True)
class _Scores:
    """What is looked at: ``onehot`` int8 and ``hypothetical`` float32, (sequence, base, position), of the
    positions of each sequence from ``offset`` on; ``places``, the sequences' rows of ``sequences.tsv``;
    ``made_from``, the digests of both files.
    """

    onehot: NDArray[np.int8]
    hypothetical: NDArray[np.float32]
    offset: int
    places: pd.DataFrame
    made_from: Mapping[str, str]


def find_motifs(
    *,
    contributions: Path,
    sequences: Path,
    out: Path,
    database: str = "jaspar:vertebrates",
    window: int | None = None,
    max_seqlets: int = 2000,
    min_seqlets: int = 20,
    seqlet_fdr: float = 0.2,
    n_matches: int = 3,
    seed: int = 0,
    threads: int = 1,
    provenance: dict[str, Any] | None = None,
) -> MotifSummary:
    """Find motifs by TF-MoDISco, name them by Tomtom, and find their occurrences by Fi-NeMo.

    Too few sequences for a motif are no error: the tables are then empty but for ``seqlets.tsv``, which names
    the known motif that each seqlet is most like, and the summary's note says so.

    Parameters
    ----------
    contributions, sequences
        ``contributions.h5`` and ``sequences.tsv``.
    out
        The folder to write ``motifs.h5 motifs.meme motifs_cwm.meme motif_matrices.tsv motifs.tsv seqlets.tsv
        hits.bed.gz motifs.json`` into, all or none. Their layout is in ``docs/architecture.md``.
    database
        ``jaspar:GROUP`` (vertebrates, fungi, plants, ...) or the path of a MEME file.
    window
        Look only in so many central bases of each sequence; None for all.
    max_seqlets
        Of more seqlets of a sign a random sample of so many is used; time grows with its square.
    min_seqlets
        The smallest number of seqlets that make a motif.
    seqlet_fdr
        TF-MoDISco's false discovery rate of seqlets.
    n_matches
        So many known motifs are named for each motif.
    seed
        Of that sample. Nothing else is random: TF-MoDISco seeds its clustering itself.
    threads
        For TF-MoDISco and Tomtom; results do not depend on it.
    provenance
        What the caller wants recorded in ``motifs.h5``.

    Raises
    ------
    InputError
        If a file is missing or damaged, the two are of different runs, contributions are not finite, the
        database cannot be read, an argument is out of its range, or a file may not be written (see
        `check_outputs`).
    """
    _check_arguments(
        max_seqlets=max_seqlets,
        min_seqlets=min_seqlets,
        n_matches=n_matches,
        threads=threads,
        seqlet_fdr=seqlet_fdr,
    )
    check_outputs([out / name for name in (*_FILES, _RECORD)], inputs=[contributions, sequences, database])
    known = read_database(database)
    scores = _read_scores(contributions, sequences, window)
    found = discover(
        scores.onehot,
        scores.hypothetical,
        seqlet_fdr=seqlet_fdr,
        max_seqlets=max_seqlets,
        min_seqlets=min_seqlets,
        seed=seed,
        threads=threads,
    )
    motifs = found.motifs
    matches = closest_motifs([motif.ppm for motif in motifs], known, n=n_matches, threads=threads)
    cwms, trims = [motif.matrices["cwm"] for motif in motifs], [motif.trim for motif in motifs]
    hits = call_hits(cwms, trims, scores.onehot, scores.hypothetical)
    hits[["start", "end"]] += scores.offset
    seqlets = _seqlet_table(found, scores, known, threads)
    note = "" if motifs else _note(scores, found, seqlets, min_seqlets)
    if note:
        _LOG.warning("%s", note)
    made = {
        **(provenance or {}),
        "motifs_window": window,
        "motifs_seqlet_fdr": seqlet_fdr,
        "motifs_max_seqlets": max_seqlets,
        "motifs_min_seqlets": min_seqlets,
        "motifs_seed": seed,
        **{package: version(package) for package in ("modisco", "finemo", "memelite", "pyjaspar")},
        "database": known.source,
        "contributions_digest": scores.made_from["contributions.h5"],
    }
    names = [motif_name(motif.name, found) for motif, found in zip(motifs, matches, strict=True)]
    with ExitStack() as stack:
        # All are written before the first is renamed.
        files = {name: stack.enter_context(whole_file(out / name)) for name in (*_FILES, _RECORD)}
        save_patterns(files["motifs.h5"], found, width=scores.onehot.shape[2], note=note, provenance=made)
        _write_memes(files, motifs, names)
        _write_table(files["motif_matrices.tsv"], _matrix_table(motifs))
        _write_table(files["motifs.tsv"], _motif_table(motifs, names, matches, n_matches, hits))
        _write_table(files["seqlets.tsv"], seqlets)
        called = [(name, motif.name) for name, motif in zip(names, motifs, strict=True)]
        write_hits(files["hits.bed.gz"], hits, scores.places, called)
        written = {name: files[name] for name in _FILES}
        write_record(files[_RECORD], "motifs", scores.made_from, written)
    return MotifSummary(len(motifs), len(seqlets), len(hits), note)


def _check_arguments(*, seqlet_fdr: float, **counts: int) -> None:
    for name, value in counts.items():
        if value < 1:
            raise InputError(f"{value} is not positive", where=name, remedy="give 1 or more")
    if not 0 < seqlet_fdr < 1:
        raise InputError(
            f"{seqlet_fdr} is no rate", where="seqlet_fdr", remedy="give a number between 0 and 1"
        )


def _read_scores(contributions: Path, sequences: Path, window: int | None) -> _Scores:
    table = read_sequence_table(sequences)
    places = table[table["kept"]].reset_index(drop=True)
    with open_contributions(contributions) as store:
        if store.key.tolist() != places["key"].tolist():
            raise InputError(
                f"has {store.n} sequences that are not the {len(places)} kept ones of {sequences}",
                where=str(contributions),
                remedy="give the files of one run",
            )
        width = store.length if window is None else window
        if not 1 <= width <= store.length:
            raise InputError(
                f"{window} is no number of bases within the sequences' {store.length}",
                where="window",
                remedy=f"give 1 to {store.length}, or nothing for all",
            )
        offset = (store.length - width) // 2
        onehot, hypothetical = (_middle(store[name], offset, width) for name in ("raw/seq", "shap/seq"))
        check_table(sequences, store.provenance, str(contributions))
        made_from = {"contributions.h5": store.digest, "sequences.tsv": sha256(sequences)}
        scores = _Scores(onehot, hypothetical, offset, places, made_from)
    wrong = np.flatnonzero(~np.isfinite(scores.hypothetical).all(axis=(1, 2)))
    if len(wrong):
        raise InputError(
            f"contributions of {len(wrong)} of {len(places)} sequences are not finite, "
            f"{places['id'][wrong[0]]} first",
            where=f"{contributions}, shap/seq, key {places['key'][wrong[0]]}",
            remedy="look at the model's output for it, and attribute again",
        )
    return scores


def _middle(stored: Rows, offset: int, width: int) -> NDArray[Any]:
    """Return some positions, (sequence, base, position), of rows that are read and checked some at a time."""
    n, bases, _ = stored.shape
    middle = np.empty((n, bases, width), stored.dtype)
    for start in range(0, n, _ROWS):
        middle[start : start + _ROWS] = stored[start : start + _ROWS][:, :, offset : offset + width]
    return middle


def consensus(ppm: Matrix) -> str:
    """Return the most frequent base at each position of a PPM, (base, position); lower case below 1/2."""
    letters = (BASES[at] for at in ppm.argmax(0))
    return "".join(
        base if share >= 0.5 else base.lower() for base, share in zip(letters, ppm.max(0), strict=True)
    )


def _write_memes(files: Mapping[str, Path], motifs: Sequence[Motif], names: Sequence[str]) -> None:
    """Write the trimmed PPMs and CWMs; what a motif is called by is its alternate name, where it has one."""
    for name, kind in (("motifs.meme", "ppm"), ("motifs_cwm.meme", "cwm")):
        write_meme(
            files[name],
            [
                (motif.name, "" if name == motif.name else name, getattr(motif, kind), len(motif.seqlets))
                for motif, name in zip(motifs, names, strict=True)
            ],
        )


def _matrix_table(motifs: Sequence[Motif]) -> pd.DataFrame:
    """Return ``motif_matrices.tsv``: the untrimmed matrices of every motif."""
    rows = [
        (motif.name, kind, position, *column)
        for motif in motifs
        for kind in _MATRIX_KINDS
        for position, column in enumerate(motif.matrices[kind].T)
    ]
    return pd.DataFrame(rows, columns=["motif", "kind", "position", *BASES])


def _motif_table(
    motifs: Sequence[Motif],
    names: Sequence[str],
    matches: Sequence[Sequence[Match]],
    n_matches: int,
    hits: pd.DataFrame,
) -> pd.DataFrame:
    """Return ``motifs.tsv``; the columns of matches that the database is too small for are empty."""
    columns = [*MOTIF_COLUMNS]
    for rank in range(1, n_matches + 1):
        columns += [f"match{rank}{end}" for end in ("", "_name", "_qvalue", "_pvalue", "_strand")]
    counts = hits["motif"].value_counts()
    rows = []
    for number, (motif, name, found) in enumerate(zip(motifs, names, matches, strict=True)):
        row: list[Any] = [
            motif.name,
            name,
            motif.name[:3],
            len(motif.seqlets),
            int(counts.get(number, 0)),
            *motif.trim,
        ]
        row.append(consensus(motif.ppm))
        for match in found:
            row += [match.accession, match.name, match.qvalue, match.pvalue, match.strand]
        rows.append(row + [""] * (len(columns) - len(row)))
    return pd.DataFrame(rows, columns=columns)


def _seqlet_table(found: Discovered, scores: _Scores, known: Database, threads: int) -> pd.DataFrame:
    """Return ``seqlets.tsv``: the seqlets of each motif as TF-MoDISco cut and turned them, then the others as
    they were first placed, with the known motif they are most like; in each part the strongest first.

    A seqlet's strand is that of its motif, on the genome where there is one; ``.`` without a motif. Its
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
    frame = pd.DataFrame(rows + loose, columns=["example", *SEQLET_COLUMNS])
    if frame.empty:
        return frame[SEQLET_COLUMNS]
    example = frame["example"].to_numpy(np.int64)
    frame[["start", "end"]] += scores.offset
    start, end = frame["start"].to_numpy(np.int64), frame["end"].to_numpy(np.int64)
    placed = place_on_genome(example, start, end, frame["strand"].to_numpy(str), scores.places)
    frame[placed.columns] = placed
    frame[["key", "id"]] = scores.places.loc[example, ["key", "id"]].to_numpy()
    return frame[SEQLET_COLUMNS]


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
    """Return the seqlets whose middle lies in no motif's seqlet: TF-MoDISco shifts those it takes."""
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


def _note(scores: _Scores, found: Discovered, seqlets: pd.DataFrame, min_seqlets: int) -> str:
    """Return why there is no motif, in a sentence."""
    n, _, width = scores.onehot.shape
    looked_at = f"{n} sequence{'' if n == 1 else 's'}"
    if not (scores.onehot * scores.hypothetical).any():
        return "No motif was looked for: every contribution is 0."
    if not len(seqlets):
        return f"TF-MoDISco found no seqlet in {looked_at} of {width} bases, and so no motif."
    counts = " and ".join(
        f"{len(found.seqlets[sign])} {word}" for sign, word in (("pos", "positive"), ("neg", "negative"))
    )
    strongest = seqlets["match1_name"].head(_SEQLETS_IN_NOTE)
    name, number = Counter(strongest).most_common(1)[0]
    return (
        f"TF-MoDISco found no motif in {looked_at}: it had {counts} seqlets, and a motif takes "
        f"{min_seqlets} alike. Of the {len(strongest)} strongest seqlets {number} are most like {name}."
    )


def _write_table(path: Path, frame: pd.DataFrame) -> None:
    frame.to_csv(
        path, sep="\t", index=False, quoting=csv.QUOTE_NONE, lineterminator="\n", float_format="%.6g"
    )
