"""Checks a track of overlapping windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
from numpy.typing import NDArray


def assert_mean_of_windows(track: Path, sequences: Path, scores: NDArray[np.floating], length: int) -> int:
    """Check that a track is the mean of the windows' scores (sequence, position), and empty elsewhere.

    Both chromosomes have ``length`` bases. Returns how many bases lie in several windows.
    """
    windows = pd.read_csv(sequences, sep="\t")
    file = pyBigWig.open(str(track))
    assert file.chroms() == {"chrB": length, "chrA": length}
    overlapping = 0
    for chrom in file.chroms():
        total, count = np.zeros(length), np.zeros(length)
        for row in np.flatnonzero(windows["chrom"] == chrom):
            start, end = windows["start"][row], windows["start"][row] + scores.shape[1]
            total[start:end] += scores[row][:: -1 if windows["strand"][row] == "-" else 1]
            count[start:end] += 1
        values = file.values(chrom, 0, length, numpy=True)
        assert np.isnan(values[count == 0]).all()
        np.testing.assert_allclose(values[count > 0], total[count > 0] / count[count > 0], atol=1e-7)
        overlapping += int((count > 1).sum())
    return overlapping
