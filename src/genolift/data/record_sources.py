"""Where records come from: a FASTA, or windows on a genome. They are read once, a record at a time."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from genolift.data.alphabet import N_CODE, reverse_complement_codes
from genolift.data.blacklist import Blacklist
from genolift.data.fasta import codes_of_letters, count_replaced_letters, read_codes
from genolift.data.genome import Chromosome, read_genome
from genolift.data.intervals import read_intervals
from genolift.data.records import Records, Why
from genolift.data.stored_sequences import Sequences
from genolift.data.tiles import Tiles
from genolift.data.windows import Window, WindowsAround, check_chromosomes, same_chromosome
from genolift.errors import InputError, did_you_mean, few
from genolift.files.scratch import Scratch
from genolift.files.text import read_lines
from genolift.settings import sections

_LOG = logging.getLogger("genolift")
_TRIED = 1000
"""The most records of a FASTA in which `FastaSource.first` looks for sequences."""
Kept = Iterator[tuple[int, NDArray[np.uint8]]]
"""Keys and codes, uint8 (position,), of records that are kept."""


class FastaSource:
    """The records of a FASTA; without a length, all must have the same one."""

    read_as = None

    def __init__(self, source: sections.Sequences, rna: bool) -> None:
        self.file = str(source.fasta)
        self._source, self._rna = source, rna

    def read(self, scratch: Scratch) -> Records:
        """Return all records, with the codes of those that are kept in the scratch file, at key * length."""
        records = self._new()
        for key, codes in self._kept(records):
            scratch.write(key * records.length, codes.tobytes())
        self._check_lengths(records)
        return records

    def first(self, n: int) -> Sequences | None:
        """Return the first ``n`` of the first thousand that are kept, or None; no more is read."""
        records = self._new()
        found = list(islice(self._kept(records, _TRIED), n))
        if not found:
            self._check_lengths(records)
        return _of_found(records, found)

    def number(self) -> int:
        """Return how many records there are, those that will be dropped too."""
        return sum(line.startswith(">") for line in read_lines(self.file))

    def _new(self) -> Records:
        return Records(self._source.length or 0, self._source.max_n_fraction)

    def _kept(self, records: Records, most: int | None = None) -> Kept:
        coded = read_codes(str(self._source.fasta), records.replaced, rna=self._rna)
        for record, codes, _ in islice(coded, most):
            records.length = records.length or len(codes)
            if records.add(record.name, codes):
                yield record.number, codes

    def _check_lengths(self, records: Records) -> None:
        """Raise `InputError` if records have several lengths, and none is asked for, or none has that one."""
        n_of_length = Counter(length for length in records.lengths if length)
        if self._source.length is None and len(n_of_length) > 1:
            raise InputError(
                f"the records have more than one length: {_lengths(n_of_length)}",
                where=self.file,
                remedy="give the length that the model takes",
            )
        if n_of_length and records.length not in n_of_length:
            raise InputError(
                f"the model takes {records.length} bases, the records have {_lengths(n_of_length)}",
                where=self.file,
                remedy="give sequences of the model's length, or a BED file and a genome, for windows",
            )


class _OnGenome(ABC):
    """Windows on a genome; a subclass says which."""

    read_as: str | None = None

    def __init__(self, source: sections.Sequences, rna: bool) -> None:
        if source.bases is None:
            remedy = "give the model's input length"
            raise InputError("windows need a length", where=source.file, remedy=remedy)
        self.file, self._genome, self._length = source.file, str(source.genome), source.bases
        self._source, self._rna = source, rna
        self._blacklist = None if source.blacklist is None else Blacklist(source.blacklist)

    @abstractmethod
    def _windows(self) -> WindowsAround | Tiles:
        """Return the windows, those that tile a genome before any of its chromosomes is known."""

    def _report(self) -> None:  # noqa: B027 (nothing to tell)
        """Log how the windows were read."""

    @abstractmethod
    def _check(self, records: Records, *, found: bool) -> None:
        """Raise `InputError` if windows are asked for that the genome, which was read, does not have."""

    def read(self, scratch: Scratch) -> Records:
        """Return all records, with the codes of those that are kept in the scratch file, at key * length."""
        self._report()

        def read(chromosomes: Iterator[Chromosome]) -> Records:
            records = self._new()
            for key, codes in self._kept(records, chromosomes):
                scratch.write(key * records.length, codes.tobytes())
            return records

        records = read_genome(self._genome, read)
        if self._blacklist is not None:
            self._blacklist.report(records.chromosomes, self._genome)
        self._check(records, found=True)
        return records

    def first(self, n: int) -> Sequences | None:
        """Return the first ``n`` in the genome that are kept, or None; no more of the genome is read."""

        def read(chromosomes: Iterator[Chromosome]) -> tuple[Records, list[tuple[int, NDArray[np.uint8]]]]:
            records = self._new()
            return records, list(islice(self._kept(records, chromosomes), n))

        records, found = read_genome(self._genome, read)
        if not found:
            self._check(records, found=False)
        return _of_found(records, found)

    def _new(self) -> Records:
        records = Records(self._length, self._source.max_n_fraction, windows=self._windows())
        records.blacklist = self._blacklist
        return records

    def _kept(self, records: Records, chromosomes: Iterator[Chromosome]) -> Kept:
        """Read the windows on each chromosome in turn."""
        windows = records.windows
        assert windows is not None
        records.grow(len(windows), Why.NO_CHROMOSOME)
        for chromosome in chromosomes:
            name, length = chromosome.name, chromosome.length
            records.chromosomes[name] = length
            keys = windows.on(name, length)
            records.grow(len(windows), Why.NO_CHROMOSOME)
            for key in keys.tolist():
                window = windows[key]
                records.why[key] = self._outside(window, length)
                if records.why[key] == Why.KEPT:
                    codes = self._codes(window, chromosome, records.replaced)
                    if records.take(key, codes):
                        yield key, codes

    def _outside(self, window: Window, length: int) -> Why:
        """Return why a window is dropped whatever its letters, on a chromosome of so many bases."""
        within = min(window.end, length) - max(window.start, 0)
        if within <= 0 or (within < self._length and not self._source.pad):
            return Why.OVER_END
        black = self._blacklist and self._blacklist.over(window.chrom, window.start, window.end)
        return Why.BLACKLISTED if black else Why.KEPT

    def _codes(self, window: Window, chromosome: Chromosome, replaced: Counter[str]) -> NDArray[np.uint8]:
        """Return the codes of a window, uint8 (position,), N beyond its chromosome's ends."""
        first, last = max(window.start, 0), min(window.end, chromosome.length)
        letters = chromosome.letters(first, last)
        where = f"{self._genome}, record {chromosome.name!r}"
        codes = codes_of_letters(letters, where=where, first=first, rna=self._rna)
        replaced.update(count_replaced_letters(letters, codes))
        if len(codes) < self._length:
            codes = np.pad(codes, (first - window.start, window.end - last), constant_values=N_CODE)
        return reverse_complement_codes(codes) if window.strand == "-" else codes


class WindowSource(_OnGenome):
    """Windows around the intervals of a file."""

    def __init__(self, source: sections.Sequences, rna: bool) -> None:
        super().__init__(source, rna)
        self._intervals = read_intervals(self.file, form=source.format, with_strand=source.use_strand)
        self.read_as = self._intervals.taken_for
        self._around = WindowsAround(
            self._intervals.intervals,
            length=self._length,
            center=source.center,
            use_strand=source.use_strand,
        )

    def _windows(self) -> WindowsAround:
        return self._around

    def number(self) -> int:
        """Return how many windows there are, those that will be dropped too."""
        return len(self._around)

    def _check(self, records: Records, *, found: bool) -> None:
        if self._source.missing_chromosomes == "error" or not found:
            check_chromosomes(self._intervals.intervals, records.chromosomes, self.file, self._genome)

    def _report(self) -> None:
        """Log the format of the file of intervals, and what its windows are centred on."""
        read = self._intervals
        n_midpoints = int(np.count_nonzero(read.intervals.summit < 0))
        if read.doubt:
            _LOG.warning("%s: %s", self.file, read.doubt)
        if read.taken_for != "BED":
            _LOG.info("%s: read as %s", self.file, read.taken_for)
        if self._source.center == "summit" and n_midpoints:
            told = "%d of %d intervals name no summit: their windows are centred on the midpoint"
            _LOG.info(told, n_midpoints, len(read.intervals))


class TileSource(_OnGenome):
    """Windows side by side along the genome."""

    def __init__(self, source: sections.Sequences, rna: bool) -> None:
        super().__init__(source, rna)
        assert source.tile is not None
        self._stride, self._chromosomes = source.tile.stride or self._length, source.tile.chromosomes

    def _windows(self) -> Tiles:
        return Tiles(self._length, self._stride, self._chromosomes, pad=self._source.pad)

    def number(self) -> int:
        """Return how many windows there are; a genome without an index is read for it."""

        def tiled(chromosomes: Iterator[Chromosome]) -> int:
            windows = self._windows()
            for chromosome in chromosomes:
                windows.on(chromosome.name, chromosome.length)
            return len(windows)

        return read_genome(self._genome, tiled)

    def _check(self, records: Records, *, found: bool) -> None:
        known = records.chromosomes
        for name in self._chromosomes:
            if name not in known:
                same = same_chromosome(name, known)
                near = f"the genome calls it {same!r}" if same else f"it has {few(known)}"
                remedy = near if same else did_you_mean(name, known, near)
                where = f"sequences.regions.tile.chromosomes: {name!r}"
                raise InputError(f"is not in the genome {self._genome}", where=where, remedy=remedy)
        if not len(records):
            raise InputError(
                f"no chromosome that is tiled has the {self._length} bases of a window",
                where=self._genome,
                remedy="give a smaller width, or set sequences.pad (--pad)",
            )


def source_of(source: sections.Sequences, rna: bool) -> FastaSource | WindowSource | TileSource:
    """Return the source of an analysis's records.

    Raises
    ------
    InputError
        If a file of intervals is missing or wrong, or windows have no length.
    """
    if not source.on_genome:
        return FastaSource(source, rna)
    return WindowSource(source, rna) if source.tile is None else TileSource(source, rna)


def codes_of(scratch: Scratch, keys: NDArray[np.int64], length: int) -> NDArray[np.uint8]:
    """Return the codes of some records, uint8 (record, position), from a scratch file."""
    codes = np.empty((len(keys), length), np.uint8)
    row = 0
    for run in np.split(keys, np.flatnonzero(np.diff(keys) != 1) + 1):
        read = scratch.read(int(run[0]) * length, len(run) * length)
        codes[row : row + len(run)] = np.frombuffer(read, np.uint8).reshape(len(run), length)
        row += len(run)
    return codes


def _of_found(records: Records, found: Sequence[tuple[int, NDArray[np.uint8]]]) -> Sequences | None:
    if not found:
        return None
    found = sorted(found, key=lambda each: each[0])
    return records.sequences([key for key, _ in found], np.stack([codes for _, codes in found]))


def _lengths(n_of_length: Counter[int]) -> str:
    if len(n_of_length) == 1:
        return str(next(iter(n_of_length)))
    shown = [f"{length} ({n} record{'s' if n > 1 else ''})" for length, n in n_of_length.most_common(3)]
    shown += [f"{len(n_of_length) - 3} more lengths"] if len(n_of_length) > 3 else []
    return f"{min(n_of_length)} to {max(n_of_length)}: {', '.join(shown)}"
