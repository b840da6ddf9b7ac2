"""The paper's figure 5b: the score that each method gives to TAL1 motifs in the paper's own test set.

    python benchmarks/paper_figure5.py --data ../shared/paper

For task 0, which needs TAL1 and GATA1 together, a method should give every strong TAL1 match a positive
score; for task 1, which needs GATA1 alone, a score of 0 or less. With 20 dinucleotide-shuffled references for
each sequence, add --shuffled.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from paper import BACKGROUND, flat_reference, motif, paper_model, test_set
from torch import Tensor

import genolift
from genolift.data.alphabet import encode_letters, onehot_of_codes

STRONG = 7.0  # log-odds, natural logarithm
BEST = 5  # non-overlapping matches examined in each sequence


def strong_matches(onehot: np.ndarray, ppm: np.ndarray) -> list[tuple[int, int]]:
    """Return (sequence, start) of the motif's strong matches on either strand of (n, 4, length) one-hot."""
    odds = np.log(ppm / BACKGROUND[:, None])
    width = ppm.shape[1]
    windows = np.lib.stride_tricks.sliding_window_view(onehot, width, axis=2)
    scores = np.maximum(
        np.einsum("ncpw,cw->np", windows, odds), np.einsum("ncpw,cw->np", windows, odds[::-1, ::-1])
    )
    found = []
    for sequence, row in enumerate(scores):
        row = row.copy()
        for _ in range(BEST):
            start = int(row.argmax())
            if row[start] > STRONG:
                found.append((sequence, start))
            row[max(0, start - width + 1) : start + width] = -np.inf
    return found


def methods(shuffled: bool) -> dict[str, Callable[..., genolift.Attribution]]:
    """Return the methods in the table, by the names of their rows."""

    def by(rule: str) -> Callable[..., genolift.Attribution]:
        return lambda model, x, references, target: genolift.deeplift(
            model, x, references, rule=rule, target=target
        )

    def path(model: torch.nn.Module, x: Tensor, references: Tensor, target: int) -> genolift.Attribution:
        return genolift.integrated_gradients(model, x, references, steps=10, method="midpoint", target=target)

    rules = {
        "RevealCancel, all layers": by("revealcancel"),
        "genomics-default": by("genomics-default"),
        "Rescale, all layers": by("rescale"),
    }
    others = {
        "integrated gradients, 10 steps": path,
        "gradient x input": by("gradient"),
        "guided backprop x input": by("guided-backprop"),
    }
    return rules if shuffled else rules | others


def table(data: Path, shuffled: bool) -> list[dict[str, float | str | int]]:
    """Return a row for each method: the share of matches with a score of 0 or less, and mean scores."""
    sequences = [
        sequence
        for _, sequence, embedded in test_set(data)
        if "TAL1_known1" in embedded and "GATA_disc1" in embedded
    ]
    onehot = np.stack([onehot_of_codes(encode_letters(sequence)) for sequence in sequences])
    ppm = motif(data, "TAL1_known1")
    matches = strong_matches(onehot, ppm)
    x = torch.from_numpy(onehot).float()
    references = (
        genolift.references.dinucleotide_shuffle(r=20, seed=0) if shuffled else flat_reference(x.shape[2])
    )
    model = paper_model(data)
    rows: list[dict[str, float | str | int]] = []
    for name, method in methods(shuffled).items():
        scores = []
        for target in (0, 1):
            per_base = method(model, x, references, target).contributions.sum(1)
            scores.append([float(per_base[i, start : start + ppm.shape[1]].sum()) for i, start in matches])
        task0, task1 = np.array(scores)
        rows.append(
            {
                "method": name,
                "sequences": len(sequences),
                "matches": len(matches),
                "task 0 share <= 0": float((task0 <= 0).mean()),
                "task 0 mean": float(task0.mean()),
                "task 1 mean": float(task1.mean()),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the paper's model and data")
    parser.add_argument("--shuffled", action="store_true", help="20 dinucleotide-shuffled references each")
    parser.add_argument("--json", type=Path, help="also write the table here")
    arguments = parser.parse_args()
    rows = table(arguments.data, arguments.shuffled)
    print(f"{rows[0]['sequences']} sequences, {rows[0]['matches']} TAL1_known1 matches")
    print("| method | task 0: share <= 0 | task 0: mean score | task 1: mean score |\n|---|---|---|---|")
    for row in rows:
        figures = [row[column] for column in ("task 0 share <= 0", "task 0 mean", "task 1 mean")]
        print(f"| {row['method']} | {figures[0]:.4f} | {figures[1]:.3f} | {figures[2]:.3f} |")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
