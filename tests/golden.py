"""Stores contributions before the code changes and compares them after: results must stay the same.

``make golden DO=write GOLDEN=FOLDER`` writes a file for each set: every operation of the table under each
rule, and the real models of ../shared. ``DO=compare`` computes them again and reports the differences.
Both use one thread. The files are valid for one machine and one version of torch, and stay outside the
repository.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from ctcf_model import CTCF
from numpy.typing import NDArray
from one_operation import Made, make, multipliers_of, named
from operation_table import ROWS, Draw, Row
from paper import RULES, channels_first, flat_reference, paper_model
from places import SHARED
from run_steps import source_of
from torch import Tensor

import genolift
from genolift.data.alphabet import onehot_of_codes
from genolift.steps.encode import trial_sequences

Arrays = dict[str, NDArray[np.floating]]
EXAMPLES = 6
"""Sets of arguments drawn for each operation."""


def operations() -> Arrays:
    """Return the multipliers of each row of the operation table, under each rule."""
    found: Arrays = {}
    for target, row in ROWS.items():
        for number, made in enumerate(_drawn(target, row)):
            for rule in ("genomics-default", "rescale", "revealcancel"):
                found[f"{named(target)}/{number}/{rule}"] = multipliers_of(made, rule).numpy()
    return found


class Seeded(Draw):
    """Draws from a seeded generator: hypothesis draws other values when any code of the project changes."""

    def integer(self, low: int, high: int) -> int:
        return self.data.randint(low, high)

    def boolean(self) -> bool:
        return self.data.random() < 0.5

    def one_of(self, *choices: Any) -> Any:
        return self.data.choice(choices)


def _drawn(target: Any, row: Row) -> list[Made]:
    """Return the same few graphs of an operation each time."""
    seeds = [f"{named(target)} {number}" for number in range(EXAMPLES)]
    return [make(target, row, Seeded(Random(seed), torch.float32)) for seed in seeds]


def _explained(model: object, x: Tensor, references: object, tasks: int) -> Arrays:
    found: Arrays = {}
    for rule in RULES.values():
        for task in range(tasks):
            result = genolift.deeplift(model, x, references, rule=rule, target=task, device="cpu")
            assert result.hypothetical is not None
            found[f"{rule}/{task}/contributions"] = result.contributions.numpy()
            found[f"{rule}/{task}/hypothetical"] = result.hypothetical.numpy()
            found[f"{rule}/{task}/standard_error"] = result.standard_error.numpy()
    return found


def paper() -> Arrays:
    """Return the paper's model on 48 of its sequences, with the authors' references."""
    scores = np.load(SHARED / "paper" / "original_deeplift_scores.npz")
    model, x = paper_model(SHARED / "paper"), channels_first(scores["x"])
    shuffled = _explained(model, x, channels_first(scores["refs"]), 3)
    flat = _explained(model, x, flat_reference(x.shape[-1]), 3)
    return shuffled | {f"flat/{name}": array for name, array in flat.items()}


def _windows(genome: Path, bed: Path, length: int, n: int) -> Tensor:
    """Return the first windows that encode keeps, (sequence, 4, position)."""
    found = trial_sequences(source_of(bed=bed, genome=genome, length=length), n)
    return torch.from_numpy(onehot_of_codes(found.codes)).float()


def yeast() -> Arrays:
    """Return the yeast model on 24 of Reb1's peaks, with 5 shuffles of each."""
    folder = SHARED / "yeast"
    spec = {"path": f"{folder}/model_state_dict.pt", "class": f"{folder}/model.py:YeastTF"}
    x = _windows(folder / "sacCer_R64.fa.gz", folder / "Reb1_peaks.bed", 400, 24)
    shuffles = genolift.references.dinucleotide_shuffle(r=5, seed=0)
    return _explained(genolift.load_model(spec), x, shuffles, 3)


def human() -> Arrays:
    """Return the CTCF model on the peaks of a megabase of chromosome 22, with 5 shuffles of each."""
    folder = SHARED / "human"
    model = CTCF()
    model.load_state_dict(torch.load(folder / "ctcf_hela_state_dict.pt", weights_only=True))
    x = _windows(folder / "chr22_20M.fa.gz", folder / "ctcf_macs_peaks.bed", 1000, 18)
    return _explained(model, x, genolift.references.dinucleotide_shuffle(r=5, seed=0), 1)


SETS: dict[str, Callable[[], Arrays]] = {
    "operations": operations,
    "paper": paper,
    "yeast": yeast,
    "human": human,
}


def differences(before: Arrays, now: Arrays) -> Iterator[tuple[str, float | None]]:
    """Yield each array's largest difference as a share of its largest value; None if all bits are equal."""
    if set(before) != set(now):
        raise SystemExit(f"other arrays than before: {sorted(set(before) ^ set(now))[:10]}")
    for name, old in before.items():
        yield name, _difference(old, now[name])


def _difference(old: NDArray[np.floating], new: NDArray[np.floating]) -> float | None:
    if old.shape != new.shape or old.dtype != new.dtype:
        return np.inf
    if old.tobytes() == new.tobytes():
        return None
    return float(np.abs(np.subtract(new, old, dtype=np.float64)).max() / (np.abs(old).max() or 1.0))


def main() -> int:
    """Write or compare the sets; return 1 if one differs by more than allowed."""
    parser = argparse.ArgumentParser(prog="golden", description=__doc__.splitlines()[0])
    parser.add_argument("do", choices=["write", "compare"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--tolerance", type=float, default=0.0, help="of the largest score; 0: the same bits")
    a = parser.parse_args()
    torch.set_num_threads(1)
    a.folder.mkdir(parents=True, exist_ok=True)
    wrong = 0
    for name in a.sets.split(","):
        path, found = a.folder / f"{name}.npz", SETS[name]()
        if a.do == "write":
            np.savez_compressed(path, **found)  # type: ignore[arg-type]
            print(f"{name}: {len(found)} arrays written")
            continue
        with np.load(path) as stored:
            moved = {each: share for each, share in differences(dict(stored), found) if share is not None}
        off = [(each, share) for each, share in moved.items() if a.tolerance == 0 or share > a.tolerance]
        largest = max(moved.values(), default=0.0)
        same = len(found) - len(moved)
        print(f"{name}: {len(found)} arrays, {same} bit-equal, largest difference {largest:.2g}")
        for each, share in off[:20]:
            print(f"  {each}: {share:.2g}")
        wrong += len(off)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
