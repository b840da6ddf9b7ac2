"""The speedup from each fast form of the engine: the CPU time without it over the time with it.

    python benchmarks/fast_forms.py --threads 1
    python benchmarks/fast_forms.py --threads 2 --models bpnet --rounds 15

Runs with and without alternate in one process, and CPU time is measured, so that other work on the machine
affects both alike. It gives two ratios: the median over rounds, and that of the two shortest times.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace
from typing import Any

import torch
from models import SHAPES, Work, make_work

from genolift.engine.backends.choice import Forms, forms_for
from genolift.engine.run.run import Runner
from genolift.explain.explainer import Explainer

CPU = torch.device("cpu")
PAIRS = {"paper": (8, 20), "basset": (2, 10), "bpnet": (2, 8), "deepsea": (2, 6), "transformer": (2, 10)}
"""The numbers of sequences, and of references for each, that one round explains."""
WITHOUT: dict[str, dict[str, bool]] = {
    "loops": {"loops": False, "stays_half": False},
    "channels_last": {"channels_last": False},
    "folding": {"folding": False},
    "stays_half": {"stays_half": False},
}


def measured(work: Work, rule: str, precision: str, rounds: int) -> dict[str, tuple[float, float]]:
    """Return for each form the median of the rounds' ratios, and the ratio of the shortest times."""
    n, r = PAIRS[work.shape.name]
    x, references = work.sequences[:n], work.references[:n, :r]
    explainer = Explainer(work.model, x, rule=rule, target=0, device="cpu", precision=precision)
    half = precision == "bfloat16"

    def runner(**without: bool) -> Runner:
        forms: Forms = replace(forms_for(CPU), **without)
        options: dict[str, Any] = {"half_precision": half, "forms": forms}
        return Runner(explainer.plan, CPU, explainer.dtype, **options)

    def seconds(by: Runner) -> float:
        explainer.runner = by
        start = time.process_time()
        explainer.explain(x, references)
        return time.process_time() - start

    every, found = runner(), {}
    seconds(every)
    for name, without in WITHOUT.items():
        if name == "stays_half" and not half:
            continue
        other = runner(**without)
        seconds(other)
        times = [(seconds(every), seconds(other)) for _ in range(rounds)]
        fast, slow = zip(*times, strict=True)
        found[name] = statistics.median(b / a for a, b in times), min(slow) / min(fast)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--models", nargs="+", choices=PAIRS, default=["basset", "bpnet", "deepsea"])
    parser.add_argument("--rules", nargs="+", default=["rescale", "genomics-default", "revealcancel"])
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    print("| model | rule | precision | form | median ratio | of the shortest |\n" + "|---" * 6 + "|")
    for model in a.models:
        work = make_work(SHAPES[model], CPU)
        for precision in a.precisions:
            for rule in a.rules:
                for form, (median, least) in measured(work, rule, precision, a.rounds).items():
                    row = model, rule, precision, form, f"{median:.2f}", f"{least:.2f}"
                    print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
