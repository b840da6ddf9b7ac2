"""CPU seconds of the first `genolift.deeplift` call of a process, stage by stage, as JSON on one line.

    python benchmarks/first_call.py

What torch needs by itself for the same model (to be imported, and to export and decompose it) is told apart
from what is ours. `waiting.py` runs it in fresh processes. A BPNet-shaped model, 1 sequence x 20 references.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import one_thread  # noqa: F401 - sets the number of threads

STAGES: dict[str, float] = {}
TORCH = "import torch", "import torch.export's tracer", "torch.export.export", "run_decompositions"
"""The stages that torch needs whatever explains the model."""


def timed(stage: str, run: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """Run something, and add its CPU seconds to those of a stage, less those of stages inside it."""
    inside, start = sum(STAGES.values()), time.process_time()
    try:
        return run(*arguments, **keywords)
    finally:
        inside = sum(STAGES.values()) - inside
        STAGES[stage] = STAGES.get(stage, 0.0) + time.process_time() - start - inside


def _time_calls(owner: Any, name: str, stage: str) -> None:
    function = getattr(owner, name)
    setattr(owner, name, lambda *args, **keywords: timed(stage, function, *args, **keywords))


def _import_torch() -> Any:
    import torch

    return torch


def _import_tracer() -> None:
    import torch._dynamo
    import torch._functorch.aot_autograd
    import torch.export._trace  # noqa: F401


def _import_genolift() -> Any:
    import genolift

    genolift.deeplift  # noqa: B018 - is imported when it is first used
    return genolift


def _import_references() -> Any:
    import genolift.references.makers

    return genolift.references.dinucleotide_shuffle


def main() -> None:
    torch = timed("import torch", _import_torch)
    timed("import torch.export's tracer", _import_tracer)
    genolift = timed("import genolift", _import_genolift)
    shuffle = timed("import genolift.references", _import_references)

    from models import BPNetShaped, random_onehot, with_statistics

    from genolift.explain.explainer import Explainer

    model, x = with_statistics(BPNetShaped()), random_onehot(1, 2114)
    references = timed("20 dinucleotide shuffles", shuffle, x, r=20, seed=0)
    _time_calls(torch.export, "export", "torch.export.export")
    _time_calls(torch.export.ExportedProgram, "run_decompositions", "run_decompositions")
    _time_calls(Explainer, "explain_each", "the engine's first run")
    ours = "the rest of the call: trials, plan, checks"
    timed(ours, genolift.deeplift, model, x, references, rule="rescale", device="cpu")
    print(json.dumps(STAGES))


if __name__ == "__main__":
    main()
