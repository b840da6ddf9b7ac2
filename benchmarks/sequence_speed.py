"""Dinucleotide shuffles and one-hot encoding on one core, beside tangermeme and seqpro.

    python benchmarks/sequence_speed.py

Shuffles: each package from and to its own form of sequence, after a check that every shuffle keeps its
sequence's dinucleotides. One-hot: the windows that tile a made-up genome of 12 Mb, from letters.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("RAYON_NUM_THREADS", "1")  # seqpro's threads; read when it is imported

import numpy as np
import torch
from machine import machine
from measure import said
from models import random_onehot
from numpy.typing import NDArray
from timing import interleaved, median_ratio

import genolift
from genolift.alphabet import codes_of_onehot, decode_letters, encode_letters, onehot_of_codes
from genolift.reference_store import onehot_float32
from genolift.shuffle import shuffle_codes

CPU = torch.device("cpu")
GENOME = 12_000_000
Rows = list[list[str]]


def shuffles(sequences: int, length: int, r: int, rounds: int) -> Rows:
    """Return (package, shuffles per second, ours over it) of r shuffles of each sequence."""
    import seqpro
    from tangermeme.ersatz import dinucleotide_shuffle

    onehot = random_onehot(sequences, length)
    codes = codes_of_onehot(onehot.numpy())
    letters = np.stack([as_letters(decode_letters(each)) for each in codes])
    repeated = letters.repeat(r, axis=0)
    runs: dict[str, Callable[[], Any]] = {
        "genolift, codes": lambda: shuffle_codes(codes, r, 0),
        "genolift, one-hot": lambda: genolift.references.dinucleotide_shuffle(onehot, r=r, seed=0),
        "tangermeme, one-hot": lambda: dinucleotide_shuffle(onehot, n=r, random_state=0),
        "seqpro, letters": lambda: seqpro.k_shuffle(
            repeated, k=2, length_axis=1, alphabet=seqpro.DNA, seed=0
        ),
    }
    wanted = dinucleotides(codes).repeat(r, axis=0)
    for name, run in runs.items():
        kept = bool((dinucleotides(as_codes(run()).reshape(-1, length)) == wanted).all())
        said(f"{name}: {'keeps' if kept else 'DOES NOT KEEP'} every sequence's dinucleotides")
    times = interleaved(runs, rounds, CPU)
    return _rows(times, sequences * r, "genolift, codes")


def encoding(width: int, step: int, rounds: int) -> Rows:
    """Return (package, Mb of windows per second, ours over it) of the one-hot of a genome's windows."""
    import seqpro

    genome = np.frombuffer(b"ACGT", np.uint8)[np.random.default_rng(0).integers(0, 4, GENOME)]
    windows = np.lib.stride_tricks.sliding_window_view(genome, width)[::step]
    letters = np.ascontiguousarray(windows).view("S1")
    raw = letters.tobytes()

    def codes() -> NDArray[np.uint8]:
        return encode_letters(raw).reshape(letters.shape)

    runs: dict[str, Callable[[], Any]] = {
        "genolift, bytes": lambda: onehot_of_codes(codes()),
        "genolift, float32": lambda: onehot_float32(codes()),
        "seqpro, bytes": lambda: seqpro.ohe(letters, seqpro.DNA),
        "seqpro, float32": lambda: seqpro.ohe(letters, seqpro.DNA).astype(np.float32),
    }
    same = np.array_equal(runs["genolift, bytes"](), np.moveaxis(runs["seqpro, bytes"](), -1, -2))
    said(f"one-hot of {letters.shape[0]:,} windows: {'the same' if same else 'NOT THE SAME'}")
    for run in runs.values():
        run()
    return _rows(interleaved(runs, rounds, CPU), letters.size / 1e6, "genolift, bytes")


def as_letters(text: str) -> NDArray[Any]:
    """Return letters as an array of single bytes."""
    return np.frombuffer(text.encode(), "S1")


def as_codes(made: Any) -> NDArray[np.uint8]:
    """Return what any of the packages makes as codes (..., position)."""
    if isinstance(made, torch.Tensor):
        return codes_of_onehot(made.numpy())
    if made.dtype == np.dtype("S1"):
        return encode_letters(made.tobytes()).reshape(made.shape)
    return made


def dinucleotides(codes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return (sequence, 16): how often each dinucleotide is in each of (sequence, position) codes."""
    pairs = 4 * codes[:, :-1].astype(np.int64) + codes[:, 1:]
    return np.stack([(pairs == pair).sum(1) for pair in range(16)], axis=1)


def _rows(times: dict[str, list[float]], amount: float, ours: str) -> Rows:
    return [
        [name, f"{amount / statistics.median(seconds):,.0f}", f"{median_ratio(seconds, times[ours]):.2f}"]
        for name, seconds in times.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--length", type=int, default=2114)
    parser.add_argument("--sequences", type=int, default=50)
    parser.add_argument("--references", type=int, default=20)
    parser.add_argument("--width", type=int, default=1000, help="of the genome's windows (1000)")
    parser.add_argument("--step", type=int, default=500, help="between windows (500)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the tables here")
    a = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    tables = {
        f"shuffles of {a.length:,} bp a second": shuffles(a.sequences, a.length, a.references, a.rounds),
        "Mb of windows one-hot a second": encoding(a.width, a.step, a.rounds),
    }
    print(", ".join(f"{key} {value}" for key, value in machine(CPU).items()))
    for title, rows in tables.items():
        print(f"\n| package | {title} | its time over genolift's |\n|---|---|---|")
        for row in rows:
            print(f"| {' | '.join(row)} |")
    if a.json:
        a.json.write_text(json.dumps(tables, indent=1) + "\n")


if __name__ == "__main__":
    main()
