"""The encode step: from FASTA, or windows on a genome, to a table and a file of sequences."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genolift.data.alphabet import N_CODE, reverse_complement_codes
from genolift.data.fasta import codes_of_letters, count_replaced_letters, read_codes
from genolift.data.genome import read_windows
from genolift.data.intervals import IntervalFile, read_intervals
from genolift.data.stored_sequences import SEQUENCES, Places, Sequences, write_sequences
from genolift.data.windows import check_chromosomes, strand_of, windows_around
from genolift.errors import InputError, Refusal, refused_as
from genolift.files.hdf5_writing import whole_hdf5
from genolift.files.output_paths import check_outputs
from genolift.files.plain_values import from_json
from genolift.files.whole import existing_file, sha256, whole_file
from genolift.results.provenance import versions
from genolift.settings import sections

_LOG = logging.getLogger("genolift")
_TRIED = 1000
"""The most records of a FASTA in which `trial_sequences` looks for sequences."""
EMPTY, LENGTH, MANY_N = "empty record", "another length", "too many N"
OVER_END, NO_CHROMOSOME = "over a chromosome's end", "chromosome not in the genome"


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


@dataclass(frozen=True)
class _Record:
    """A record of the input: ``codes`` (position,), None if they were not read; ``kind`` and ``reason`` say
    why it is dropped, and are empty if it is kept.
    """

    key: int
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

    @property
    def gc(self) -> float:
        """The fraction of C and G among the letters A C G T, to 6 decimals; NaN if there are none."""
        counts = np.bincount([] if self.codes is None else self.codes, minlength=N_CODE + 1)[:N_CODE]
        return round(float((counts[1] + counts[2]) / counts.sum()), 6) if counts.sum() else float("nan")

    @property
    def kept(self) -> str:
        return "false" if self.kind else "true"

    def dropped(self, kind: str, reason: str) -> _Record:
        return replace(self, kind=kind, reason=reason)


def with_length(source: sections.Sequences, lengths: Mapping[str, int | None]) -> sections.Sequences:
    """Return the source with a length: its own, or else that of the models, by name.

    Raises
    ------
    InputError
        If models have different lengths, or windows need a length and no model says one.
    """
    sections.check_lengths(lengths, "models")
    known = [source.length, *lengths.values()]
    length = next((length for length in known if length is not None), None)
    if length is None and source.bed is not None:
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
    check_outputs([table, store], inputs=[source.fasta, source.bed, source.genome])
    replaced: Counter[str] = Counter()
    found, chromosomes, read = _records(source, rna, replaced)
    made: dict[str, Any] = {**source.model_dump(), "rna": rna}
    if read is not None:
        _report_intervals(read, source)
        made["read_as"] = read.taken_for
        if source.missing_chromosomes == "error":
            check_chromosomes(read.intervals, chromosomes, str(source.bed), str(source.genome))
    records = list(found)
    length = _one_length(records, source) if read is None else source.length or 0
    records = [_sifted(record, length, source.max_n_fraction) for record in records]
    summary = _summary(records, length, replaced, source=str(source.fasta or source.bed))
    made |= {**asdict(summary), "letters_replaced": replaced}
    with whole_file(table) as table_beside, whole_hdf5(store) as file:
        columns = SEQUENCES.columns
        SEQUENCES.write_rows(table_beside, ([getattr(each, name) for name in columns] for each in records))
        provenance = json.dumps({**versions(), "encode": made}, sort_keys=True)
        attributes = {"provenance": provenance, "table_sha256": sha256(table_beside)}
        write_sequences(file, _sequences(records, chromosomes), attributes)
    return summary


def encode_analysis(
    settings: sections.Settings, *, table: Path, store: Path, check: Path | None = None
) -> EncodeSummary:
    """Write the sequences of an analysis as `encode` does, as long as the keys or else the models say.

    The models are loaded for it where there is no ``check``, the file in which the check says what they say.
    """
    source, models = settings.sequences, {name: spec for name, spec in settings.models.items() if spec.path}
    if source.length is None and check is not None:
        check_outputs([table, store], inputs=[check])
        source = with_length(source, {"the model": _length_said(check)})
    elif source.length is None and models:
        from genolift.models import input_length, load_model  # with torch, seconds

        check_outputs([table, store], inputs=[file for spec in models.values() for file in spec.files])
        lengths = {
            name: spec.input_length or input_length(load_model(spec), spec) for name, spec in models.items()
        }
        source = with_length(source, lengths)
    return encode(source, table=table, store=store, rna=settings.rna_alphabet is not None)


def _length_said(check: Path) -> int | None:
    """Return the length of the models' input that the check found, in bases; None if no model says any."""
    refusal = Refusal("is not what genolift check writes", check, "run genolift check again")
    with refused_as(refusal, (ValueError, KeyError, TypeError)):
        said = from_json(existing_file(check).read_text(encoding="utf-8"), str(check))["input_length"]
        if said is not None and (type(said) is not int or said < 1):
            raise ValueError(f"input_length is {said!r}")
    return said


def trial_sequences(source: sections.Sequences, n: int = 2, *, rna: bool = False) -> Sequences:
    """Return the first ``n`` sequences that `encode` would keep, or all if there are fewer.

    Only as much of the files is read as necessary. For windows on a genome without an index, they are the
    first ones in the genome.

    Raises
    ------
    InputError
        As `encode`, for mistakes in what is read.
    """
    seen: list[_Record] = []
    # ten times as many, since some may be dropped for their N
    records, chromosomes, read = _records(source, rna, Counter(), enough=10 * n)
    if read is None:
        records = islice(records, _TRIED)
    kept = list(islice(_kept(records, source, seen), n))
    if kept:
        return _sequences(kept, chromosomes)
    if read is None:
        _one_length(seen, source)
    else:
        check_chromosomes(read.intervals, chromosomes, str(source.bed), str(source.genome))
    raise InputError(
        "none of the first sequences can be used",
        where=str(source.fasta or source.bed),
        remedy="run genolift encode on it, which says why they are dropped",
    )


def _kept(records: Iterable[_Record], source: sections.Sequences, seen: list[_Record]) -> Iterator[_Record]:
    """Yield the records that are kept; add all to ``seen``, without their codes."""
    length = source.length
    for record in records:
        length = length or record.length
        seen.append(replace(record, codes=None))
        if not _sifted(record, length, source.max_n_fraction).kind:
            yield record


def _report_intervals(read: IntervalFile, source: sections.Sequences) -> None:
    """Log the format of a file of intervals, and what its windows are centred on."""
    n_midpoints = sum(interval.summit is None for interval in read.intervals)
    if read.doubt:
        _LOG.warning("%s: %s", source.bed, read.doubt)
    if read.taken_for != "BED":
        _LOG.info("%s: read as %s", source.bed, read.taken_for)
    if source.center == "summit" and n_midpoints:
        told = "%d of %d intervals name no summit: their windows are centred on the midpoint"
        _LOG.info(told, n_midpoints, len(read.intervals))


def _records(
    source: sections.Sequences, rna: bool, replaced: Counter[str], enough: int | None = None
) -> tuple[Iterator[_Record], dict[str, int], IntervalFile | None]:
    """Return the records of the input in order, the lengths of the genome's chromosomes, and the intervals.

    There are no chromosomes or intervals for FASTA. Of windows, the letters of ``enough`` are read, and the
    records of the others are dropped.
    """
    if source.fasta is not None:
        coded = read_codes(source.fasta, replaced, rna=rna, kept_per_base=2)  # twice when they are written
        records = (_Record(record.number, record.name, len(codes), codes) for record, codes, _ in coded)
        return records, {}, None
    assert source.bed is not None
    if source.length is None:
        raise InputError("windows need a length", where=source.bed, remedy="give the model's input length")
    read = read_intervals(source.bed, form=source.format, with_strand=source.use_strand)
    windows = windows_around(read.intervals, length=source.length, center=source.center)
    places = [(window.chrom, window.start, window.end) for window in windows]
    found, chromosomes = read_windows(str(source.genome), places, enough=enough)

    def of_windows() -> Iterator[_Record]:
        for key, (window, letters) in enumerate(zip(windows, found, strict=True)):
            strand = strand_of(window, source.use_strand)
            place = window.chrom, window.start, window.end, strand
            record = _Record(key, window.id, window.end - window.start, None, *place)
            if letters is None:
                yield _outside(record, chromosomes)
                continue
            where = f"{source.genome}, record {window.chrom!r}"
            codes = codes_of_letters(letters, where=where, first=window.start, rna=rna)
            replaced.update(count_replaced_letters(letters, codes))
            yield replace(record, codes=reverse_complement_codes(codes) if strand == "-" else codes)

    return of_windows(), chromosomes, read


def _outside(record: _Record, chromosomes: Mapping[str, int]) -> _Record:
    """Return the record of a window without letters, dropped for what its genome lacks."""
    chrom, start, end = record.chrom, record.start or 0, record.end
    if chrom not in chromosomes:
        return record.dropped(NO_CHROMOSOME, f"the genome has no chromosome {chrom}")
    edge = f"{'start' if start < 0 else 'end'} of {chrom}, which has {chromosomes[chrom]} bases"
    return record.dropped(OVER_END, f"the window {start}-{end} runs over the {edge}")


def _one_length(records: Sequence[_Record], source: sections.Sequences) -> int:
    """Return the length of a FASTA's sequences: the one that is asked for, or the one of all records."""
    length, fasta = source.length, str(source.fasta)
    n_of_length = Counter(record.length for record in records if record.length)
    if length is None and len(n_of_length) > 1:
        raise InputError(
            f"the records have more than one length: {_lengths(n_of_length)}",
            where=fasta,
            remedy="give the length that the model takes",
        )
    if length is None:
        return next(iter(n_of_length), 0)
    if n_of_length and length not in n_of_length:
        raise InputError(
            f"the model takes {length} bases, the records have {_lengths(n_of_length)}",
            where=fasta,
            remedy="give sequences of the model's length, or a BED file and a genome to take windows from",
        )
    return length


def _lengths(n_of_length: Counter[int]) -> str:
    if len(n_of_length) == 1:
        return str(next(iter(n_of_length)))
    shown = [f"{length} ({n} record{'s' if n > 1 else ''})" for length, n in n_of_length.most_common(3)]
    shown += [f"{len(n_of_length) - 3} more lengths"] if len(n_of_length) > 3 else []
    return f"{min(n_of_length)} to {max(n_of_length)}: {', '.join(shown)}"


def _sifted(record: _Record, length: int, max_n_fraction: float) -> _Record:
    """Return a record, dropped if it is empty, has another length or too many N."""
    if record.kind:
        return record
    if record.length == 0:
        return record.dropped(EMPTY, "the record is empty")
    if record.length != length:
        return record.dropped(LENGTH, f"has {record.length} bases, not {length}")
    fraction = (record.n_count or 0) / record.length
    if fraction <= max_n_fraction:
        return record
    return record.dropped(MANY_N, f"{fraction:.1%} of its letters are N, more than {max_n_fraction:.1%}")


def _summary(
    records: Sequence[_Record], length: int, replaced: Counter[str], *, source: str
) -> EncodeSummary:
    """Count, and log what was dropped and replaced; raise `InputError` if nothing is kept."""
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
        told = "%s: %d letters that stand for several bases were read as N: %s"
        _LOG.warning(told, source, replaced.total(), letters)
    return EncodeSummary(len(records), n_kept, length, dict(dropped), replaced.total())


def _sequences(records: Iterable[_Record], chromosomes: Mapping[str, int]) -> Sequences:
    """Return the records that are kept."""
    kept = [record for record in records if not record.kind]
    places = None
    if chromosomes:
        places = Places(
            [record.chrom for record in kept],
            np.array([record.start for record in kept], dtype=np.int64),
            [record.strand for record in kept],
        )
    keys, ids = np.array([record.key for record in kept], dtype=np.int64), [record.id for record in kept]
    codes = np.stack([record.codes for record in kept if record.codes is not None])
    return Sequences(keys, ids, codes, chromosomes, places)
