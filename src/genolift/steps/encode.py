"""The encode step: from FASTA, or windows on a genome, to a table and a file of sequences."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genolift.data.record_sources import codes_of, source_of
from genolift.data.records import Records
from genolift.data.stored_sequences import CHUNK_BYTES, SEQUENCES, Head, Sequences, write_sequences
from genolift.errors import InputError
from genolift.files.hdf5_writing import whole_hdf5
from genolift.files.output_paths import check_outputs
from genolift.files.scratch import Scratch, scratch_beside
from genolift.files.whole import sha256, whole_file
from genolift.results.provenance import versions
from genolift.settings import sections

_LOG = logging.getLogger("genolift")
_BLOCK_BYTES = CHUNK_BYTES
"""Of codes that are in memory at a time."""
_IF_GIVEN = ("blacklist", "pad", "regions")
"""Keys that a store says it was made with only where they are given."""


@dataclass(frozen=True)
class EncodeSummary:
    """What `encode` did: numbers of records, and of dropped ones by reason; ``length`` in bases."""

    n_records: int
    n_kept: int
    length: int
    dropped: Mapping[str, int]
    n_letters_replaced: int

    def __str__(self) -> str:
        return f"{self.n_kept} of {self.n_records} sequences of {self.length} bp kept"


def with_length(source: sections.Sequences, lengths: Mapping[str, int | None]) -> sections.Sequences:
    """Return the source with a length: its own, or else that of the models, by name.

    Raises
    ------
    InputError
        If models have different lengths, or windows need a length and no model says one.
    """
    sections.check_lengths(lengths, "models")
    known = [source.bases, *lengths.values()]
    length = next((length for length in known if length is not None), None)
    if length is None and source.on_genome:
        raise InputError(
            "the model does not say its input length, which windows need",
            where="sequences.length",
            remedy="give model.input_length (--input-length), the bases that the model was trained on",
        )
    return source.model_copy(update={"length": length})


def encode(source: sections.Sequences, *, table: Path, store: Path, rna: bool = False) -> EncodeSummary:
    """Write ``sequences.tsv`` and ``sequences.h5`` from a FASTA file, or from a BED file and a genome.

    Lower case is read as upper case. IUPAC letters other than A C G T become N, and are counted. The files'
    layout is in ``docs/architecture.md``; a record's key is its 0-based number in the FASTA or BED file.

    Parameters
    ----------
    source
        The config's section ``sequences``. Without a length, all records of a FASTA must have the same one.
    table, store
        Where ``sequences.tsv`` (every record) and ``sequences.h5`` (the kept ones) are written.
    rna
        Read U as T, for a model of RNA. A record may have both.

    Raises
    ------
    InputError
        For a mistake in the input files (see `read_fasta`, `read_intervals`), a letter that is not a DNA
        letter, a missing chromosome, no sequence left, or an output that may not be written (see
        `check_outputs`).
    """
    check_outputs([table, store], inputs=source.files)
    read = source_of(source, rna)
    with scratch_beside(store) as scratch:
        records = read.read(scratch)
        summary = _summary(records, read.file)
        keys = source.model_dump()
        made: dict[str, Any] = {name: keys[name] for name in keys if keys[name] or name not in _IF_GIVEN}
        made["rna"] = rna
        made |= {} if read.read_as is None else {"read_as": read.read_as}
        made |= {**asdict(summary), "letters_replaced": records.replaced}
        with whole_file(table) as table_beside, whole_hdf5(store) as file:
            SEQUENCES.write_rows(table_beside, map(records.row, range(len(records))))
            provenance = json.dumps({**versions(), "encode": made}, sort_keys=True)
            attributes = {"provenance": provenance, "table_sha256": sha256(table_beside)}
            head = records.head
            write_sequences(file, head, _blocks(records, head, scratch), attributes)
    return summary


def _blocks(records: Records, head: Head, scratch: Scratch) -> Iterator[Sequences]:
    """Yield the sequences that are kept, a few in memory at a time."""
    kept, rows = records.kept, max(1, _BLOCK_BYTES // head.length)
    for first in range(0, len(kept), rows):
        keys = kept[first : first + rows]
        yield records.sequences(keys.tolist(), codes_of(scratch, keys, head.length))


def encode_analysis(settings: sections.Settings, *, table: Path, store: Path) -> EncodeSummary:
    """Write the sequences of an analysis as `encode` does, as long as the keys or else the models say.

    The models are loaded for it only where no key says the length.
    """
    source, models = settings.sequences, {name: spec for name, spec in settings.models.items() if spec.path}
    if source.bases is None and models:
        from genolift.models import input_length, load_model  # with torch, seconds

        check_outputs([table, store], inputs=[file for spec in models.values() for file in spec.files])
        lengths = {
            name: spec.input_length or input_length(load_model(spec), spec) for name, spec in models.items()
        }
        source = with_length(source, lengths)
    return encode(source, table=table, store=store, rna=settings.rna_alphabet is not None)


def trial_sequences(source: sections.Sequences, n: int = 2, *, rna: bool = False) -> Sequences:
    """Return the first ``n`` sequences that `encode` would keep, or all if there are fewer.

    Only as much of the files is read as necessary. For windows on a genome, they are the first ones in the
    genome.

    Raises
    ------
    InputError
        As `encode`, for mistakes in what is read.
    """
    read = source_of(source, rna)
    found = read.first(n)
    if found is None:
        raise InputError(
            "none of the first sequences can be used",
            where=read.file,
            remedy="run genolift encode on it, which says why they are dropped",
        )
    return found


def number_of_records(source: sections.Sequences, *, rna: bool = False) -> int | None:
    """Return how many records `encode` will find, those too that it will drop; None for a pipe, which can be
    read once.
    """
    read = source_of(source, rna)
    return read.number() if Path(read.file).is_file() else None


def _summary(records: Records, source: str) -> EncodeSummary:
    """Count, and log what was dropped and replaced; raise `InputError` if nothing is kept."""
    dropped, replaced = records.dropped, records.replaced
    n_dropped = sum(dropped.values())
    by_number = sorted(dropped.items(), key=lambda each: -each[1])
    reasons = ", ".join(f"{n} {kind}" for kind, n in by_number)
    if n_dropped == len(records):
        raise InputError(
            f"no sequence is left of {len(records)}: {reasons}",
            where=source,
            remedy="check that the sequences, the genome and the length belong together",
        )
    if dropped:
        _LOG.warning("%s: %d of %d records dropped: %s", source, n_dropped, len(records), reasons)
    if replaced:
        letters = ", ".join(f"{letter} {n}" for letter, n in sorted(replaced.items()))
        told = "%s: %d letters that stand for several bases were read as N: %s"
        _LOG.warning(told, source, replaced.total(), letters)
    return EncodeSummary(len(records), len(records) - n_dropped, records.length, dropped, replaced.total())
