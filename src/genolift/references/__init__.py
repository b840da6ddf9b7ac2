"""What a sequence is compared with: shuffles of it, or references that all sequences share, and their files.

May import the rooms `data`, `files` and `settings`, and numba's compiler from `engine.backends`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genolift.references.makers import (
        Reference,
        base_frequencies,
        dinucleotide_shuffle,
        uniform_shuffle,
        zeros,
    )

__all__ = ["Reference", "base_frequencies", "dinucleotide_shuffle", "uniform_shuffle", "zeros"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from genolift.references import makers  # when first used: the shuffles take a while to import

        return getattr(makers, name)
    raise AttributeError(f"module 'genolift.references' has no attribute {name!r}")
