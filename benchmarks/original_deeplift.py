"""genolift compared with the authors' TensorFlow package on the paper's model: time and agreement.

    python benchmarks/original_deeplift.py --data ../shared/paper --python path/to/python3.7

The interpreter must have tensorflow 1.15.5, keras 2.3.1 and deeplift 0.6.13 (and h5py below 3 and protobuf
below 3.21, which they need). It runs authors_deeplift.py, which computes on request, so that rounds
interleave. Both get the same pairs of test sequences and dinucleotide shuffles, and all cores. Whatever is
built on first use is built before the rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
import torch
from machine import machine
from measure import largest_difference
from paper import paper_model, test_set
from timing import median_ratio, seconds
from torch import Tensor

import genolift
from genolift.data.alphabet import encode_letters, onehot_of_codes
from genolift.explain.attribution import Explainer

NEEDED = "a Python 3.7 with tensorflow 1.15.5, keras 2.3.1 and deeplift 0.6.13"
RULES = ("revealcancel", "genomics-default", "rescale")
CPU = torch.device("cpu")


class Authors:
    """The authors' package in its own process, which answers each line with a line."""

    def __init__(self, python: Path, data: Path, inputs: Path, scores: Path) -> None:
        script = Path(__file__).with_name("authors_deeplift.py")
        words = [python, script, data / "model.json", data / "model_weights.h5", inputs, scores]
        self.process = subprocess.Popen(
            [str(word) for word in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._answer("ready")

    def __enter__(self) -> Authors:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Make it write its scores and exit."""
        _stream(self.process.stdin).close()
        if self.process.wait() and error is None:
            sys.exit("the authors' package failed; what it said is above")

    def seconds(self, rule: str) -> float:
        """Make it compute all pairs once by a rule, and return the seconds that its function took."""
        stream = _stream(self.process.stdin)
        stream.write(f"{rule}\n")
        stream.flush()
        return float(self._answer(f"seconds {rule}"))

    def _answer(self, start: str) -> str:
        for line in _stream(self.process.stdout):
            if line.startswith(start):
                return line.removeprefix(start).strip()
        sys.exit("the authors' package failed; what it said is above")


def _stream(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def sequences_of(data: Path, number: int) -> Tensor:
    """Return the first test sequences, (n, 4, 200)."""
    letters = [sequence for _, sequence, _ in test_set(data)][:number]
    return torch.from_numpy(np.stack([onehot_of_codes(encode_letters(each)) for each in letters])).float()


def positions_first(pairs: Tensor) -> np.ndarray:
    """Return (pair, 4, length) as (pair, length, 4), Keras's order."""
    return np.ascontiguousarray(pairs.transpose(1, 2).numpy())


def compare(a: argparse.Namespace) -> list[dict[str, object]]:
    """Return a row for each rule: seconds of both, the ratio, and the largest difference of contributions."""
    x = sequences_of(a.data, a.sequences)
    references = genolift.references.dinucleotide_shuffle(x, r=a.references, seed=0)
    model = paper_model(a.data)
    n, r = references.shape[:2]
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as name:
        inputs, scores = Path(name) / "inputs.npz", Path(name) / "scores.npz"
        pairs = positions_first(x.repeat_interleave(r, 0)), positions_first(references.flatten(0, 1))
        np.savez(inputs, x=pairs[0], references=pairs[1], task=a.task, batch=a.batch)
        ours: dict[str, Tensor] = {}
        with Authors(a.python, a.data, inputs, scores) as authors:
            for rule in a.rules:
                explainer = Explainer(model, x, rule=rule, target=a.task, device=CPU)

                def run(explainer: Explainer = explainer, rule: str = rule) -> None:
                    ours[rule] = explainer.explain(x, references).contributions

                authors.seconds(rule)
                run()
                run()
                times = [(seconds(run, CPU), authors.seconds(rule)) for _ in range(a.rounds)]
                mine, theirs = (list(each) for each in zip(*times, strict=True))
                rows.append(
                    {
                        "rule": rule,
                        "genolift, s": statistics.median(mine),
                        "authors, s": statistics.median(theirs),
                        "times faster": median_ratio(theirs, mine),
                    }
                )
        with np.load(scores) as held:
            for row in rows:
                rule = str(row["rule"])
                mean = torch.from_numpy(held[rule]).unflatten(0, (n, r)).mean(1).transpose(1, 2)
                row["largest difference"] = largest_difference(mean, ours[rule])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the paper's model and data")
    parser.add_argument("--python", type=Path, help=NEEDED)
    parser.add_argument("--rules", nargs="+", choices=RULES, default=list(RULES))
    parser.add_argument("--sequences", type=int, default=50)
    parser.add_argument("--references", type=int, default=20)
    parser.add_argument("--task", type=int, default=0)
    parser.add_argument(
        "--batch", type=int, default=200, help="pairs at a time of the authors' package (200)"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the table here")
    a = parser.parse_args()
    if a.python is None:
        sys.exit(f"nothing was measured: give --python, {NEEDED}")
    rows = compare(a)
    print(", ".join(f"{key} {value}" for key, value in machine(CPU).items()))
    print(f"{a.sequences} sequences x {a.references} references, task {a.task}, {a.rounds} rounds\n")
    columns = list(rows[0])
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(f'{v:.3g}' if isinstance(v, float) else str(v) for v in row.values())} |")
    if a.json:
        a.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
