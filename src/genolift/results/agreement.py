"""How far a model's outputs are from those that its author got, as a value and in words."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


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
