"""The extra inputs of stored sequences: extra channels and a model's further arguments.

They are constants, or are read from tables and bigWigs.
"""

from collections.abc import Callable, Sequence
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
        self._inputs = [
            _along_the_genome(item.bigwigs, item.missing, stored, item.width, swapped=item.stranded)
            if item.bigwigs
            else _input(item, stored.id)
            for item in spec.inputs
        ]
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
        named = isinstance(given, dict) and (given.get("table") or given.get("bigwig"))
        if isinstance(named, list):
            return {**given, "sha256": [digests[file] for file in named]}
        return {**given, "sha256": digests[named]} if named else given

    return {
        "extra_inputs": [told(item) for item in spec.inputs],
        "extra_channels": [told(channel) for channel in spec.channels],
    }


def example_of(spec: Extras, length: int) -> tuple[NDArray[np.float32], ...]:
    """Return one row of the extra inputs, for sequences of ``length`` bases that are not stored: a table's
    first row, and for bigWigs the value of bases that have none.
    """
    channels = []
    for channel in spec.channels:
        row = np.full(length, channel.missing if isinstance(channel, ExtraChannel) else channel, np.float32)
        if isinstance(channel, ExtraChannel) and channel.table is not None:
            row = _positions(read_number_table(channel.table), channel.table, length).values[0]
        channels.append(row)
    inputs = [
        np.full((1, len(item.bigwigs), item.width or length), item.missing, np.float32)
        if item.bigwigs
        else _input(item, None)(range(1))
        for item in spec.inputs
    ]
    return (*((np.stack(channels)[None],) if channels else ()), *inputs)


def _input(item: ExtraInput, ids: list[str] | None) -> Rows:
    if item.values is not None:
        one = np.array(item.values, np.float32)
        one = one.reshape(item.shape or -1) if one.ndim else np.broadcast_to(one, item.shape or ())
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
        of = _along_the_genome((channel.bigwig,), channel.missing, stored)
        return lambda rows: of(rows)[:, 0]
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


def _along_the_genome(
    paths: Sequence[str],
    missing: float,
    stored: Sequences,
    width: int | None = None,
    *,
    swapped: bool = False,
) -> Rows:
    """Return a function for the values of bigWigs, (sequence, bigWig, position), in the windows or in
    ``width`` positions around their middles.

    They are read as the sequence is: reversed for a window on the minus strand, where two bigWigs, of the
    plus and the minus strand, change places if ``swapped``. Position 0 is position (length - width) // 2 of
    the sequence.
    """
    places, length = stored.places, stored.codes.shape[1]
    if places is None:
        raise InputError(
            "the sequences are not windows on a genome, so they have no coordinates in a bigWig",
            where=paths[0],
            remedy="take windows with bed and genome, and encode them again, or give a table",
        )
    tracks = [BigWig(path) for path in paths]
    for track in tracks:
        track.check_chromosomes({chrom: stored.chromosomes[chrom] for chrom in dict.fromkeys(places.chrom)})
    width = width or length
    before = (length - width) // 2
    after = length - width - before

    def of(rows: range) -> NDArray[np.float32]:
        values = np.empty((len(rows), len(tracks), width), np.float32)
        for out, row in zip(values, rows, strict=True):
            chrom, minus = places.chrom[row], places.strand[row] == "-"
            start = int(places.start[row]) + (after if minus else before)
            along = np.stack([track.values(chrom, start, start + width) for track in tracks])
            if minus:
                along = along[::-1, ::-1] if swapped and len(tracks) == 2 else along[:, ::-1]
            out[:] = along
        values[np.isnan(values)] = missing
        return values

    return of
