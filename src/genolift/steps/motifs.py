"""The motifs step: from contributions to tables of motifs, seqlets and hits."""

import logging
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genolift.data.stored_sequences import check_table, read_sequence_table
from genolift.errors import InputError
from genolift.files.output_paths import check_outputs
from genolift.files.whole import sha256, whole_file
from genolift.motifs.databases import read_database
from genolift.motifs.discovery import SEQLET_FDR, Discovered, discover, save_patterns
from genolift.motifs.hits import call_hits, write_hits
from genolift.motifs.known import Database
from genolift.motifs.meme import write_meme
from genolift.motifs.tables import (
    MATCHES,
    MATRICES,
    MOTIFS,
    SEQLETS,
    NamedMotif,
    Scores,
    matrix_table,
    motif_table,
    seqlet_table,
)
from genolift.motifs.tomtom import closest_motifs
from genolift.results.one_run import check_keys
from genolift.results.provenance import versions
from genolift.results.step_record import write_record
from genolift.results.store import Rows, open_contributions
from genolift.settings import sections

_LOG = logging.getLogger("genolift")
_TABLES = (MATRICES.name, MOTIFS.name, SEQLETS.name)
_FILES = ("motifs.h5", "motifs.meme", "motifs_cwm.meme", *_TABLES, "hits.bed.gz")
_ROWS = 256
_RECORD = "motifs.json"
_SEQLETS_IN_NOTE = 25


@dataclass(frozen=True)
class MotifSummary:
    """What `find_motifs` found: numbers of motifs, seqlets and hits; ``note`` is a sentence for the reader of
    the report if there is something to explain, else empty.
    """

    n_motifs: int
    n_seqlets: int
    n_hits: int
    note: str

    def __str__(self) -> str:
        note = f" ({self.note})" if self.note else ""
        return f"{self.n_motifs} motifs of {self.n_seqlets} seqlets, {self.n_hits} hits{note}"


@dataclass(frozen=True)
class _Found:
    """Motifs with the known ones most similar to them, their hits, all seqlets, and why there is no motif."""

    discovered: Discovered
    motifs: list[NamedMotif]
    hits: pd.DataFrame
    seqlets: pd.DataFrame
    note: str


def find_motifs(
    settings: sections.Motifs,
    *,
    contributions: Path,
    sequences: Path,
    out: Path,
    min_seqlets: int = 20,
    threads: int = 1,
) -> MotifSummary:
    """Find motifs by TF-MoDISco, name them by Tomtom, and find their occurrences by Fi-NeMo.

    Too few sequences for a motif are not an error: the tables are then empty except ``seqlets.tsv``, which
    has the known motif most similar to each seqlet, and the summary's note says so.

    Parameters
    ----------
    settings
        The config's section ``motifs``. Time grows with the square of the number of seqlets; of more than the
        maximum a random sample is used, by the seed. Nothing else is random: TF-MoDISco seeds its clustering.
    contributions, sequences
        ``contributions.h5`` and ``sequences.tsv``.
    out
        The folder for ``motifs.h5 motifs.meme motifs_cwm.meme motif_matrices.tsv motifs.tsv seqlets.tsv
        hits.bed.gz motifs.json``, all or none. Their layout is in ``docs/architecture.md``.
    min_seqlets
        The smallest number of seqlets that make a motif.
    threads
        For TF-MoDISco and Tomtom; results do not depend on it.

    Raises
    ------
    InputError
        If a file is missing or damaged, the two are from different runs, contributions are not finite, the
        database cannot be read, the window is longer than the sequences, or a file may not be written (see
        `check_outputs`).
    """
    outputs = [out / name for name in (*_FILES, _RECORD)]
    check_outputs(outputs, inputs=[contributions, sequences, settings.database])
    known = read_database(settings.database)
    scores = _read_scores(contributions, sequences, settings.window)
    found = _found(settings, scores, known, min_seqlets, threads)
    if found.note:
        _LOG.warning("%s", found.note)
    provenance = {
        **{f"motifs_{key}": value for key, value in settings.model_dump(exclude={"database"}).items()},
        "motifs_min_seqlets": min_seqlets,
        "motifs_seqlet_fdr": SEQLET_FDR,
        **versions("modisco", "finemo", "memelite", "pyjaspar"),
        "database": known.source,
        "contributions_digest": scores.made_from["contributions.h5"],
    }
    _write(out, found, scores, provenance)
    return MotifSummary(len(found.motifs), len(found.seqlets), len(found.hits), found.note)


def _found(
    settings: sections.Motifs, scores: Scores, known: Database, min_seqlets: int, threads: int
) -> _Found:
    discovered = discover(
        scores.onehot,
        scores.hypothetical,
        max_seqlets=settings.max_seqlets,
        min_seqlets=min_seqlets,
        seed=settings.seed,
        threads=threads,
    )
    motifs = discovered.motifs
    ppms = [motif.trimmed("ppm") for motif in motifs]
    matches = closest_motifs(ppms, known, n=len(MATCHES), threads=threads)
    cwms, trims = [motif.matrices["cwm"] for motif in motifs], [motif.trim for motif in motifs]
    hits = call_hits(cwms, trims, scores.onehot, scores.hypothetical)
    hits[["start", "end"]] += scores.offset
    seqlets = seqlet_table(discovered, scores, known, threads)
    note = "" if motifs else _note(scores, discovered, seqlets, min_seqlets)
    named = [NamedMotif(motif, alike) for motif, alike in zip(motifs, matches, strict=True)]
    return _Found(discovered, named, hits, seqlets, note)


def _write(out: Path, found: _Found, scores: Scores, provenance: Mapping[str, Any]) -> None:
    motifs, width = found.motifs, scores.onehot.shape[2]
    tables = (
        (MATRICES, matrix_table(motifs)),
        (MOTIFS, motif_table(motifs, found.hits)),
        (SEQLETS, found.seqlets),
    )
    with ExitStack() as stack:
        # All are written before the first is renamed.
        files = {name: stack.enter_context(whole_file(out / name)) for name in (*_FILES, _RECORD)}
        save_patterns(
            files["motifs.h5"], found.discovered, width=width, note=found.note, provenance=provenance
        )
        for name, kind in (("motifs.meme", "ppm"), ("motifs_cwm.meme", "cwm")):
            write_meme(files[name], [motif.as_meme(kind) for motif in motifs])
        for table, frame in tables:
            table.write(files[table.name], frame)
        called = [(each.name, each.motif.name) for each in motifs]
        write_hits(files["hits.bed.gz"], found.hits, scores.places, called)
        write_record(files[_RECORD], "motifs", scores.made_from, {name: files[name] for name in _FILES})


def _read_scores(contributions: Path, sequences: Path, window: int | None) -> Scores:
    table = read_sequence_table(sequences)
    places = table[table["kept"]].reset_index(drop=True)
    with open_contributions(contributions) as store:
        check_keys(store.key.tolist(), places["key"].tolist(), contributions, f"kept ones of {sequences}")
        width = store.length if window is None else window
        if not 1 <= width <= store.length:
            raise InputError(
                f"{window} bases are not within the sequences' {store.length}",
                where="window",
                remedy=f"give 1 to {store.length}, or nothing for all",
            )
        offset = (store.length - width) // 2
        onehot, hypothetical = (_middle(store[name], offset, width) for name in ("raw/seq", "shap/seq"))
        check_table(sequences, store.provenance, str(contributions))
        made_from = {"contributions.h5": store.digest, "sequences.tsv": sha256(sequences)}
        scores = Scores(onehot, hypothetical, offset, places, made_from)
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
    """Return the middle positions, (sequence, base, position), reading and checking a few rows at a time."""
    n, bases, _ = stored.shape
    middle = np.empty((n, bases, width), stored.dtype)
    for start in range(0, n, _ROWS):
        middle[start : start + _ROWS] = stored[start : start + _ROWS][:, :, offset : offset + width]
    return middle


def _note(scores: Scores, found: Discovered, seqlets: pd.DataFrame, min_seqlets: int) -> str:
    """Return a sentence that says why there is no motif."""
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
