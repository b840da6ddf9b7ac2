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
from genolift.motifs.discovery import Discovered, discover, save_patterns
from genolift.motifs.hits import call_hits, write_hits
from genolift.motifs.known import Database
from genolift.motifs.meme import write_meme
from genolift.motifs.method import Method, method_of
from genolift.motifs.modisco import check_installation
from genolift.motifs.tables import (
    MATRICES,
    MOTIFS,
    SEQLETS,
    NamedMotif,
    Scores,
    matrix_table,
    motif_table,
    motifs_table,
    seqlet_table,
)
from genolift.motifs.tomtom import closest_motifs, motif_name
from genolift.results.one_run import check_keys
from genolift.results.provenance import versions
from genolift.results.step_record import write_record
from genolift.results.store import Rows, open_contributions
from genolift.settings.motifs import Motifs

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
    settings: Motifs,
    *,
    contributions: Path,
    sequences: Path,
    out: Path,
    threads: int = 1,
) -> MotifSummary:
    """Find motifs by TF-MoDISco, name them by Tomtom, and find their occurrences by Fi-NeMo.

    Too few sequences for a motif are not an error: the tables are then empty except ``seqlets.tsv``, which
    has the known motif most similar to each seqlet, and the summary's note says so.

    Parameters
    ----------
    settings
        The config's section ``motifs``. Nothing is random: TF-MoDISco seeds its clustering.
    contributions, sequences
        ``contributions.h5`` and ``sequences.tsv``.
    out
        The folder for ``motifs.h5 motifs.meme motifs_cwm.meme motif_matrices.tsv motifs.tsv seqlets.tsv
        hits.bed.gz motifs.json``, all or none. Their layout is in ``docs/architecture.md``.
    threads
        For TF-MoDISco and Tomtom; results do not depend on it.

    Raises
    ------
    InputError
        If TF-MoDISco is not modisco-lite's, a file is missing, damaged or of another run, contributions are
        not finite, the window is longer than the sequences, a seqlet or motif of the settings does not fit in
        them, or a file may not be written (see `check_outputs`).
    """
    outputs = [out / name for name in (*_FILES, _RECORD)]
    check_outputs(outputs, inputs=[contributions, sequences, settings.database])
    check_installation()
    known = read_database(settings.database)
    scores = _read_scores(contributions, sequences, settings)
    method = method_of(settings)
    found = _found(method, scores, known, threads)
    if found.note:
        _LOG.warning("%s", found.note)
    provenance = {
        **method.provenance,
        **versions("modisco-lite", "finemo", "memelite", "pyjaspar"),
        "database": known.source,
        "contributions_digest": scores.made_from["contributions.h5"],
    }
    _write(out, found, scores, method, provenance)
    return MotifSummary(len(found.motifs), len(found.seqlets), len(found.hits), found.note)


def _found(method: Method, scores: Scores, known: Database, threads: int) -> _Found:
    discovered = discover(scores.onehot, scores.hypothetical, method, threads=threads)
    motifs = discovered.motifs
    ppms = [motif.trimmed("ppm") for motif in motifs]
    matches = closest_motifs(ppms, known, n=method.matches, threads=threads)
    cwms, trims = [motif.matrices["cwm"] for motif in motifs], [motif.trim for motif in motifs]
    hits = call_hits(cwms, trims, scores.onehot, scores.hypothetical, method)
    hits[["start", "end"]] += scores.offset
    seqlets = seqlet_table(discovered, scores, known, threads)
    note = "" if motifs else _note(scores, discovered, seqlets, method)
    named = [
        NamedMotif(motif, motif_name(motif.name, alike, method.name_qvalue), alike)
        for motif, alike in zip(motifs, matches, strict=True)
    ]
    return _Found(discovered, named, hits, seqlets, note)


def _write(out: Path, found: _Found, scores: Scores, method: Method, provenance: Mapping[str, Any]) -> None:
    motifs, width = found.motifs, scores.onehot.shape[2]
    tables = (
        (MATRICES, matrix_table(motifs)),
        (motifs_table(method.matches), motif_table(motifs, found.hits, method.matches)),
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


def _read_scores(contributions: Path, sequences: Path, settings: Motifs) -> Scores:
    table = read_sequence_table(sequences)
    places = table[table["kept"]].reset_index(drop=True)
    with open_contributions(contributions) as store:
        check_keys(store.key.tolist(), places["key"].tolist(), contributions, f"kept ones of {sequences}")
        if settings.window is not None and settings.window > store.length:
            raise InputError(
                f"{settings.window} bases are not within the sequences' {store.length}",
                where="motifs.window",
                remedy=f"give 1 to {store.length}, or nothing for all",
            )
        settings.check_widths(store.length, "motifs.")
        width = method_of(settings).width(store.length)
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


def _note(scores: Scores, found: Discovered, seqlets: pd.DataFrame, method: Method) -> str:
    """Return a sentence that says why there is no motif."""
    n, _, width = scores.onehot.shape
    looked_at = f"{n} sequence{'' if n == 1 else 's'}"
    if not (scores.onehot * scores.hypothetical).any():
        return "No motif was looked for: every contribution is 0."
    if width < method.seqlet_width:
        return (
            f"No motif was looked for in {looked_at} of {width} bases: a seqlet has {method.seqlet_width} "
            f"(motifs.seqlet_core {method.seqlet_core}, motifs.seqlet_flank {method.seqlet_flank})."
        )
    if not len(seqlets):
        return f"TF-MoDISco found no seqlet in {looked_at} of {width} bases, and so no motif."
    if width < method.motif_width:
        return (
            f"TF-MoDISco found no motif in {looked_at} of {width} bases: a motif has {method.motif_width} "
            f"(motifs.trim_width {method.trim_width}, motifs.initial_flank {method.initial_flank})."
        )
    counts = " and ".join(
        f"{len(found.seqlets[sign])} {word}" for sign, word in (("pos", "positive"), ("neg", "negative"))
    )
    strongest = seqlets["match1_name"].head(_SEQLETS_IN_NOTE)
    name, number = Counter(strongest).most_common(1)[0]
    takes = f"a motif takes {method.min_seqlets} alike"
    if method.min_metacluster >= method.min_seqlets:
        takes += f", among more than {method.min_metacluster} of a sign"
    return (
        f"TF-MoDISco found no motif in {looked_at}: it had {counts} seqlets, and {takes}. "
        f"Of the {len(strongest)} strongest seqlets {number} are most like {name}."
    )
