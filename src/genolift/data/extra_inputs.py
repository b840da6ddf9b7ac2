"""The extra inputs of stored sequences: extra channels and a model's further arguments.

They are constants, or are read from tables and bigWigs.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genolift.data.bigwig import BigWig
from genolift.data.number_table import NumberTable, read_number_table
from genolift.data.stored_sequences import Sequences
from genolift.errors import InputError
from genolift.files.whole import sha256
from genolift.settings.extra_inputs import ExtraChannel, ExtraInput, Extras, as_given, check_shape

Rows = Callable[[range], NDArray[np.float32]]
"""Returns the values, (sequence, ...), of some rows of the stored sequences."""


class ExtraInputs:
    """The extra inputs of stored sequences, a few rows at a time.

    Tables are read immediately, bigWigs when their rows are needed.

    Parameters
    ----------
    spec
        Where values come from.
    stored
        The sequences, whose rows in tables are found by id; sequences with the same id share a row.

    Raises
    ------
    InputError
        If a file is missing or wrong, lacks a sequence, or has another number of positions.
    """

    def __init__(self, spec: Extras, stored: Sequences) -> None:
        self._channels = [_channel(channel, stored) for channel in spec.channels]
        self._inputs = [_input(item, stored.id) for item in spec.inputs]
        self.row_bytes = sum(values[0].nbytes for values in self.of(range(1)))
        """Bytes of one sequence's values."""

    def of(self, rows: range) -> tuple[NDArray[np.float32], ...]:
        """Return a model's arguments after the bases for some rows: the extra channels, if there are any,
        (sequence, channel, position), and its further arguments, (sequence, ...) each.
        """
        channels = (np.stack([of(rows) for of in self._channels], 1),) if self._channels else ()
        return (*channels, *(of(rows) for of in self._inputs))


def extras_provenance(spec: Extras) -> dict[str, list[Any]]:
    """Return the extra inputs as in a config, with the SHA-256 of each file."""
    digests = {file: sha256(file) for file in spec.files}

    def told(item: float | ExtraInput | ExtraChannel) -> Any:
        given = as_given(item)
        file = isinstance(given, dict) and (given.get("table") or given.get("bigwig"))
        return {**given, "sha256": digests[file]} if file else given

    return {
        "extra_inputs": [told(item) for item in spec.inputs],
        "extra_channels": [told(channel) for channel in spec.channels],
    }


def example_of(spec: Extras, length: int) -> tuple[NDArray[np.float32], ...]:
    """Return one row of the extra inputs, for sequences of ``length`` bases that are not stored: a table's
    first row, and for a bigWig the value of bases that have none.
    """
    channels = []
    for channel in spec.channels:
        row = np.full(length, channel.missing if isinstance(channel, ExtraChannel) else channel, np.float32)
        if isinstance(channel, ExtraChannel) and channel.table is not None:
            row = _positions(read_number_table(channel.table), channel.table, length).values[0]
        channels.append(row)
    inputs = [_input(item, None)(range(1)) for item in spec.inputs]
    return (*((np.stack(channels)[None],) if channels else ()), *inputs)


def _input(item: ExtraInput, ids: list[str] | None) -> Rows:
    if item.values is not None:
        one = np.array(item.values, np.float32).reshape(item.shape or -1)
        return lambda rows: np.repeat(one[None], len(rows), 0)
    assert item.table is not None
    table = read_number_table(item.table, columns=item.columns, ids=None if ids is None else set(ids))
    width = len(table.columns)
    check_shape(width, item.shape, item.table)
    shape = item.shape or (width,)
    of = _rows_of(table, ids, item.table)
    return lambda rows: of(rows).reshape(len(rows), *shape)


def _channel(channel: float | ExtraChannel, stored: Sequences) -> Rows:
    length = stored.codes.shape[1]
    if not isinstance(channel, ExtraChannel):
        return lambda rows: np.full((len(rows), length), channel, np.float32)
    if channel.bigwig is not None:
        return _along_the_genome(channel.bigwig, channel.missing, stored)
    assert channel.table is not None
    table = read_number_table(channel.table, ids=set(stored.id))
    return _rows_of(_positions(table, channel.table, length), stored.id, channel.table)


def _positions(table: NumberTable, path: str, length: int) -> NumberTable:
    """Return a table after checking that it has a column for each position."""
    width = len(table.columns)
    if width != length:
        raise InputError(
            f"has {width} column{'s' * (width != 1)} beside 'id', the sequences have {length} positions",
            where=path,
            remedy="give a column for each position",
        )
    return table


def _rows_of(table: NumberTable, ids: list[str] | None, path: str) -> Rows:
    """Return a function for the values of the sequences with these ``ids``; if None, of the table's rows."""
    lacking = [name for name in ids or () if name not in table.row_of]
    if lacking:
        raise InputError(
            f"has no row for {len(lacking)} of {len(ids or ())} sequences, {lacking[0]!r} first",
            where=path,
            remedy="give a row for every id of sequences.tsv that is kept",
        )
    if ids is None:
        return lambda rows: table.values[rows.start : rows.stop]
    places = np.array([table.row_of[name] for name in ids])
    return lambda rows: table.values[places[rows.start : rows.stop]]


def _along_the_genome(path: str, missing: float, stored: Sequences) -> Rows:
    """Return a function for a bigWig's values in the windows, reversed if these are on the minus strand."""
    places, length = stored.places, stored.codes.shape[1]
    if places is None:
        raise InputError(
            "the sequences are not windows on a genome, so they have no coordinates in a bigWig",
            where=path,
            remedy="take windows with bed and genome, and encode them again, or give the channel as a table",
        )
    track = BigWig(path)
    track.check_chromosomes({chrom: stored.chromosomes[chrom] for chrom in dict.fromkeys(places.chrom)})

    def of(rows: range) -> NDArray[np.float32]:
        values = np.empty((len(rows), length), np.float32)
        for out, row in zip(values, rows, strict=True):
            start = int(places.start[row])
            along = track.values(places.chrom[row], start, start + length)
            out[:] = along[::-1] if places.strand[row] == "-" else along
        values[np.isnan(values)] = missing
        return values

    return of
