"""How the time per pair depends on the number of pairs computed at a time: python benchmarks/batch_size.py

A BPNet-shaped model (64 filters, 8 dilated layers, 2,114 bp, counts head), 20 dinucleotide-shuffled
references, rounds interleaved over batch sizes; medians.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from models import BPNetShaped, random_onehot

import genolift
from genolift.engine.run.footprint import bytes_per_pair
from genolift.explain.attribution import Explainer

SEQUENCES, REFERENCES = 6, 20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--length", type=int, default=2114)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 4, 10, 20, 40])
    arguments = parser.parse_args()
    torch.manual_seed(0)
    x = random_onehot(SEQUENCES, arguments.length)
    references = genolift.references.dinucleotide_shuffle(x, r=REFERENCES, seed=0)
    explainer = Explainer(BPNetShaped(), x, rule="rescale", device="cpu")
    times: dict[int, list[float]] = {size: [] for size in arguments.sizes}
    for _ in range(arguments.rounds):
        for size in arguments.sizes:
            start = time.perf_counter()
            explainer.explain(x, references, batch_size=size)
            times[size].append((time.perf_counter() - start) / (SEQUENCES * REFERENCES))
    mebibytes = bytes_per_pair(explainer.runner) / 2**20
    print(f"chosen by itself: {explainer.batch_size()}; {mebibytes:.1f} MiB a pair")
    print("| pairs at a time | ms a pair |\n|---|---|")
    for size, seconds in times.items():
        print(f"| {size} | {1000 * statistics.median(seconds):.1f} |")


if __name__ == "__main__":
    main()
