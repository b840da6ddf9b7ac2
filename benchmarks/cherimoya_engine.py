"""genolift against cherimoya's own DeepLIFT engine, on a Cherimoya model's log counts: a line of JSON.

    python benchmarks/cherimoya_engine.py --device cuda

Importing cherimoya (0.3.1) turns on tf32 for matrix products, so both compute in tf32 here, and this runs
in a process of its own. On a CPU both compute in float32. Weights are cherimoya's own random ones.
"""

from __future__ import annotations

import argparse
import json
import statistics
import warnings
from typing import Any

import torch
from machine import device_named
from measure import largest_difference
from models import random_onehot
from timing import interleaved, median_ratio

import genolift
from genolift.explain.explainer import Explainer


def compared(device: torch.device, n: int, r: int, layers: int, rounds: int) -> dict[str, Any]:
    """Return how many times as fast genolift is, the seconds of each round, and whether scores agree."""
    from cherimoya import Cherimoya, ControlWrapper, LogCountWrapper
    from cherimoya._deep_lift_shap_engine import Engine

    model = Cherimoya(n_layers=layers, compile=False, random_state=0).eval().to(device)
    x = random_onehot(n, 2114 if layers == 9 else 400)  # its outputs are of the middle alone
    references = genolift.references.dinucleotide_shuffle(x, r=r, seed=0)
    engine = Engine(model, group=0, device=str(device), n_shuffles=r, random_state=0, warning_threshold=1e9)
    counts = LogCountWrapper(ControlWrapper(model), group=0).eval()
    precision = "tf32" if device.type == "cuda" else "float32"
    explainer = Explainer(counts, x, rule="rescale", device=device, precision=precision)
    theirs = (engine.run(x, references).attr.cpu() * x).sum(1)
    ours = (explainer.explain(x, references).hypothetical * x).sum(1)
    times = interleaved(
        {
            "genolift": lambda: explainer.explain(x, references),
            "cherimoya": lambda: engine.run(x, references),
        },
        rounds,
        device,
    )
    each = {name: statistics.median(seconds) / (n * r) for name, seconds in times.items()}
    told = ", ".join(f"{name} {1000 * seconds:.3g} ms a pair" for name, seconds in each.items())
    return {
        "ratio": median_ratio(times["cherimoya"], times["genolift"]),
        "seconds": times,
        "said": f"{told}; largest difference {largest_difference(ours, theirs):.0e} of the largest score",
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cuda", "cpu", "pretended"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny inputs, once")
    a = parser.parse_args()
    warnings.simplefilter("ignore")
    n, r, layers, rounds = (2, 3, 3, 1) if a.quick else (64, 20, 9, 3)
    print(json.dumps(compared(device_named(a.device), n, r, layers, rounds)))


if __name__ == "__main__":
    main()
