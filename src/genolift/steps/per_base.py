"""The bases of a sequence or of a region of the genome, and the table of all, from an analysis's results."""

import csv
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from genolift.data.stored_sequences import check_table
from genolift.data.window_places import KeptRows
from genolift.errors import InputError
from genolift.files.output_paths import check_outputs
from genolift.results.per_base import base_rows, write_per_base
from genolift.results.store import Contributions, open_contributions
from genolift.settings.several_targets import for_all_targets

_ROWS = 10_000
_REGION = re.compile(r"(?P<chrom>.+):(?P<start>[0-9,]{1,20})(-(?P<end>[0-9,]{1,20}))?")


class Region(NamedTuple):
    """A stretch of a chromosome, 0-based half-open."""

    chrom: str
    start: int
    end: int


@dataclass(frozen=True)
class TableSummary:
    """What `write_all` wrote."""

    bases: int
    path: Path

    def __str__(self) -> str:
        return f"{self.bases} bases: {self.path}"


def check_asked(sequence: str | None, region: str | None, parquet: Path | None) -> None:
    """Raise `InputError` unless one thing is asked for."""
    if sum(given is not None for given in (sequence, region, parquet)) != 1:
        what = "there is no one thing to show"
        raise InputError(what, remedy="give --sequence, --region or --parquet, one of them")


def write_all(results: Path, out: Path) -> TableSummary:
    """Write the table of all bases.

    Raises
    ------
    InputError
        If a file is missing, damaged or of another run, or ``out`` cannot be written.
    """
    check_outputs([out], inputs=[results / "contributions.h5", for_all_targets(results, "sequences.tsv")])
    with _opened(results) as contributions:
        write_per_base(out, contributions, for_all_targets(results, "sequences.tsv"))
        return TableSummary(contributions.n * contributions.length, out)


def bases_of(results: Path, *, sequence: str | None = None, region: str | None = None) -> Iterator[str]:
    """Yield the table's header and rows as TSV, of a sequence, or of a region in every window that has it.

    Parameters
    ----------
    results
        The analysis's folder, with ``contributions.h5`` and ``sequences.tsv``.
    sequence
        A key or an id; ``key=TEXT`` or ``id=TEXT`` where one sequence's key is another's id.
    region
        ``chrom:start-end``, 1-based and including the end, or ``chrom``.

    Raises
    ------
    InputError
        If a file is missing, damaged or of another run, or nothing is there.
    """
    with _opened(results) as contributions:
        part = None if region is None else read_region(region, contributions)
        wanted = _is_of(str(sequence)) if part is None else _overlaps(part)
        found = 0
        for row, place in _chosen(for_all_targets(results, "sequences.tsv"), wanted):
            bases = base_rows(contributions, row, place)
            if part is not None:
                there = bases["genome_position"]
                bases = bases[((there >= part.start) & (there < part.end)).fillna(False).astype(bool)]
                if bases.empty:  # what the window has of the region was padded
                    continue
            text = {"sep": "\t", "quoting": csv.QUOTE_NONE, "lineterminator": "\n"}
            yield bases.to_csv(index=False, header=found == 0, **text)  # type: ignore[call-overload]
            found += 1
        if not found:
            raise _nothing(results, sequence, region)


@contextmanager
def _opened(results: Path) -> Iterator[Contributions]:
    path = results / "contributions.h5"
    with open_contributions(path) as contributions:
        check_table(for_all_targets(results, "sequences.tsv"), contributions.provenance, str(path))
        yield contributions


def read_region(text: str, contributions: Contributions) -> Region:
    """Return what ``chrom:start-end`` or ``chrom`` names on the genome of these contributions."""
    chromosomes = contributions.chromosomes
    if not chromosomes:
        what = "the sequences are not windows on a genome"
        raise InputError(what, where="--region", remedy="give --sequence")
    if text in chromosomes:
        return Region(text, 0, chromosomes[text])
    found = _REGION.fullmatch(text)
    if found is None or found["chrom"] not in chromosomes:
        what = f"'{text}' names no chromosome of the genome, such as {next(iter(chromosomes))}"
        raise InputError(what, where="--region", remedy="write it as chrom:start-end")
    start, end = (
        int(each.replace(",", "") or 0) for each in (found["start"], found["end"] or found["start"])
    )
    if not 1 <= start <= end:
        what = f"'{text}' does not go from 1 or more to as much or more"
        raise InputError(what, where="--region", remedy="write it as chrom:start-end")
    return Region(found["chrom"], start - 1, end)


def _overlaps(part: Region) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda rows: (
        (rows["chrom"] == part.chrom) & (rows["start"] < part.end) & (rows["end"] > part.start)
    )


def _is_of(text: str) -> Callable[[pd.DataFrame], pd.Series]:
    """Return what picks the sequences of a key or id, and refuses a text that is both."""
    for name in ("key", "id"):
        if text.startswith(f"{name}="):
            value = text.removeprefix(f"{name}=")
            return lambda rows: rows[name].astype(str) == value
    seen: dict[str, object] = {}

    def wanted(rows: pd.DataFrame) -> pd.Series:
        by_key, by_id = rows["key"].astype(str) == text, rows["id"] == text
        for name, chosen in (("key", by_key & ~by_id), ("id", by_id & ~by_key)):
            seen.update({name: rows["key"][chosen].iloc[0]} if chosen.any() else {})
        if len(seen) == 2:
            what = f"'{text}' is the key of one sequence and the id of another, whose key is {seen['id']}"
            raise InputError(what, where="--sequence", remedy=f"give key={text} or id={text}")
        return by_key | by_id

    return wanted


def _chosen(
    sequences: Path, wanted: Callable[[pd.DataFrame], pd.Series]
) -> Iterator[tuple[int, pd.DataFrame]]:
    """Yield the row in contributions.h5 of each chosen sequence, and its row of ``sequences.tsv``."""
    kept, first, chosen = KeptRows(sequences), 0, []
    while len(rows := kept.next(_ROWS)):
        numbers = wanted(rows).fillna(False).to_numpy(bool).nonzero()[0].tolist()
        chosen += [(first + number, rows.iloc[[number]].reset_index(drop=True)) for number in numbers]
        first += len(rows)
    yield from chosen


def _nothing(results: Path, sequence: str | None, region: str | None) -> InputError:
    where = str(for_all_targets(results, "sequences.tsv"))
    if region is not None:
        return InputError(f"no kept window has a base of {region}", where=where, remedy="look for one in it")
    what = f"no kept sequence has the key or id '{sequence}'"
    return InputError(what, where=where, remedy="look for one in it; it says why a sequence was not kept")
