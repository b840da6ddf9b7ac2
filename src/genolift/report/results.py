"""An analysis folder, read for the report in the formats of docs/architecture.md."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import pandas as pd

from genolift.data.window_places import read_places
from genolift.errors import Refusal
from genolift.files.hdf5 import json_object, opened_store, warnings_of
from genolift.motifs.logos import INDEX
from genolift.motifs.tables import MOTIFS, SEQLETS, read_motifs
from genolift.report.hits import read_hits
from genolift.report.input_records import Records, read_records
from genolift.results.one_run import check_folder, check_keys
from genolift.results.store import Head, open_contributions
from genolift.results.tables import PER_SEQUENCE, PER_SEQUENCE_OF_MODELS, read_some
from genolift.settings.several_targets import for_all_targets

_PLOTTED = (
    *("output", "reference_output_mean", "reference_output_sd", "contribution_sum"),
    *("convergence_error_relative_max", "standard_error_mean", "peak_position", "peak_contribution"),
)
_KEPT = "kept ones of sequences.tsv"


@dataclass(frozen=True)
class Results:
    """What the report shows of an analysis folder. Coordinates are 0-based half-open.

    Attributes
    ----------
    folder
        The analysis folder.
    head
        What ``contributions.h5`` says of itself: its sizes, what made it, and the models whose mean it is.
    records
        What ``sequences.tsv`` says of the records of the input.
    on_genome
        Whether the sequences are windows on a genome.
    scored
        The columns of ``per_sequence.tsv`` that are plotted, a row for every kept sequence.
    strongest
        The whole rows of the sequences that have a logo.
    motifs, seqlets, logos
        ``motifs.tsv`` (strongest first), ``seqlets.tsv`` and ``logos/index.tsv``.
    hits
        As `read_hits` returns them.
    note
        What the motifs step says about its result, such as why TF-MoDISco found nothing; may be empty.
    provenance
        What made ``contributions.h5`` and the other files, as one flat mapping.
    """

    folder: Path
    head: Head
    records: Records
    on_genome: bool
    scored: pd.DataFrame
    strongest: pd.DataFrame
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
    sequences = for_all_targets(folder, "sequences.tsv")
    records = read_records(sequences)
    kept, places = read_places(sequences)
    with open_contributions(folder / "contributions.h5") as store:
        head, attributed, warned = store.head, store.provenance, store.warnings
        check_folder(folder, store)
        check_keys(store.key, kept, folder / "contributions.h5", _KEPT)
    logos = INDEX.read(folder / "logos" / INDEX.name)
    shown = logos.loc[logos["kind"] == "sequence", "name"]
    table = PER_SEQUENCE_OF_MODELS if head.models else PER_SEQUENCE
    scored, strongest = read_some(table, folder / table.name, kept, _KEPT, columns=_PLOTTED, rows=shown)
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
        records=records,
        on_genome=bool(places.chromosomes),
        scored=scored,
        strongest=strongest,
        motifs=read_motifs(folder / MOTIFS.name),
        seqlets=SEQLETS.read(folder / SEQLETS.name),
        logos=logos,
        hits=read_hits(folder / "hits.bed.gz", kept, places, head.length),
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
