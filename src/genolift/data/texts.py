"""Many texts in little memory: names of sequences and of intervals."""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray


class Texts(Sequence[str]):
    """A list of texts that takes their UTF-8 bytes and 8 more, where Python's takes 60 more."""

    def __init__(self) -> None:
        self._joined = bytearray()
        self._ends = array("q", [0])

    def append(self, text: str) -> None:
        """Add a text."""
        self._joined += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._joined))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, row: int) -> str: ...

    @overload
    def __getitem__(self, row: slice) -> list[str]: ...

    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(len(self)))]
        if not 0 <= row < len(self):
            raise IndexError(row)
        return self._joined[self._ends[row] : self._ends[row + 1]].decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        return (self[row] for row in range(len(self)))


class Names:
    """Names that must differ, in the bytes of each and 70 more."""

    def __init__(self) -> None:
        self._joined = bytearray(b"\n")
        self._hashes: set[int] = set()

    def add(self, name: str) -> int | None:
        """Add a name without line breaks; return the number of the same name before it, None if it is new."""
        encoded, hashed = name.encode("utf-8", "surrogatepass") + b"\n", hash(name)
        if hashed in self._hashes:  # the same name, or, hardly ever, another of the same hash
            at = self._joined.find(b"\n" + encoded)
            if at >= 0:
                return self._joined.count(b"\n", 0, at)
        self._hashes.add(hashed)
        self._joined += encoded
        return None


def occurring_once(texts: Sequence[str]) -> NDArray[np.bool_]:
    """Return which texts are not empty and occur once, bool (text,)."""
    hashes = np.fromiter((hash(text) for text in texts), np.int64, len(texts))
    _, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    several = counts[inverse] > 1
    uses = Counter(texts[row] for row in np.flatnonzero(several).tolist())
    once = np.ones(len(texts), bool)
    for row in np.flatnonzero(several).tolist():  # one by one, since two texts may have one hash
        once[row] = uses[texts[row]] == 1
    empty = np.fromiter((not text for text in texts), bool, len(texts))
    return once & ~empty
