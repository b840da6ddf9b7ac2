"""One-hot encoding of a genome's windows on one core: python benchmarks/encoding.py --genome genome.fa.gz

Compares ours with seqpro's (0.23 or later). The genome is in memory as bytes, one chromosome after the other,
and windows tile it. seqpro's layout is (n, length, 4); models take (n, 4, length), uint8 or float32. First it
checks that all give the same result. Times do not include compilation by numba.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import numpy as np
import one_thread  # first: it sets the number of threads
import seqpro
from timing import median_ratio, timed_after_one

from genolift.data.alphabet import encode_letters, onehot_float32, onehot_of_codes
from genolift.data.fasta import read_fasta


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--genome", type=Path, required=True)
    parser.add_argument("--lengths", type=int, nargs="+", default=[1000, 2114])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, help="write this .md and .json too")
    arguments = parser.parse_args()
    genome = b"".join(record.letters for record in read_fasta(arguments.genome))
    rows = []
    for length in arguments.lengths:
        n = len(genome) // length
        tiled = genome[: n * length]
        letters = np.frombuffer(tiled, dtype="S1").reshape(n, length)
        codes = encode_letters(tiled).reshape(n, length)
        ways = {
            "genolift, letters to uint8 (n, 4, length)": lambda tiled=tiled, shape=letters.shape: (
                onehot_of_codes(encode_letters(tiled).reshape(shape))
            ),
            "seqpro, letters to uint8 (n, length, 4)": lambda letters=letters: seqpro.ohe(
                letters, seqpro.DNA
            ),
            "seqpro, letters to uint8 (n, 4, length)": lambda letters=letters: np.ascontiguousarray(
                seqpro.ohe(letters, seqpro.DNA).swapaxes(1, 2)
            ),
            "genolift, letters to float32 (n, 4, length)": lambda tiled=tiled, shape=letters.shape: (
                onehot_float32(encode_letters(tiled).reshape(shape))
            ),
            "seqpro, letters to float32 (n, 4, length)": lambda letters=letters: np.ascontiguousarray(
                seqpro.ohe(letters, seqpro.DNA).swapaxes(1, 2), dtype=np.float32
            ),
            "genolift, stored codes to uint8 (n, 4, length)": lambda codes=codes: onehot_of_codes(codes),
        }
        ours, _, theirs, ours_as_float, theirs_as_float, _ = ways
        for name in (theirs, ours_as_float, theirs_as_float):
            assert np.array_equal(ways[ours](), ways[name]())
        seconds = timed_after_one(ways, arguments.rounds)
        for name, taken in seconds.items():
            base = ours_as_float if "float32" in name else ours
            milliseconds = 1000 * statistics.median(taken)
            over = median_ratio(seconds[name], seconds[base])
            rows.append([name, f"{length:,}", f"{milliseconds:.0f}", f"{over:.2f}"])
    one_thread.report(
        arguments.out,
        f"One-hot encoding of {len(genome) / 1e6:.1f} Mb on one core",
        ["what", "windows of", "ms", "time over ours from letters, same number type"],
        rows,
        {"version": f"seqpro {seqpro.__version__}", "rounds": arguments.rounds},
    )


if __name__ == "__main__":
    main()
