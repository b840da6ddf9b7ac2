"""What a rule of the workflow asks for its job: memory and time, by the cost model of `settings.costs`."""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from genolift.data.counting import estimated_records, estimated_rows, estimated_windows, megabases
from genolift.settings.costs import COSTS, Size
from genolift.settings.sections import Analysis

_TABLES = ("sequences.tsv", "per_sequence.tsv")


def asked(
    step: str, analysis: Analysis | None = None, files: Iterable[str] = (), attempt: int = 1
) -> dict[str, int]:
    """Return ``mem_mb``, megabytes, and ``runtime``, minutes, of a step's job.

    Parameters
    ----------
    step
        The rule.
    analysis
        None for a step of all analyses.
    files
        The job's input files, there or not. A table of sequences among or beside them tells how many windows
        there are; without one the number is estimated from the files that the settings name.
    attempt
        How often the job is run, from 1.
    """
    cost, size = COSTS[step], Size()
    if analysis is not None:
        size = _size(analysis, files)
    memory = cost.mem_mb(size, attempt)
    if step == "attribute" and analysis is not None and analysis.attribution.memory:
        memory = attempt * analysis.attribution.memory // 10**6
    return {"mem_mb": memory, "runtime": cost.runtime(size, attempt)}


def references_of(analysis: Analysis) -> int:
    """Return how many references each sequence has, of a FASTA about how many."""
    references = analysis.references
    if references.kind == "fasta":
        return max(1, round(_records(str(references.fasta))))
    return references.number if references.drawn else 1


def _size(analysis: Analysis, files: Iterable[str]) -> Size:
    source = analysis.sequences
    (windows, length), own_length = _in_table(files), analysis.length
    length = length or own_length or 0
    windows = windows or _windows(source, own_length)
    return Size(
        windows,
        length,
        references_of(analysis),
        models=len(analysis.models),
        seqlets=analysis.motifs.used["max_seqlets"],
        megabases=_megabases(str(source.fasta or source.genome)),
        minutes=_minutes(files) / len(analysis.models) / analysis.attribution.shards or Size().minutes,
    )


def _in_table(files: Iterable[str]) -> tuple[float, int]:
    """Return the rows and the length of a table of sequences that is there, 0 where none tells them."""
    for file in files:
        folder, name = os.path.split(file)
        if name in (*_TABLES, "sequences.h5"):
            table = Path(folder, name if name in _TABLES else _TABLES[0])
            with suppress(OSError):
                told = table.stat()
                return _rows(table, told.st_size, told.st_mtime_ns)
    return 0, 0


def _minutes(files: Iterable[str]) -> float:
    """Return the minutes of attribution, of all models and shards, that the check wrote beside its output; 0
    where it did not.
    """
    for file in map(Path, files):
        if file.name == "check.json":
            with suppress(OSError, ValueError, KeyError, TypeError):
                return float(json.loads(file.with_name("costs.json").read_bytes())["seconds"]) / 60
    return 0


@lru_cache(1000)
def _rows(table: Path, size: int, time: int) -> tuple[float, int]:
    return estimated_rows(table)


# The files of a config are read once, not once for each job.
_windows = lru_cache(1000)(estimated_windows)
_megabases = lru_cache(1000)(megabases)
_records = lru_cache(1000)(estimated_records)
