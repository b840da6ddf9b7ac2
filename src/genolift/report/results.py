"""An analysis folder read for the report, by the formats of docs/architecture.md."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from genolift.data.stored_sequences import read_sequence_table
from genolift.errors import InputError
from genolift.files.hdf5 import json_object, opened_hdf5, reading, warnings_of
from genolift.files.tables import read_table
from genolift.files.whole import existing_file
from genolift.results.one_run import check_folder
from genolift.results.provenance import Provenance
from genolift.results.store import open_contributions

PLUS, MINUS = "+", "-"
_SCORED = {
    "columns": ("id", "chrom", "strand", "peak_base"),
    "numbers": (
        *("key", "start", "end", "output", "reference_output_mean", "reference_output_sd"),
        *("contribution_sum", "convergence_error_max", "convergence_error_relative_max"),
        *("standard_error_mean", "peak_position", "peak_contribution"),
    ),
}
_MATCHES = ("match1", "match2", "match3")
_MOTIFS = {
    "columns": (
        *("motif", "name", "sign", "consensus"),
        *(f"{match}{end}" for match in _MATCHES for end in ("", "_name", "_strand")),
    ),
    "numbers": (
        *("n_seqlets", "n_hits", "trim_start", "trim_end"),
        *(f"{match}_qvalue" for match in _MATCHES),
    ),
}
_SEQLETS = {
    "columns": ("motif", "id", "chrom", "strand", "match1", "match1_name"),
    "numbers": ("key", "start", "end", "genome_start", "genome_end", "contribution", "match1_pvalue"),
}
_LOGOS = {"columns": ("kind", "name", "orientation", "matrix", "png", "svg"), "numbers": ("focus",)}
_HIT_FIELDS = 9


@dataclass(frozen=True)
class Results:
    """What an analysis folder holds, as far as the report shows it. Coordinates are 0-based half-open.

    Attributes
    ----------
    folder
        The analysis folder.
    length, n_references
        Bases of a sequence; references of each sequence.
    sequences
        ``sequences.tsv``, a row for every record of the input.
    scored
        ``per_sequence.tsv``, a row for every kept sequence.
    motifs, seqlets, logos
        ``motifs.tsv`` (strongest first), ``seqlets.tsv`` and ``logos/index.tsv``. Numbers are float64,
        NaN where the file has nothing.
    hits
        ``key``, ``motif``, ``strand`` and ``center``: the hit's midpoint as a position in the sequence as the
        model read it, and the strand along which it reads there.
    note
        What the motif step has to say, such as why TF-MoDISco found nothing; empty if nothing.
    models
        The names of the models that all is the mean over; empty where there is one.
    run
        What made ``contributions.h5``.
    provenance
        That, and what the other files say of themselves, without levels: what was run, by key.
    """

    folder: Path
    length: int
    n_references: int
    sequences: pd.DataFrame
    scored: pd.DataFrame
    motifs: pd.DataFrame
    seqlets: pd.DataFrame
    logos: pd.DataFrame
    hits: pd.DataFrame
    note: str
    models: tuple[str, ...]
    run: Provenance
    provenance: Mapping[str, Any]


def read_results(folder: Path, provenance: Mapping[str, Any] | None = None) -> Results:
    """Return what the folder holds; ``provenance`` is added to what the files say of themselves, and wins.

    Raises
    ------
    InputError
        If a file is missing, is not what its name says, or belongs to another run than the others.
    """
    sequences = read_sequence_table(folder / "sequences.tsv")
    with open_contributions(folder / "contributions.h5") as store:
        length, n_references, keys, attributed = store.length, store.r, store.key.tolist(), store.provenance
        models, warned = store.models, store.warnings
        check_folder(folder, store)
    numbers = (*_SCORED["numbers"], *(["output_sd"] if models else []))
    scored = _read_table(folder / "per_sequence.tsv", columns=_SCORED["columns"], numbers=numbers)
    kept = sequences.loc[sequences["kept"], "key"].tolist()
    for name, found in (("contributions.h5", keys), ("per_sequence.tsv", scored["key"].astype(int).tolist())):
        if found != kept:
            raise InputError(
                f"has {len(found)} sequences that are not the {len(kept)} kept ones of sequences.tsv",
                where=str(folder / name),
                remedy="it is of another run: run the steps again from genolift attribute on",
            )
    compared, _ = _attributes(folder / "references.h5", "reference")
    searched, note = _attributes(folder / "motifs.h5", "motifs")
    warned = [*warned, *compared.pop("reference_warnings"), *searched.pop("motifs_warnings")]
    return Results(
        folder=folder,
        length=length,
        n_references=n_references,
        sequences=sequences,
        scored=scored.assign(key=scored["key"].astype(int)),
        motifs=_read_table(folder / "motifs.tsv", **_MOTIFS),
        seqlets=_read_table(folder / "seqlets.tsv", **_SEQLETS),
        logos=_read_table(folder / "logos" / "index.tsv", **_LOGOS),
        hits=_read_hits(folder / "hits.bed.gz", sequences),
        note=note,
        models=models,
        run=attributed,
        provenance={
            **_joined(attributed, compared, searched, provenance or {}),
            "warnings": list(dict.fromkeys(warned)),
        },
    )


def _read_table(path: Path, *, columns: Sequence[str], numbers: Sequence[str]) -> pd.DataFrame:
    """Return the named columns of a table, numbers as float64."""
    remedy = "make it anew with the step that writes it (docs/architecture.md)"
    frame = read_table(
        path, columns, numbers=numbers, what="cannot be read as this analysis's table", remedy=remedy
    )
    return frame[[*columns, *numbers]]


def _attributes(path: Path, prefix: str) -> tuple[dict[str, Any], str]:
    """Return the provenance of an HDF5 file, its keys beginning with ``prefix``, and the file's note."""
    file = existing_file(path)

    def refusal(why: object) -> InputError:
        return InputError(
            f"cannot be read as HDF5 ({why})",
            where=str(file),
            remedy="make it anew with the step that writes it",
        )

    with opened_hdf5(file, refusal) as store, reading(refusal):
        found = json_object(store, "provenance") | {"warnings": warnings_of(store)}
        note = store.attrs.get("note", "")
        if not isinstance(note, str):
            raise TypeError("its note is no text")
        found |= {
            name: getattr(store.attrs[name], "item", lambda value=store.attrs[name]: value)()
            for name in ("kind", "number", "seed")
            if name in store.attrs
        }
    named = {key if key.startswith(prefix) else f"{prefix}_{key}": value for key, value in found.items()}
    return named, note


def _joined(
    attributed: Mapping[str, Any],
    compared: Mapping[str, Any],
    searched: Mapping[str, Any],
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """Return one flat mapping; what a step repeats of another (``motifs_genolift``) is left out."""
    joined = _flat(attributed)
    for step, found in (("reference_", compared), ("motifs_", searched)):
        for key, value in _flat(found).items():
            if key not in joined and joined.get(key.removeprefix(step)) != value:
                joined[key] = value
    return {**joined, **_flat(given)}


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested mappings; a leaf's key joins the keys on the way to it by underscores."""
    leaves: dict[str, Any] = {}
    for key, value in nested.items():
        name = f"{prefix}{key}"
        leaves |= _flat(value, f"{name}_") if isinstance(value, Mapping) else {name: value}
    return leaves


def _read_hits(path: Path, sequences: pd.DataFrame) -> pd.DataFrame:
    """Return the hits of ``hits.bed.gz`` as positions in their sequences."""
    file = existing_file(path)
    rows = []
    try:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                fields = line.rstrip("\n").split("\t")
                if len(fields) < _HIT_FIELDS:
                    raise ValueError(f"line {number} has {len(fields)} columns, not {_HIT_FIELDS}")
                middle = (int(fields[1]) + int(fields[2])) / 2
                rows.append((int(fields[8]), fields[6], fields[5], middle))
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise InputError(
            f"cannot be read as hits ({error})", where=str(file), remedy="make it anew with genolift motifs"
        ) from error
    hits = pd.DataFrame(rows, columns=["key", "motif", "strand", "center"]).astype(
        {"key": "int64", "motif": "str", "strand": "str", "center": "float64"}
    )
    unknown = hits.loc[~hits["key"].isin(sequences.loc[sequences["kept"], "key"]), "key"]
    if len(unknown):
        raise InputError(
            f"key {unknown.iloc[0]} is no kept sequence of sequences.tsv",
            where=str(file),
            remedy="it is of another run: run genolift motifs again",
        )
    return _in_sequence(hits, sequences)


def _in_sequence(hits: pd.DataFrame, sequences: pd.DataFrame) -> pd.DataFrame:
    """Return the hits with genome coordinates turned into positions in the sequence as the model read it."""
    window = sequences.set_index("key")[["start", "end", "strand"]].loc[hits["key"]].reset_index(drop=True)
    start = window["start"].astype("Float64").fillna(0).astype("float64")
    end = window["end"].astype("Float64").fillna(0).astype("float64")
    turned = (window["strand"] == MINUS) & window["start"].notna()
    center = (hits["center"] - start).where(~turned, end - hits["center"])
    other = hits["strand"].map({PLUS: MINUS, MINUS: PLUS}).fillna(hits["strand"])
    return hits.assign(center=center, strand=hits["strand"].where(~turned, other))
