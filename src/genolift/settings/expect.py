"""The outputs that a model's author got, to compare with: the config's ``model.expect`` as a type, and
in words what was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from genolift.errors import InputError, unknown_key


@dataclass(frozen=True)
class Expect:
    """A few inputs, and the outputs that the author's own framework gave for them."""

    inputs: str
    """A .npz file of arrays, or a FASTA."""
    outputs: str
    """A .npz file, which may be the same, or a table of numbers by sequence id."""
    tolerance: float = 1e-4
    """The largest difference that is let pass, as a share of the largest of the author's values."""

    @classmethod
    def of(cls, given: Any, where: str = "model.expect") -> Expect | None:
        """Return the config's mapping as a type; None where it is empty.

        Raises
        ------
        InputError
            If a key is not known, one of the two files is not named, or the tolerance is none.
        """
        if given is None or isinstance(given, Expect):
            return given
        known = [each.name for each in fields(cls)]
        if not isinstance(given, Mapping):
            raise InputError(
                f"is a {type(given).__name__}", where=where, remedy="give a mapping with inputs and outputs"
            )
        for key in given:
            if key not in known:
                raise unknown_key(key, known, where)
        named = {key: value for key, value in given.items() if value is not None}
        if not named:
            return None
        for key, holds in (("inputs", "a few inputs"), ("outputs", "what the author's framework gave")):
            if not named.get(key):
                raise InputError(
                    f"'{key}' is missing", where=where, remedy=f"name a file of {holds}, or leave expect out"
                )
        tolerance = named.get("tolerance", cls.tolerance)
        if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 < tolerance <= 1:
            raise InputError(
                f"{tolerance!r} is no tolerance",
                where=f"{where}.tolerance",
                remedy="give a share of the largest output, such as 0.0001",
            )
        return cls(str(named["inputs"]), str(named["outputs"]), float(tolerance))

    def keys(self) -> dict[str, Any]:
        """Return the config's keys that make this, as `of` takes them."""
        return asdict(self)

    @property
    def files(self) -> tuple[str, ...]:
        """The files that are read, each once."""
        return tuple(dict.fromkeys((self.inputs, self.outputs)))


@dataclass(frozen=True)
class Agreement:
    """How far a model's outputs are from the author's: on how many sequences they were compared, how many
    outputs the model has, and the largest difference, as a share of the largest of the author's values of
    that output.
    """

    sequences: int
    outputs: int
    error: float


def agreement_in_words(found: Agreement | Mapping[str, Any]) -> str:
    """Return ``agrees with the author's outputs on 8 sequences (4e-7)``, from an `Agreement` or its JSON."""
    told = asdict(found) if isinstance(found, Agreement) else found
    number, error = int(told["sequences"]), float(told["error"])
    mantissa, _, exponent = f"{error:.0e}".partition("e")
    size = f"{mantissa}e{int(exponent)}" if error else "to the last digit"
    return f"agrees with the author's outputs on {number:,} sequence{'s' * (number != 1)} ({size})"
