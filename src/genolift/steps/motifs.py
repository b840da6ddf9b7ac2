"""The motifs step: from contributions to tables of motifs, seqlets and hits."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from genolift.files.output_paths import check_outputs
from genolift.files.whole import whole_file
from genolift.motifs.databases import read_database
from genolift.motifs.discovery import Discovered, discover, save_patterns
from genolift.motifs.hit_files import HitFiles
from genolift.motifs.hits import SoughtMotifs, unique_hits
from genolift.motifs.known import Database
from genolift.motifs.meme import write_meme
from genolift.motifs.method import Method, method_of
from genolift.motifs.modisco import check_installation
from genolift.motifs.numba_code import load_tools
from genolift.motifs.seqlet_rows import SeqletRows, seqlet_rows
from genolift.motifs.seqlets import SIGNS, Progress, find_seqlets
from genolift.motifs.tables import (
    MATRICES,
    MOTIFS,
    SEQLETS,
    SEQLETS_BY_WINDOW,
    NamedMotif,
    matrix_table,
    motif_table,
    motifs_table,
    seqlet_table,
    seqlets_by_window,
)
from genolift.motifs.tomtom import closest_motifs, motif_name, tell_rough
from genolift.motifs.windows import Windows, open_windows
from genolift.results.provenance import versions
from genolift.results.step_record import write_record
from genolift.settings.motifs import Motifs

_LOG = logging.getLogger("genolift")
_TABLES = (MATRICES.name, MOTIFS.name, SEQLETS.name, SEQLETS_BY_WINDOW.name)
_HITS = ("hits.bed.gz", "hits_by_window.bed.gz", "hits_by_window.tsv.gz")
_FILES = ("motifs.h5", "motifs.meme", "motifs_cwm.meme", *_TABLES, *_HITS)
_RECORD = "motifs.json"
_SEQLETS_IN_NOTE = 25
Shown = Callable[[str], AbstractContextManager[Progress]]


def _not_shown(what: str) -> AbstractContextManager[Progress]:
    return nullcontext(lambda done, total: None)


@dataclass(frozen=True)
class MotifSummary:
    """What `find_motifs` found: numbers of motifs, of their seqlets, of all seqlets, and of hits; ``note`` is
    a sentence for the reader of the report if there is something to explain, else empty.
    """

    n_motifs: int
    n_in_motifs: int
    n_seqlets: int
    n_hits: int
    note: str

    def __str__(self) -> str:
        note = f" ({self.note})" if self.note else ""
        seqlets = f"{self.n_in_motifs} of {self.n_seqlets} seqlets"
        return f"{self.n_motifs} motifs of {seqlets}, {self.n_hits} hits{note}"


@dataclass(frozen=True)
class _Found:
    """Motifs with the known ones most similar to them, all seqlets, and why there is no motif."""

    discovered: Discovered
    motifs: list[NamedMotif]
    rows: SeqletRows
    seqlets: pd.DataFrame
    note: str


def find_motifs(
    settings: Motifs,
    *,
    contributions: Path,
    sequences: Path,
    out: Path,
    threads: int = 1,
    shown: Shown = _not_shown,
) -> MotifSummary:
    """Find motifs by TF-MoDISco, name them by Tomtom, and find their occurrences by Fi-NeMo.

    Where windows overlap, a site counts once: as one seqlet and one hit, those of the window in which it
    lies most central. Windows are read a few at a time, so memory hardly grows with their number; results
    depend neither on how many are read at a time nor on their order.

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
        seqlets_by_window.tsv hits.bed.gz hits_by_window.bed.gz hits_by_window.tsv.gz motifs.json``, all or
        none. Their layout is in ``docs/architecture.md``.
    threads
        For TF-MoDISco and Tomtom; results do not depend on it.
    shown
        Shows the progress of a part of the work, which it is given the name of, by a function of the windows
        done and of all.

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
    load_tools()
    known = read_database(settings.database)
    method = method_of(settings)
    with open_windows(contributions, sequences, settings) as windows:
        _tell_copies(windows)
        found = _found(method, windows, known, threads, shown)
        if found.note:
            _LOG.warning("%s", found.note)
        hits = _write(out, found, windows, _provenance(method, known, windows), shown)
    seqlets = len(found.rows.of_motifs), len(found.seqlets)
    return MotifSummary(len(found.motifs), *seqlets, hits, found.note)


def _provenance(method: Method, known: Database, windows: Windows) -> dict[str, Any]:
    return {
        **method.provenance,
        **versions("modisco-lite", "finemo", "memelite", "pyjaspar"),
        "database": known.source,
        "contributions_digest": windows.made_from["contributions.h5"],
    }


def _tell_copies(windows: Windows) -> None:
    copies = len(windows) - len(windows.different)
    if copies:
        _LOG.warning(
            "%d of %d sequences are copies of others: a site in several is counted once",
            *(copies, len(windows)),
        )


def _found(method: Method, windows: Windows, known: Database, threads: int, shown: Shown) -> _Found:
    with shown("looking for seqlets") as progress:
        seqlets = find_seqlets(windows, method, progress)
    if any(seqlets.number.values()):
        tell_rough(known)
    discovered = discover(seqlets, windows, method, threads=threads)
    motifs = discovered.motifs
    _LOG.info("comparing %d motifs with %d known ones", len(motifs), len(known.motifs))
    ppms = [motif.trimmed("ppm") for motif in motifs]
    matches = closest_motifs(ppms, known, n=method.matches, threads=threads)
    rows = seqlet_rows(discovered, windows)
    table = seqlet_table(rows, discovered, windows, known, threads)
    note = "" if motifs else _note(windows, discovered, table)
    named = [
        NamedMotif(motif, motif_name(motif.name, alike, method.name_qvalue), alike)
        for motif, alike in zip(motifs, matches, strict=True)
    ]
    return _Found(discovered, named, rows, table, note)


def _write(out: Path, found: _Found, windows: Windows, provenance: Mapping[str, Any], shown: Shown) -> int:
    """Write all files and return the number of hits, which are found while they are written."""
    motifs, method = found.motifs, found.discovered.method
    sought = SoughtMotifs(
        [each.motif.matrices["cwm"] for each in motifs], [each.motif.trim for each in motifs]
    )
    hit_files = HitFiles(windows, sought, [(each.name, each.motif.name) for each in motifs])
    with ExitStack() as stack:
        # All are written before the first is renamed.
        files = {name: stack.enter_context(whole_file(out / name)) for name in (*_FILES, _RECORD)}
        save_patterns(
            files["motifs.h5"], found.discovered, width=windows.width, note=found.note, provenance=provenance
        )
        for name, kind in (("motifs.meme", "ppm"), ("motifs_cwm.meme", "cwm")):
            write_meme(files[name], [motif.as_meme(kind) for motif in motifs])
        with (
            hit_files.by_window(files["hits_by_window.bed.gz"], files["hits_by_window.tsv.gz"]) as write,
            shown("looking for the motifs' occurrences") as progress,
        ):
            found_hits = unique_hits(sought, windows, method, on_hits=write, progress=progress)
            hits = hit_files.write_sites(files["hits.bed.gz"], found_hits)
        tables = (
            (MATRICES, matrix_table(motifs)),
            (motifs_table(method.matches), motif_table(motifs, hits, method.matches)),
            (SEQLETS, found.seqlets),
            (SEQLETS_BY_WINDOW, seqlets_by_window(found.rows, windows, method)),
        )
        for table, frame in tables:
            table.write(files[table.name], frame[list(table.columns)])
        write_record(files[_RECORD], "motifs", windows.made_from, {name: files[name] for name in _FILES})
    return int(hits.sum())


def _note(windows: Windows, found: Discovered, seqlets: pd.DataFrame) -> str:
    """Return a sentence that says why there is no motif."""
    n, width, method = len(windows), windows.width, found.method
    looked_at = f"{n} sequence{'' if n == 1 else 's'}"
    if not found.seqlets.any_contribution:
        return "No motif was looked for: every contribution is 0."
    if width < method.seqlet_width:
        return (
            f"No motif was looked for in {looked_at} of {width} bases: a seqlet has {method.seqlet_width} "
            f"({method.told('sliding_window_size', 'flank_size')})."
        )
    if not len(seqlets):
        return f"TF-MoDISco found no seqlet in {looked_at} of {width} bases, and so no motif."
    if width < method.motif_width:
        return (
            f"TF-MoDISco found no motif in {looked_at} of {width} bases: a motif has {method.motif_width} "
            f"({method.told('trim_to_window_size', 'initial_flank_to_add')})."
        )
    counts = " and ".join(
        f"{found.seqlets.number[sign]} {word}" for sign, word in (("pos", "positive"), ("neg", "negative"))
    )
    strongest = seqlets["match1_name"].head(_SEQLETS_IN_NOTE)
    name, number = Counter(strongest).most_common(1)[0]
    taken = [len(found.seqlets.strongest[sign]) for sign in SIGNS]
    if sum(taken) < sum(found.seqlets.number.values()):
        counts += f", of which motifs.max_seqlets took {' and '.join(map(str, taken))}"
    takes = f"a motif takes {max(2, method.final_min_cluster_size)} alike with room for its bases around them"
    if method.min_metacluster_size >= method.final_min_cluster_size:
        takes += f", among more than {method.min_metacluster_size} of a sign"
    return (
        f"TF-MoDISco found no motif in {looked_at}: it had {counts} seqlets, and {takes}. "
        f"Of the {len(strongest)} strongest seqlets {number} are most like {name}."
    )
