"""Values of a bigWig at genomic positions."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyBigWig
from numpy.typing import NDArray

from genolift.data.windows import same_chromosome
from genolift.errors import InputError, few
from genolift.files.whole import existing_file

_MAGIC = (b"\x26\xfc\x8f\x88", b"\x88\x8f\xfc\x26")
"""The first bytes of a bigWig, on machines of either byte order (Kent et al. 2010, supplement)."""


class BigWig:
    """An open bigWig.

    Raises
    ------
    InputError
        If the file is missing or is not a complete bigWig.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = existing_file(path)
        with self.path.open("rb") as file:
            start = file.read(4)
        # libBigWig would print its own message on standard error.
        if start not in _MAGIC:
            raise InputError(
                "is not a bigWig", where=str(path), remedy="give a .bw file; bedGraphToBigWig makes one"
            )
        try:
            self._file = pyBigWig.open(str(path))
            self.lengths: dict[str, int] = dict(self._file.chroms())
        except (RuntimeError, AttributeError) as error:
            raise self._damaged() from error

    def _damaged(self) -> InputError:
        return InputError("is a damaged bigWig", where=str(self.path), remedy="copy or download it again")

    def check_chromosomes(self, lengths: Mapping[str, int]) -> None:
        """Raise `InputError` for the first chromosome that is missing or has a different length in bases."""
        for chrom, length in lengths.items():
            there = self.lengths.get(chrom)
            if there == length:
                continue
            if there is not None:
                raise InputError(
                    f"{chrom} has {there} bases, but {length} in the genome",
                    where=str(self.path),
                    remedy="give a bigWig of the same assembly",
                )
            same = same_chromosome(chrom, self.lengths)
            raise InputError(
                f"has no chromosome {chrom!r}, but {few(self.lengths)}",
                where=str(self.path),
                remedy=f"it calls it {same!r}: use the same names in both"
                if same
                else f"give a bigWig with {chrom}, or leave its windows out",
            )

    def values(self, chrom: str, start: int, end: int) -> NDArray[np.float32]:
        """Return the value of each base, (position,), NaN for bases without one or beyond the chromosome."""
        values = np.full(end - start, np.nan, np.float32)
        first, last = max(start, 0), min(end, self.lengths[chrom])
        if first < last:
            try:
                within = self._file.values(chrom, int(first), int(last), numpy=True)
            except RuntimeError as error:
                raise self._damaged() from error
            values[first - start : last - start] = within
        return values
