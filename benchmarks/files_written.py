"""Who writes files fastest: deflate of contributions.h5 by zlib and isal, bigWigs by three packages.

``python benchmarks/files_written.py`` needs pybigtools, which genolift does not. All write the same
contributions, and the values that pyBigWig and pybigtools read from each bigWig are compared.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import one_thread
import pybigtools
import pyBigWig
import torch
from aggregating import REFERENCES, blocks
from isal import isal_zlib
from machine import machine

from genolift.files.bigwig_writing import whole_bigwig

BASES = 100_000_000


def seconds(action: Callable[[], object]) -> float:
    """Return the CPU time of a call."""
    started = time.process_time()
    action()
    return time.process_time() - started


def deflated(length: int, windows: int) -> Iterator[list[str]]:
    """Yield a row for each way to deflate the largest datasets, in chunks of 1 MiB."""
    chunks = []
    for block in blocks(length, range(windows), 0):
        for name in ("raw/seq", "shap/seq", "projected_shap/seq", "genolift/standard_error"):
            values = np.ascontiguousarray(block[name])
            rows = 2**20 // values[0].nbytes
            for start in range(0, len(values), rows):
                part = values[start : start + rows].reshape(-1).view(np.uint8)
                chunks.append(part.reshape(-1, values.itemsize).T.tobytes())
    for name, compress in {"zlib": zlib.compress, "isal": isal_zlib.compress}.items():
        packed: list[bytes] = []
        used = seconds(lambda: packed.extend(compress(chunk, 1) for chunk in chunks))  # noqa: B023
        size = sum(map(len, packed)) / 1000
        yield [
            f"deflate by {name}, level 1",
            str(length),
            f"{1000 * used / windows:.2f}",
            f"{size / windows:.1f}",
        ]


def tracks(length: int, windows: int, folder: Path) -> Iterator[list[str]]:
    """Yield a row for each package that writes a bigWig, after comparing what it wrote."""
    random = np.random.default_rng(0)
    places = np.sort(random.choice(BASES // (length + 1) - 1, windows, replace=False)) * (length + 1)
    values = random.normal(0, 0.03, (windows, length)).astype(np.float32)

    def by_py_big_wig(path: str) -> None:
        file = pyBigWig.open(path, "w")
        file.addHeader([("chr1", BASES)])
        for start, row in zip(places.tolist(), values, strict=True):
            file.addEntries("chr1", start, values=row.tolist(), span=1, step=1)
        file.close()

    def by_pybigtools(path: str) -> None:
        file = pybigtools.open(path, "w")
        each = (
            ("chr1", at, at + 1, value)
            for start, row in zip(places.tolist(), values, strict=True)
            for at, value in enumerate(row.tolist(), start)
        )
        file.write({"chr1": BASES}, each)
        file.close()

    def by_genolift(path: str) -> None:
        with whole_bigwig(Path(path), {"chr1": BASES}) as file:
            for start, row in zip(places.tolist(), values, strict=True):
                file.add("chr1", start, row)

    written = {"pyBigWig": by_py_big_wig, "pybigtools": by_pybigtools, "genolift": by_genolift}
    for name, write in written.items():
        path = folder / f"{name}.bw"
        used = seconds(lambda: write(str(path)))  # noqa: B023
        for start, row in zip(places[::97].tolist(), values[::97], strict=True):
            with pyBigWig.open(str(path)) as one:
                np.testing.assert_array_equal(one.values("chr1", start, start + length), row)
            other = pybigtools.open(str(path))
            np.testing.assert_array_equal(other.values("chr1", start, start + length, fillna=None), row)
        with pyBigWig.open(str(path)) as one:  # from the lowest zoom level
            (covered,) = one.stats("chr1", 0, BASES, type="coverage")
        size = path.stat().st_size / 1000 / windows
        bases = f"{covered * BASES / values.size:.2f}"
        yield [f"bigWig by {name}", str(length), f"{1000 * used / windows:.2f}", f"{size:.1f}", bases]


def main() -> None:
    """Measure windows of 400 and of 2,114 bp."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=2000)
    parser.add_argument("--out", type=Path, help="also write OUT.md and OUT.json")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for length in (400, 2114):
            rows += [*deflated(length, given.windows), *tracks(length, given.windows, Path(scratch))]
    columns = [
        "what",
        "bp",
        "CPU ms a window",
        "kB a window",
        "zoom levels' bases / bases",
    ]
    facts = machine(torch.device("cpu")) | {"references": REFERENCES}
    one_thread.report(given.out, "Files written", columns, rows, facts)


if __name__ == "__main__":
    main()
