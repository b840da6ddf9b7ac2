"""What a model is given beside the bases, the same in a sequence and its references."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from genolift.errors import InputError
from genolift.settings.fields import Section, together
from genolift.settings.mistakes import checked
from genolift.settings.types import FILES, File, Filled, ListOf, Positions, Text, Value

_OF_BIGWIGS = ("missing", "width", "stranded")
_MOST_VALUES = 10**8
"""Of one number that fills a shape: 0.4 GB for each sequence."""


class ExtraInput(Section):
    """One further argument of a model: the row of a table for each sequence, the values of bigWigs at its
    bases, or the same values for all.
    """

    table: File | None = None
    """a table with a column `id`, and numbers in the others; TSV or CSV"""
    columns: Filled[Text] | None = None
    """the table's columns to take, in order; by default all"""
    values: Value | Filled[Value] | None = None
    """the same values for every sequence; one number fills the shape"""
    shape: Filled[Positions] | None = None
    """the shape of one sequence's input, where it is not flat"""
    bigwig: File | Filled[File] | None = None
    """bigWigs, such as a control's of the plus and the minus strand: the input is (bigWig, position)"""
    missing: Value = 0.0
    """what stands for a base that a bigWig has no value for, or that is beyond its chromosome"""
    width: Positions | None = None
    """positions of the bigWigs' values, centred on the window; by default the window's"""
    stranded: bool = True
    """swap two bigWigs for a window that is read along the minus strand"""

    @property
    def bigwigs(self) -> tuple[str, ...]:
        """The bigWigs in order; none if it is a table or values."""
        return (self.bigwig,) if isinstance(self.bigwig, str) else self.bigwig or ()

    @together
    def _one_source(self) -> None:
        given = [f"'{name}'" for name in ("table", "values", "bigwig") if getattr(self, name) is not None]
        if len(given) != 1:
            what = f"{' and '.join(given)} are given" if given else "there are no values"
            raise InputError(what, remedy="give one of 'table', 'values' and 'bigwig'")
        if self.columns is not None and self.table is None:
            raise InputError("'columns' is given without 'table'", remedy="leave 'columns' out")
        for name in _OF_BIGWIGS:
            if name in self.model_fields_set and self.bigwig is None:
                raise InputError(f"'{name}' is given without 'bigwig'", remedy=f"leave '{name}' out")
        if self.shape is not None and self.bigwig is not None:
            remedy = "leave 'shape' out: it is the number of bigWigs, and 'width'"
            raise InputError("'shape' is given with 'bigwig'", remedy=remedy)
        self._check_values()

    def _check_values(self) -> None:
        if isinstance(self.values, tuple):
            check_shape(len(self.values), self.shape, "")
        elif self.values is not None and self.shape is None:
            remedy = f"give 'shape' too, or a list: [{self.values:g}] for one value"
            raise InputError("one number is given without 'shape'", remedy=remedy)
        elif self.values is not None and math.prod(self.shape or ()) > _MOST_VALUES:
            what = f"the shape {list(self.shape or ())} has more than {_MOST_VALUES:,} values"
            raise InputError(what, remedy="give the shape of one sequence's input")


class ExtraChannel(Section):
    """One channel beyond those of the alphabet, from a file."""

    bigwig: File | None = None
    """a bigWig, whose values at a window's bases are taken"""
    missing: Value = 0.0
    """what stands for a base that the bigWig has no value for"""
    table: File | None = None
    """a table with a column `id`, and a column for each position"""

    @together
    def _one_source(self) -> None:
        if (self.table is None) == (self.bigwig is None):
            what = "neither 'bigwig' nor 'table' is given" if self.table is None else "both are given"
            raise InputError(what, remedy="give a number, 'bigwig' or 'table'")
        if "missing" in self.model_fields_set and self.bigwig is None:
            raise InputError("'missing' is given without 'bigwig'", remedy="leave 'missing' out")


class Extras(Section):
    """Everything that a model is given beside the bases; the same in a sequence and in its references."""

    inputs: Annotated[ListOf[ExtraInput], Field(alias="extra_inputs")] = ()
    channels: Annotated[ListOf[Value | ExtraChannel], Field(alias="extra_channels")] = ()

    @classmethod
    def of(cls, inputs: Sequence[Any], channels: Sequence[Any], where: str = "") -> Extras:
        """Return the items of ``extra_inputs`` and ``extra_channels``.

        Raises
        ------
        InputError
            If an item is none: its place, a remedy.
        """
        return checked(cls, {"extra_inputs": inputs, "extra_channels": channels}, where=where, asks={FILES})


def check_shape(width: int, shape: Sequence[int] | None, where: str) -> None:
    """Raise `InputError` if so many values do not fill a shape."""
    if shape is not None and math.prod(shape) != width:
        raise InputError(
            f"{width} value{'s' * (width != 1)} do not fill the shape {list(shape)}",
            where=where,
            remedy=f"give {math.prod(shape)} values, or another shape",
        )


def as_given(item: float | ExtraInput | ExtraChannel) -> Any:
    """Return an item as a config gives it, of plain values."""
    if not isinstance(item, Section):
        return item
    given = item.model_dump(mode="json", exclude_none=True)
    if "bigwig" not in given:
        given = {key: value for key, value in given.items() if key not in _OF_BIGWIGS}
    return given
