"""CPU time of a piece's references in ``genolift attribute``: read from references.h5, or made again.

``python benchmarks/made_references.py --sequences 512 --references 20 --length 2114``: both give the same,
which is checked first. Of files that are in the system's cache; on one thread, the least of five rounds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import one_thread
import torch
from machine import machine

from genolift.data.stored_sequences import open_sequences
from genolift.references.of_sequences import Compared, MadeReferences, StoredReferences
from genolift.references.store import open_references
from genolift.settings.sections import References, Sequences
from genolift.steps.encode import encode
from genolift.steps.reference import write_references
from genolift.steps.work import PIECE_ROWS

COLUMNS = ["references", "ms a sequence", "us a reference", "MB on disk", "bytes a sequence and reference"]
ROUNDS = 5


def seconds(compared: Compared, n: int) -> float:
    """Return the CPU seconds of all pieces' references, the least of some rounds."""
    rounds = []
    for _ in range(ROUNDS + 1):  # the first loads what is compiled
        started = time.process_time()
        for start in range(0, n, PIECE_ROWS):
            compared.of(range(start, min(n, start + PIECE_ROWS)))
        rounds.append(time.process_time() - started)
    return min(rounds[1:])


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequences", type=int, default=512)
    parser.add_argument("--references", type=int, default=20)
    parser.add_argument("--length", type=int, default=2114)
    parser.add_argument("--out", type=Path, help="also write OUT.md and OUT.json")
    given = parser.parse_args()
    n, number = given.sequences, given.references
    letters = np.frombuffer(b"ACGT", np.uint8)[np.random.default_rng(0).integers(0, 4, (n, given.length))]
    settings = References(number=number)
    table = []
    with tempfile.TemporaryDirectory() as scratch:
        fasta, store, file = (Path(scratch) / name for name in ("s.fa", "s.h5", "references.h5"))
        fasta.write_bytes(b"".join(b">s%d\n%s\n" % (i, row.tobytes()) for i, row in enumerate(letters)))
        encode(Sequences(fasta=str(fasta)), table=Path(scratch) / "s.tsv", store=store)
        write_references(settings, sequences=store, out=file)
        with open_sequences(store) as kept, open_references(file) as opened:
            stored = kept.rows(range(n))
            read = StoredReferences(opened, file, stored, first=0, n=n)
            made = MadeReferences(settings, stored)
            piece = range(min(n, PIECE_ROWS))
            for one, other in zip(read.of(piece), made.of(piece), strict=True):
                np.testing.assert_array_equal(one, other)
            for name, compared in (("read", read), ("made again", made)):
                took = seconds(compared, n)
                size = file.stat().st_size if compared.stored else 0
                row = [name, f"{took / n * 1e3:.3f}", f"{took / n / number * 1e6:.1f}", f"{size / 1e6:.1f}"]
                table.append([*row, f"{size / n / number:.0f}"])
    one_thread.report(given.out, "References of a piece", COLUMNS, table, machine(torch.device("cpu")))


if __name__ == "__main__":
    main()
