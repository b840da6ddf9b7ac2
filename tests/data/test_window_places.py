"""The kept rows of sequences.tsv, read in blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from genolift.data.stored_sequences import SEQUENCES
from genolift.data.window_places import KeptRows, read_places


def _write(path: Path, n: int) -> pd.DataFrame:
    key = np.arange(n)
    chrom = [f"scaffold_{number % 70}" for number in key]
    table = pd.DataFrame({"key": key, "id": [f"peak {number}" for number in key], "chrom": chrom})
    table = table.assign(start=7 * key, end=7 * key + 9, strand=[".-+"[number % 3] for number in key])
    kept = [("false" if number % 5 == 1 else "true") for number in key]
    SEQUENCES.write(path, table.assign(length=9, gc=0.5, n_count=0, kept=kept, reason=""))
    return table[[each == "true" for each in kept]].reset_index(drop=True)


def test_kept_rows_are_handed_out_in_order_whatever_the_blocks(tmp_path: Path) -> None:
    expected = _write(tmp_path / "sequences.tsv", 25_000)
    rows = KeptRows(tmp_path / "sequences.tsv")
    parts = [rows.next(number) for number in (1, 0, 7000, 12_000, 900, 500)]
    assert [len(part) for part in parts] == [1, 0, 7000, 12_000, 900, 99]
    found = pd.concat([part for part in parts if len(part)], ignore_index=True)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_places_are_those_of_the_kept_rows(tmp_path: Path) -> None:
    expected = _write(tmp_path / "sequences.tsv", 500)
    key, places = read_places(tmp_path / "sequences.tsv")
    assert key.tolist() == expected["key"].tolist()
    assert [places.chromosomes[number] for number in places.chromosome] == expected["chrom"].tolist()
    assert places.start.tolist() == expected["start"].tolist()
    assert places.turned.tolist() == (expected["strand"] == "-").tolist()
