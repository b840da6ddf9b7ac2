"""The encode step: FASTA or genome windows to a table and a store of sequences."""

from __future__ import annotations

import csv
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genolift.data.alphabet import N_CODE, reverse_complement_codes
from genolift.data.fasta import codes_of_letters, count_replaced_letters, read_fasta
from genolift.data.genome import read_windows
from genolift.data.intervals import IntervalFile, read_intervals
from genolift.data.stored_sequences import (
    COLUMNS,
    FORMAT,
    VERSION,
    Places,
    Sequences,
    file_digest,
    read_sequence_table,
    read_sequences,
)
from genolift.data.windows import CENTERS, Window, check_chromosomes, strand_of, windows_around
from genolift.errors import InputError
from genolift.files.digests import sequence_digests
from genolift.files.hdf5 import as_bytes, text_type
from genolift.files.hdf5_writing import whole_hdf5
from genolift.files.output_paths import check_outputs
from genolift.files.whole import sha256, whole_file

__all__ = ["COLUMNS", "EncodeSummary", "Sequences", "encode", "read_sequence_table", "read_sequences"]

_LOG = logging.getLogger("genolift")
_CHUNK_BYTES = 2**20
_CHECKED: Mapping[str, Any] = {"compression": "gzip", "fletcher32": True}
EMPTY, LENGTH, MANY_N = "empty record", "another length", "too many N"
OVER_END, NO_CHROMOSOME = "over a chromosome's end", "chromosome not in the genome"


@dataclass(frozen=True)
class EncodeSummary:
    """What `encode` did: numbers of records, and of dropped ones by kind of reason; ``length`` in bases."""

    n_records: int
    n_kept: int
    length: int
    dropped: Mapping[str, int]
    n_letters_replaced: int


@dataclass(frozen=True)
class _Record:
    """A record of the input on its way to the table: ``codes`` (position,), None where none were read;
    ``kind`` and ``reason`` say why it is dropped, and are empty for one that is kept.
    """

    id: str
    length: int
    codes: NDArray[np.uint8] | None = None
    chrom: str = ""
    start: int | None = None
    end: int | None = None
    strand: str = "."
    kind: str = ""
    reason: str = ""

    @property
    def n_count(self) -> int | None:
        return None if self.codes is None else int(np.count_nonzero(self.codes == N_CODE))

    def dropped(self, kind: str, reason: str) -> _Record:
        return replace(self, kind=kind, reason=reason)


def encode(
    *,
    table: Path,
    store: Path,
    length: int | None,
    fasta: Path | None = None,
    bed: Path | None = None,
    genome: Path | None = None,
    form: str = "auto",
    center: str = "summit",
    use_strand: bool = False,
    max_n_fraction: float = 0.1,
    missing_chromosomes: str = "error",
    rna: bool = False,
    provenance: dict[str, Any] | None = None,
) -> EncodeSummary:
    """Write ``sequences.tsv`` and ``sequences.h5`` from a FASTA file, or from a BED file and a genome.

    Lower case is read as upper case. IUPAC letters other than A C G T become N, and are counted. The files'
    layout is in ``docs/architecture.md``; a record's key is its 0-based number in ``fasta`` or ``bed``.

    Parameters
    ----------
    table, store
        Where ``sequences.tsv`` (every record) and ``sequences.h5`` (the kept ones) are written.
    length
        The model's input length in bases; None takes the one length that all of a FASTA's records have.
    fasta
        Sequences to be taken as they are; records of another length than ``length`` are dropped.
    bed, genome
        Intervals (BED or narrowPeak) and the genome's FASTA; windows of ``length`` are taken around them.
        Every file may be plain, gzip or BGZF.
    form
        What ``bed`` is: "auto", "bed" or "narrowPeak" (`read_intervals`).
    center
        What windows are around: "summit" (the midpoint, where the BED file names none) or "midpoint".
    use_strand
        Take the reverse complement for intervals on the minus strand.
    max_n_fraction
        Sequences with a larger fraction of N are dropped.
    missing_chromosomes
        "error" or "drop": what to do with intervals on a chromosome that the genome does not have.
    rna
        Read U as T: for a model of RNA. A record may hold both.
    provenance
        What the caller wants recorded in the store besides this step's settings and counts.

    Raises
    ------
    InputError
        For contradictory arguments, any fault of the input files (see `read_fasta`, `read_intervals`),
        a letter that is no DNA letter, a missing chromosome, no sequence left, or an output that may not be
        written (see `check_outputs`).
    """
    settings = {
        "fasta": fasta and str(fasta),
        "bed": bed and str(bed),
        "genome": genome and str(genome),
        "format": form,
        "center": center,
        "use_strand": use_strand,
        "max_n_fraction": max_n_fraction,
        "missing_chromosomes": missing_chromosomes,
        "rna": rna,
    }
    _check_arguments(length, fasta, bed, genome, center, max_n_fraction, missing_chromosomes)
    check_outputs([table, store], inputs=[fasta, bed, genome])
    replaced: Counter[str] = Counter()
    chromosomes: dict[str, int] = {}
    if bed is None or genome is None or length is None:
        assert fasta is not None  # as the arguments' check has made sure
        records, length = _with_one_length(_fasta_records(fasta, rna, replaced), length, fasta)
    else:
        read = read_intervals(bed, form=form, with_strand=use_strand)
        intervals = read.intervals
        _tell(read, bed, center)
        settings["read_as"] = read.taken_for
        windows = windows_around(intervals, length=length, center=center)
        records, chromosomes = _window_records(windows, genome, use_strand, rna, replaced)
        if missing_chromosomes == "error":
            check_chromosomes(intervals, chromosomes, bed, genome)
    records = [_without_many_n(record, max_n_fraction) for record in records]
    summary = _summary(records, length, replaced, source=str(fasta or bed))
    made = {**settings, **asdict(summary), "letters_replaced": replaced}
    with whole_file(table) as table_beside, whole_hdf5(store) as file:
        _write_table(table_beside, records)
        attributes = {
            "format": FORMAT,
            "version": VERSION,
            "provenance": json.dumps({**(provenance or {}), "encode": made}, sort_keys=True),
            "chromosomes": json.dumps(chromosomes),
            "table_sha256": sha256(table_beside),
        }
        _write_store(file, records, attributes, windows=bool(chromosomes))
    return summary


def _tell(read: IntervalFile, bed: Path, center: str) -> None:
    """Say in the log what a file of intervals was taken for, and what its windows are centred on."""
    n_midpoints = sum(interval.summit is None for interval in read.intervals)
    if read.doubt:
        _LOG.warning("%s: %s", bed, read.doubt)
    if read.taken_for != "BED":
        _LOG.info("%s: read as %s", bed, read.taken_for)
    if center == "summit" and n_midpoints:
        _LOG.info(
            "%d of %d intervals name no summit: their windows are centred on the midpoint",
            n_midpoints,
            len(read.intervals),
        )


def _check_arguments(
    length: int | None,
    fasta: Path | None,
    bed: Path | None,
    genome: Path | None,
    center: str,
    max_n_fraction: float,
    missing_chromosomes: str,
) -> None:
    one_alone = (bed is None) != (genome is None)
    lacking = "a genome" if genome is None else "a BED file"
    one_of = "give either a FASTA file, or a BED file and a genome"
    no_choice = missing_chromosomes not in ("error", "drop")
    checks = (
        (fasta is None and bed is None and genome is None, "sequences", "there are none", one_of),
        (fasta is not None and (bed or genome) is not None, "sequences", "there are two kinds", one_of),
        (one_alone, bed or genome, f"is given without {lacking}", f"name {lacking} too"),
        (bed and length is None, bed, "windows need a length", "give the model's input length"),
        (length is not None and length < 1, "length", f"{length} is not positive", "give a number of bases"),
        (not 0 <= max_n_fraction <= 1, "max_n_fraction", f"{max_n_fraction} is no fraction", "give 0 to 1"),
        (center not in CENTERS, "center", f"{center!r} is unknown", f"give {' or '.join(CENTERS)}"),
        (no_choice, "missing_chromosomes", f"{missing_chromosomes!r} is unknown", "give error or drop"),
    )
    for wrong, where, what, remedy in checks:
        if wrong:
            raise InputError(what, where=str(where), remedy=remedy)


def _fasta_records(fasta: Path, rna: bool, replaced: Counter[str]) -> list[_Record]:
    records = []
    for record in read_fasta(fasta, kept_per_base=2):  # its codes, and they once more to be written
        where = f"{fasta}, record {record.number + 1} {record.name!r} (line {record.line})"
        codes = codes_of_letters(record.letters, where=where, rna=rna)
        replaced.update(count_replaced_letters(record.letters, codes))
        records.append(_Record(record.name, len(codes), codes))
    return records


def _with_one_length(
    records: Sequence[_Record], length: int | None, fasta: Path
) -> tuple[list[_Record], int]:
    """Return the records, those that are empty or of another length marked as dropped, and the length."""
    n_of_length = Counter(record.length for record in records if record.length)
    if length is None and len(n_of_length) > 1:
        raise InputError(
            f"the records have more than one length: {_lengths(n_of_length)}",
            where=str(fasta),
            remedy="give the length that the model takes",
        )
    if length is None:
        length = next(iter(n_of_length), 0)
    if n_of_length and length not in n_of_length:
        raise InputError(
            f"the model takes {length} bases, the records have {_lengths(n_of_length)}",
            where=str(fasta),
            remedy="give sequences of the model's length, or a BED file and a genome to take windows from",
        )
    sifted = []
    for record in records:
        if record.length == 0:
            record = record.dropped(EMPTY, "the record is empty")
        elif record.length != length:
            record = record.dropped(LENGTH, f"has {record.length} bases, not {length}")
        sifted.append(record)
    return sifted, length


def _lengths(n_of_length: Counter[int]) -> str:
    if len(n_of_length) == 1:
        return str(next(iter(n_of_length)))
    shown = [f"{length} ({n} record{'s' if n > 1 else ''})" for length, n in n_of_length.most_common(3)]
    shown += [f"{len(n_of_length) - 3} more lengths"] if len(n_of_length) > 3 else []
    return f"{min(n_of_length)} to {max(n_of_length)}: {', '.join(shown)}"


def _window_records(
    windows: Sequence[Window], genome: Path, use_strand: bool, rna: bool, replaced: Counter[str]
) -> tuple[list[_Record], dict[str, int]]:
    """Return a record for every window, in order, and the lengths of the genome's chromosomes."""
    places = [(window.chrom, window.start, window.end) for window in windows]
    found, chromosomes = read_windows(genome, places)
    records = []
    for window, letters in zip(windows, found, strict=True):
        chrom, start, end = window.chrom, window.start, window.end
        strand = strand_of(window, use_strand)
        record = _Record(window.id, end - start, chrom=chrom, start=start, end=end, strand=strand)
        if letters is not None:
            where = f"{genome}, record {chrom!r}"
            codes = codes_of_letters(letters, where=where, first=start, rna=rna)
            replaced.update(count_replaced_letters(letters, codes))
            record = replace(record, codes=reverse_complement_codes(codes) if strand == "-" else codes)
        elif chrom not in chromosomes:
            record = record.dropped(NO_CHROMOSOME, f"the genome has no chromosome {chrom}")
        else:
            edge = f"{'start' if start < 0 else 'end'} of {chrom}, which has {chromosomes[chrom]} bases"
            record = record.dropped(OVER_END, f"the window {start}-{end} runs over the {edge}")
        records.append(record)
    return records, chromosomes


def _without_many_n(record: _Record, max_n_fraction: float) -> _Record:
    if record.kind or not record.n_count or record.n_count / record.length <= max_n_fraction:
        return record
    fraction = record.n_count / record.length
    return record.dropped(MANY_N, f"{fraction:.1%} of its letters are N, more than {max_n_fraction:.1%}")


def _summary(
    records: Sequence[_Record], length: int, replaced: Counter[str], *, source: str
) -> EncodeSummary:
    """Count, and say in the log what was dropped and replaced; raise `InputError` if nothing is kept."""
    dropped = Counter(record.kind for record in records if record.kind)
    n_kept = len(records) - dropped.total()
    reasons = ", ".join(f"{n} {kind}" for kind, n in dropped.most_common())
    if n_kept == 0:
        raise InputError(
            f"no sequence is left of {len(records)}: {reasons}",
            where=source,
            remedy="check that the sequences, the genome and the length belong together",
        )
    if dropped:
        _LOG.warning("%s: %d of %d records dropped: %s", source, dropped.total(), len(records), reasons)
    if replaced:
        letters = ", ".join(f"{letter} {n}" for letter, n in sorted(replaced.items()))
        _LOG.warning(
            "%s: %d letters that stand for several bases were read as N: %s",
            source,
            replaced.total(),
            letters,
        )
    return EncodeSummary(len(records), n_kept, length, dict(dropped), replaced.total())


def _write_table(path: Path, records: Sequence[_Record]) -> None:
    frame = pd.DataFrame(
        {
            "key": range(len(records)),
            "id": [record.id for record in records],
            "chrom": [record.chrom for record in records],
            "start": pd.array([record.start for record in records], dtype="Int64"),
            "end": pd.array([record.end for record in records], dtype="Int64"),
            "strand": [record.strand for record in records],
            "length": [record.length for record in records],
            "gc": [_gc(record.codes) for record in records],
            "n_count": pd.array([record.n_count for record in records], dtype="Int64"),
            "kept": ["false" if record.kind else "true" for record in records],
            "reason": [record.reason for record in records],
        },
        columns=list(COLUMNS),
    )
    frame.to_csv(path, sep="\t", index=False, quoting=csv.QUOTE_NONE, lineterminator="\n")


def _gc(codes: NDArray[np.uint8] | None) -> float:
    """Return the fraction of C and G among the letters A C G T, to 6 decimals; NaN if there are none."""
    counts = np.bincount([] if codes is None else codes, minlength=N_CODE + 1)
    n_bases = counts[:N_CODE].sum()
    return round(float((counts[1] + counts[2]) / n_bases), 6) if n_bases else float("nan")


def _write_store(
    file: h5py.File, records: Sequence[_Record], attributes: Mapping[str, Any], *, windows: bool
) -> None:
    kept = [(key, record) for key, record in enumerate(records) if not record.kind]
    codes = np.stack([record.codes for _, record in kept if record.codes is not None])
    n, length = codes.shape
    keys, ids = np.array([key for key, _ in kept], dtype=np.int64), [record.id for _, record in kept]
    digests, places = sequence_digests(keys, ids, codes), None
    file.create_dataset("key", data=keys, **_CHECKED)
    _write_text(file, "id", ids)
    file.create_dataset("sequence_digest", data=digests, **_CHECKED)
    if windows:
        places = Places(
            [record.chrom for _, record in kept],
            np.array([record.start for _, record in kept], dtype=np.int64),
            [record.strand for _, record in kept],
        )
        _write_text(file, "chrom", places.chrom)
        _write_text(file, "strand", places.strand)
        file.create_dataset("start", data=places.start, **_CHECKED)
    file.attrs.update(attributes)
    file.attrs["digest"] = file_digest(attributes, digests, places)
    chunks = (min(n, max(1, _CHUNK_BYTES // length)), length)
    file.create_dataset("codes", data=codes, chunks=chunks, **_CHECKED)


def _write_text(file: h5py.File, name: str, values: list[str]) -> None:
    encoded = as_bytes(values)
    file.create_dataset(name, data=np.array(encoded, text_type(encoded)), **_CHECKED)
