"""Contributions along the genome, as bigWig."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
from numpy.typing import NDArray

from genolift.errors import InputError
from genolift.files.whole import whole_file
from genolift.results.store import Contributions, Rows


def write_bigwig(
    path: Path, contributions: Contributions, table: pd.DataFrame, *, dataset: str = "projected_shap/seq"
) -> int:
    """Write the contribution of each genomic base that a window covers; return the number of bases.

    ``dataset`` may be any dataset with a value for each base of a window. Where windows overlap, a base gets
    the mean of its values, which does not depend on the windows' order. Windows on the minus strand are
    reversed. Coordinates are 0-based half-open; the format is bigWig (Kent et al. 2010), and the header lists
    every chromosome of the genome.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    kept = table[table["kept"]].set_index("key")
    row_of = {int(key): row for row, key in enumerate(contributions.key)}
    covered = 0
    with whole_file(path) as beside:
        # pyBigWig chooses the format by suffix, and needs chromosomes in the header's order.
        file = pyBigWig.open(str(beside), "w")
        try:
            file.addHeader(list(contributions.chromosomes.items()))
            for chrom in contributions.chromosomes:
                windows = kept[kept["chrom"] == chrom].sort_values(["start", "end"])
                for position, value in _runs(windows, contributions[dataset], row_of):
                    file.addEntries(chrom, int(position), values=value.tolist(), span=1, step=1)
                    covered += len(value)
        except (RuntimeError, SystemError) as error:
            raise _not_whole(path) from error
        finally:
            file.close()
        if not _is_whole(beside, covered):
            raise _not_whole(path)
    return covered


def _is_whole(path: Path, covered: int) -> bool:
    """Whether a bigWig ends with the magic number that it begins with, and declares this many bases.

    pyBigWig does not report it if a full disk truncates the file.
    """
    with path.open("rb") as raw:
        first = raw.read(4)
        raw.seek(-4, os.SEEK_END)
        if raw.read(4) != first:
            return False
    try:
        with pyBigWig.open(str(path)) as written:
            return bool(written.header()["nBasesCovered"] == covered)
    except (RuntimeError, AttributeError):
        return False


def _not_whole(path: Path) -> InputError:
    return InputError(
        "cannot be written completely", where=str(path), remedy="free some disk space, or use another disk"
    )


def _runs(
    windows: pd.DataFrame, values: Rows, row_of: dict[int, int]
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield the start and mean values of each contiguous stretch of a chromosome that windows cover."""
    stretch: list[tuple[int, NDArray[np.float32]]] = []
    end = 0
    for key, window in windows.iterrows():
        start = int(window["start"])
        if stretch and start > end:
            yield _mean(stretch)
            stretch = []
        score = values[row_of[int(str(key))]]
        score = score.sum(0) if score.ndim > 1 else score
        stretch.append((start, score[::-1] if window["strand"] == "-" else score))
        end = max(end, int(window["end"])) if len(stretch) > 1 else int(window["end"])
    if stretch:
        yield _mean(stretch)


def _mean(stretch: list[tuple[int, NDArray[np.float32]]]) -> tuple[int, NDArray[np.float32]]:
    first = stretch[0][0]
    length = max(start + len(score) for start, score in stretch) - first
    total, count = np.zeros(length), np.zeros(length)
    for start, score in stretch:
        total[start - first : start - first + len(score)] += score
        count[start - first : start - first + len(score)] += 1
    return first, (total / count).astype(np.float32)
