"""Dinucleotide shuffles per second on one core, ours and the peers': python benchmarks/shuffles.py

Needs tangermeme and seqpro (0.23 or later). Their inputs and outputs differ, so every form is timed: letters
or codes (seqpro, ours), one-hot (all), packed (tangermeme). First it checks every shuffle's dinucleotide
counts and end bases, and runs a chi-square test of uniformity over the 72 sequences with those of
GCTCCAATCATGC. Times do not include compilation, which is reported separately.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from pathlib import Path

import numpy as np
import one_thread  # first: it sets the number of threads
import seqpro
import tangermeme
import torch
from numpy.typing import NDArray
from scipy.stats import chisquare
from tangermeme.ersatz import dinucleotide_shuffle as tangermeme_shuffle
from timing import median_ratio, timed_after_one

from genolift.data.alphabet import codes_of_onehot, encode_letters, onehot_of_codes
from genolift.references import dinucleotide_shuffle
from genolift.references.shuffle import shuffle_codes

LETTERS = np.frombuffer(b"ACGT", dtype="S1")
SMALL, N_WAYS = "GCTCCAATCATGC", 72
Codes = NDArray[np.uint8]


def by_seqpro(codes: Codes, r: int, seed: int) -> Codes:
    letters = np.repeat(LETTERS[codes], r, axis=0)
    shuffled = seqpro.k_shuffle(letters, 2, seqpro.DNA, length_axis=1, seed=seed)
    return encode_letters(shuffled.tobytes()).reshape(len(codes), r, -1)


def by_tangermeme(codes: Codes, r: int, seed: int) -> Codes:
    onehot = torch.from_numpy(onehot_of_codes(codes)).to(torch.int8)
    return codes_of_onehot(tangermeme_shuffle(onehot, n=r, random_state=seed).numpy())


def pairs(codes: Codes) -> NDArray[np.int64]:
    """The 16 dinucleotide counts of (..., position) codes."""
    numbers = codes[..., :-1].astype(np.int64) * 4 + codes[..., 1:]
    return (numbers[..., None] == np.arange(16)).sum(-2)


def check(shuffle: object, codes: Codes) -> str:
    """Return the p-value of uniformity on the small case; fail if dinucleotides or ends change."""
    shuffled = shuffle(codes, 5, 0)  # type: ignore[operator]
    assert np.array_equal(pairs(shuffled), np.repeat(pairs(codes)[:, None], 5, axis=1))
    assert (shuffled[..., [0, -1]] == codes[:, None, [0, -1]]).all()
    small = shuffle(encode_letters(SMALL)[None], 500 * N_WAYS, 1)[0]  # type: ignore[operator]
    counts = list(Counter(row.tobytes() for row in small).values())
    return f"{chisquare(counts + [0] * (N_WAYS - len(counts))).pvalue:.2g}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--length", type=int, default=2114)
    parser.add_argument("--sequences", type=int, default=50)
    parser.add_argument("--number", type=int, default=20, help="shuffles of each sequence")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, help="write this .md and .json too")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    r, length = arguments.number, arguments.length
    codes = np.random.default_rng(0).integers(0, 4, (arguments.sequences, length)).astype(np.uint8)

    start = time.perf_counter()
    shuffle_codes(codes[:1], 1)
    compiled = time.perf_counter() - start
    even = {
        "genolift": check(shuffle_codes, codes[:10]),
        "seqpro": check(by_seqpro, codes[:10]),
        "tangermeme": check(by_tangermeme, codes[:10]),
    }
    onehot = onehot_of_codes(codes)
    as_float, as_int8 = torch.from_numpy(onehot).float(), torch.from_numpy(onehot).to(torch.int8)
    letters = np.repeat(LETTERS[codes], r, axis=0)
    repeated = np.ascontiguousarray(np.repeat(onehot, r, axis=0).swapaxes(1, 2))
    ways = {
        "genolift, codes": lambda: shuffle_codes(codes, r),
        "genolift, one-hot float32": lambda: dinucleotide_shuffle(as_float, r),
        "seqpro, letters": lambda: seqpro.k_shuffle(letters, 2, seqpro.DNA, length_axis=1, seed=0),
        "seqpro, one-hot uint8": lambda: seqpro.k_shuffle(
            repeated, 2, seqpro.DNA, length_axis=1, ohe_axis=2, seed=0
        ),
        "tangermeme, packed": lambda: tangermeme_shuffle(as_int8, n=r, random_state=0, return_packed=True),
        "tangermeme, one-hot int8": lambda: tangermeme_shuffle(as_int8, n=r, random_state=0),
        "tangermeme, one-hot float32": lambda: tangermeme_shuffle(as_float, n=r, random_state=0),
    }
    seconds = timed_after_one(ways, arguments.rounds)
    ours_as_codes, ours_as_float = list(ways)[:2]
    rows = [
        [
            name,
            f"{len(codes) * r / statistics.median(taken):,.0f}",
            f"{median_ratio(seconds[name], seconds[ours_as_codes]):.1f}",
            f"{median_ratio(seconds[name], seconds[ours_as_float]):.1f}",
            even[name.split(",")[0]],
        ]
        for name, taken in seconds.items()
    ]
    one_thread.report(
        arguments.out,
        f"Dinucleotide shuffles of {length:,} bp on one core",
        ["what", "shuffles a second", "time over our codes'", "time over our one-hot's", "p of uniformity"],
        rows,
        {
            "versions": f"seqpro {seqpro.__version__}, tangermeme {tangermeme.__version__}",
            "first call of ours, compiled or from numba's cache, seconds": round(compiled, 2),
            "sequences, shuffles of each, rounds": f"{len(codes)}, {r}, {arguments.rounds}",
        },
    )


if __name__ == "__main__":
    main()
