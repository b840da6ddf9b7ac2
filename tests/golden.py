"""Contributions frozen before the code changes, and compared after: what is computed must stay the same.

``python -m golden write FOLDER`` writes a file for each set: every operation of the table under each rule,
and the real models of ../shared. ``python -m golden compare FOLDER`` computes them again and says how far
off they are. Both use one thread. The files hold for one machine and one torch, and stay outside the
repository.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyfaidx
import torch
from conftest import SHARED
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from one_operation import Made, make, multipliers_of, named
from operation_table import ROWS, Row
from torch import Tensor, nn

import genolift

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
from paper import RULES, channels_first, flat_reference, paper_model

Arrays = dict[str, NDArray[np.floating]]
EXAMPLES = 6
"""Arguments drawn for each operation."""


class CTCF(nn.Module):
    """The class of the model in ../shared/human."""

    def __init__(self) -> None:
        super().__init__()
        self.c1, self.c2, self.c3 = nn.Conv1d(4, 60, 15), nn.Conv1d(60, 60, 15), nn.Conv1d(60, 15, 15)
        self.pool, self.out = nn.MaxPool1d(35), nn.Linear(405, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.pool(self.c3(self.c2(self.c1(x).relu()).relu()).relu()).flatten(1))


def operations() -> Arrays:
    """Return the multipliers of each row of the operation table, under each rule."""
    found: Arrays = {}
    for target, row in ROWS.items():
        for number, made in enumerate(_drawn(target, row)):
            for rule in ("genomics-default", "rescale", "revealcancel"):
                found[f"{named(target)}/{number}/{rule}"] = multipliers_of(made, rule).numpy()
    return found


def _drawn(target: Any, row: Row) -> list[Made]:
    """Return the same few graphs of an operation each time."""
    drawn: list[Made] = []

    @seed(0)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def draw(data: st.DataObject) -> None:
        drawn.append(make(target, row, data, torch.float32))

    draw()
    return drawn


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
    """Return the first windows that lie on the genome, (sequence, 4, position)."""
    sequences, rows = pyfaidx.Fasta(str(genome), rebuild=False), []
    for line in bed.read_text().splitlines():
        chrom, start, end = line.split("\t")[:3]
        first = (int(start) + int(end)) // 2 - length // 2
        if first < 0 or first + length > len(sequences[chrom]):
            continue
        letters = str(sequences[chrom][first : first + length]).upper()
        rows.append([[float(letter == base) for letter in letters] for base in "ACGT"])
        if len(rows) == n:
            break
    return torch.tensor(rows)


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


def differences(before: Arrays, now: Arrays) -> Iterator[tuple[str, float]]:
    """Yield each array's name and its largest difference as a share of its largest value; 0: same bits."""
    if set(before) != set(now):
        raise SystemExit(f"other arrays than before: {sorted(set(before) ^ set(now))[:10]}")
    for name, old in before.items():
        new = now[name]
        if old.shape != new.shape or old.dtype != new.dtype:
            yield name, np.inf
        elif old.tobytes() == new.tobytes():
            yield name, 0.0
        else:
            largest = np.abs(np.subtract(new, old, dtype=np.float64)).max()
            yield name, float(largest / (np.abs(old).max() or 1.0)) or 5e-324  # as -0.0 for 0.0


def main() -> int:
    """Write or compare the sets; return 1 where one is farther off than allowed."""
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
            rows = list(differences(dict(stored), found))
        off = [(each, share) for each, share in rows if share > a.tolerance]
        same = sum(share == 0 for _, share in rows)
        print(
            f"{name}: {len(rows)} arrays, {same} bit-equal, largest difference {max(s for _, s in rows):.2g}"
        )
        for each, share in off[:20]:
            print(f"  {each}: {share:.2g}")
        wrong += len(off)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
