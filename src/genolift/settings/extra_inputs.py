"""What a model is given beside the bases, the same in a sequence and its references: the config's
``extra_inputs`` and ``extra_channels`` as types.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genolift.errors import InputError
from genolift.files.whole import existing_file


@dataclass(frozen=True)
class ExtraInput:
    """One further argument of a model: the row of a table for each sequence, or the same values for all."""

    table: str | None = None
    """A table with a column ``id``, and numbers in the others."""
    columns: tuple[str, ...] | None = None
    """Those of the table's columns to take, in order; None for all."""
    values: tuple[float, ...] | None = None
    shape: tuple[int, ...] | None = None
    """The shape of the argument without the row's axis; None for a flat one."""

    @classmethod
    def of(cls, given: Mapping[str, Any], where: str) -> ExtraInput:
        """Return an item of ``extra_inputs`` as a type; its keys and their types have been checked.

        Raises
        ------
        InputError
            If keys contradict each other, or a file is missing.
        """
        plain: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in given.items()
        }
        made = cls(**plain)
        if (made.table is None) == (made.values is None):
            what = "neither 'table' nor 'values' is given" if made.table is None else "both are given"
            raise InputError(what, where=where, remedy="give 'table' or 'values'")
        if made.columns is not None and made.table is None:
            raise InputError("'columns' is given without 'table'", where=where, remedy="leave 'columns' out")
        if made.table is not None:
            existing_file(made.table, where=where)
        if made.values is not None:
            check_shape(len(made.values), made.shape, where)
        return made


@dataclass(frozen=True)
class ExtraChannel:
    """One channel beyond those of the alphabet: a constant, a bigWig's values or the row of a table."""

    constant: float | None = None
    bigwig: str | None = None
    missing: float = 0.0
    """What stands for a base that the bigWig has no value for."""
    table: str | None = None
    """A table with a column ``id``, and a column of numbers for each position."""

    @classmethod
    def of(cls, given: float | Mapping[str, Any], where: str) -> ExtraChannel:
        """Return an item of ``extra_channels`` as a type; its keys and their types have been checked.

        Raises
        ------
        InputError
            If keys contradict each other, or a file is missing.
        """
        if not isinstance(given, Mapping):
            return cls(constant=float(given))
        made = cls(**given)
        if (made.table is None) == (made.bigwig is None):
            what = "neither 'bigwig' nor 'table' is given" if made.table is None else "both are given"
            raise InputError(what, where=where, remedy="give a number, 'bigwig' or 'table'")
        if "missing" in given and made.bigwig is None:
            raise InputError("'missing' is given without 'bigwig'", where=where, remedy="leave 'missing' out")
        existing_file(made.bigwig or made.table or "", where=where)
        return made


@dataclass(frozen=True)
class HeldSpec:
    """Everything that a model is given beside the bases; of no use to a model that is given nothing."""

    inputs: tuple[ExtraInput, ...] = ()
    channels: tuple[ExtraChannel, ...] = ()

    @classmethod
    def of(cls, inputs: Sequence[Any], channels: Sequence[Any], where: str) -> HeldSpec:
        """Return the items of ``extra_inputs`` and ``extra_channels``; errors name the item."""
        return cls(
            tuple(ExtraInput.of(item, f"{where}extra_inputs[{i}]") for i, item in enumerate(inputs)),
            tuple(ExtraChannel.of(item, f"{where}extra_channels[{i}]") for i, item in enumerate(channels)),
        )

    @property
    def files(self) -> tuple[str, ...]:
        """The files that values are read from, each once."""
        named = [item.table for item in self.inputs]
        named += [channel.bigwig or channel.table for channel in self.channels]
        return tuple(dict.fromkeys(file for file in named if file is not None))


def check_shape(width: int, shape: Sequence[int] | None, where: str) -> None:
    """Raise `InputError` if so many values do not fill a shape."""
    if shape is not None and math.prod(shape) != width:
        raise InputError(
            f"{width} value{'s' * (width != 1)} do not fill the shape {list(shape)}",
            where=where,
            remedy=f"give {math.prod(shape)} values, or another shape",
        )


def as_given(item: ExtraInput | ExtraChannel) -> Any:
    """Return an item as a config gives it, of plain values."""
    return (
        item.constant if isinstance(item, ExtraChannel) and item.constant is not None else dict(_keys(item))
    )


def _keys(item: ExtraInput | ExtraChannel) -> Iterator[tuple[str, Any]]:
    for key, value in vars(item).items():
        if value is not None and not (key == "missing" and vars(item)["bigwig"] is None):
            yield key, list(value) if isinstance(value, tuple) else value
