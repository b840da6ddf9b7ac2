"""An analysis folder, read for the report in the formats of docs/architecture.md."""

import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import pandas as pd

from genolift.data.stored_sequences import read_sequence_table
from genolift.errors import InputError, Refusal, refused_as
from genolift.files.hdf5 import json_object, opened_store, warnings_of
from genolift.files.whole import existing_file
from genolift.motifs.hit_files import HIT_FILE
from genolift.motifs.logos import INDEX
from genolift.motifs.tables import MOTIFS, SEQLETS, read_motifs
from genolift.results.one_run import check_folder, check_keys
from genolift.results.store import Head, open_contributions
from genolift.results.tables import PER_SEQUENCE, PER_SEQUENCE_OF_MODELS
from genolift.settings.several_targets import for_all_targets

PLUS, MINUS = "+", "-"
_AGAIN = "run genolift motifs again"


@dataclass(frozen=True)
class Results:
    """What the report shows of an analysis folder. Coordinates are 0-based half-open.

    Attributes
    ----------
    folder
        The analysis folder.
    head
        What ``contributions.h5`` says of itself: its sizes, what made it, and the models whose mean it is.
    sequences
        ``sequences.tsv``, a row for every record of the input.
    scored
        ``per_sequence.tsv``, a row for every kept sequence.
    motifs, seqlets, logos
        ``motifs.tsv`` (strongest first), ``seqlets.tsv`` and ``logos/index.tsv``.
    hits
        ``key``, ``motif``, ``strand`` and ``center``, the hit's midpoint: both in the sequence as the model
        read it.
    note
        What the motifs step says about its result, such as why TF-MoDISco found nothing; may be empty.
    provenance
        What made ``contributions.h5`` and the other files, as one flat mapping.
    """

    folder: Path
    head: Head
    sequences: pd.DataFrame
    scored: pd.DataFrame
    motifs: pd.DataFrame
    seqlets: pd.DataFrame
    logos: pd.DataFrame
    hits: pd.DataFrame
    note: str
    provenance: Mapping[str, Any]


def read_results(folder: Path, provenance: Mapping[str, Any] | None = None) -> Results:
    """Return what is in the folder; ``provenance`` is added to what the files say, and preferred.

    Raises
    ------
    InputError
        If a file is missing, is not what its name says, or belongs to another run than the others.
    """
    sequences = read_sequence_table(for_all_targets(folder, "sequences.tsv"))
    with open_contributions(folder / "contributions.h5") as store:
        head, keys, attributed, warned = store.head, store.key.tolist(), store.provenance, store.warnings
        check_folder(folder, store)
    scored = (PER_SEQUENCE_OF_MODELS if head.models else PER_SEQUENCE).read(folder / PER_SEQUENCE.name)
    kept = sequences.loc[sequences["kept"], "key"].tolist()
    for name, found in (("contributions.h5", keys), ("per_sequence.tsv", scored["key"].tolist())):
        check_keys(found, kept, folder / name, "kept ones of sequences.tsv")
    compared: dict[str, Any] = {}
    of_references: list[str] = []
    references = for_all_targets(folder, "references.h5")
    if references.exists():
        compared, of_references, _ = stated(references, "reference")
    searched, of_motifs, note = stated(folder / "motifs.h5", "motifs")
    told = attributed.joined(provenance or {}, reference=compared, motifs=searched)
    warned = list(dict.fromkeys([*warned, *of_references, *of_motifs]))
    return Results(
        folder=folder,
        head=head,
        sequences=sequences,
        scored=scored,
        motifs=read_motifs(folder / MOTIFS.name),
        seqlets=SEQLETS.read(folder / SEQLETS.name),
        logos=INDEX.read(folder / "logos" / INDEX.name),
        hits=_read_hits(folder / "hits.bed.gz", sequences),
        note=note,
        provenance=told | {"warnings": warned},
    )


def stated(path: Path, step: str) -> tuple[dict[str, Any], list[str], str]:
    """Return what a step wrote into its HDF5 file: the provenance, the warnings, and the note."""

    def read(file: h5py.File, refusal: Refusal) -> tuple[dict[str, Any], list[str], str]:
        note = file.attrs.get("note", "")
        if not isinstance(note, str):
            raise TypeError("its note is not text")
        return json_object(file, "provenance"), warnings_of(file), note

    with opened_store(path, "cannot be read as HDF5", f"run genolift {step} again", read) as found:
        return found


def _read_hits(path: Path, sequences: pd.DataFrame) -> pd.DataFrame:
    """Return the hits of ``hits.bed.gz`` as positions in their sequences."""
    file = existing_file(path)
    with refused_as(
        Refusal("cannot be read as hits", file, _AGAIN), (OSError, EOFError, zlib.error, ValueError)
    ):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            rows = [line.rstrip("\n").split("\t") for line in lines]
        hits = pd.DataFrame(rows, columns=HIT_FILE).astype({"start": int, "end": int, "key": int})
    unknown = hits.loc[~hits["key"].isin(sequences.loc[sequences["kept"], "key"]), "key"]
    if len(unknown):
        raise InputError(
            f"key {unknown.iloc[0]} is not a kept sequence of sequences.tsv",
            where=str(file),
            remedy=f"it is of another run: {_AGAIN}",
        )
    hits["center"] = (hits["start"] + hits["end"]) / 2
    return _in_sequence(hits[["key", "motif", "strand", "center"]], sequences)


def _in_sequence(hits: pd.DataFrame, sequences: pd.DataFrame) -> pd.DataFrame:
    """Return the hits with genome coordinates turned into positions in the sequence as the model read it."""
    window = sequences.set_index("key")[["start", "end", "strand"]].loc[hits["key"]].reset_index(drop=True)
    start, end = (window[name].fillna(0).astype("float64") for name in ("start", "end"))
    turned = (window["strand"] == MINUS) & window["start"].notna()
    center = (hits["center"] - start).where(~turned, end - hits["center"])
    other = hits["strand"].map({PLUS: MINUS, MINUS: PLUS}).fillna(hits["strand"])
    return hits.assign(center=center, strand=hits["strand"].where(~turned, other))
