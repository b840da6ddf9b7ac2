"""How the number of pairs computed at a time changes the time of a pair: python benchmarks/batch_size.py

A BPNet-shaped model (64 filters, 8 dilated layers, 2,114 bp, counts head), 20 dinucleotide-shuffled
references, rounds interleaved over batch sizes; medians.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import Tensor, nn

import genolift
from genolift.attribution import Explainer


class BPNetShaped(nn.Module):
    """(n, 4, length) -> (n, 1): log counts."""

    def __init__(self, filters: int = 64, layers: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, filters, 21, padding=10)
        self.layers = nn.ModuleList(
            nn.Conv1d(filters, filters, 3, padding=2**i, dilation=2**i) for i in range(1, layers + 1)
        )
        self.counts = nn.Linear(filters, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.stem(x))
        for layer in self.layers:
            h = h + torch.relu(layer(h))
        return self.counts(h.mean(-1))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--length", type=int, default=2114)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 4, 10, 20, 40])
    arguments = parser.parse_args()
    torch.manual_seed(0)
    codes = torch.randint(0, 4, (2, arguments.length))
    x = nn.functional.one_hot(codes, 4).permute(0, 2, 1).float()
    references = genolift.references.dinucleotide_shuffle(x, r=20, seed=0)
    explainer = Explainer(BPNetShaped(), x, rule="rescale", device="cpu")
    times: dict[int, list[float]] = {size: [] for size in arguments.sizes}
    for _ in range(arguments.rounds):
        for size in arguments.sizes:
            start = time.perf_counter()
            explainer.explain(x, references, batch_size=size)
            times[size].append((time.perf_counter() - start) / (2 * 20))
    mebibytes = explainer.runner.bytes_per_pair() / 2**20
    print(f"chosen by itself: {explainer.batch_size()}; {mebibytes:.1f} MiB a pair")
    print("| pairs at a time | ms a pair |\n|---|---|")
    for size, seconds in times.items():
        print(f"| {size} | {1000 * statistics.median(seconds):.1f} |")


if __name__ == "__main__":
    main()
