"""Where the time goes: the operators in a run of genolift and of the floor, sorted by their own time."""

from __future__ import annotations

import torch
from floor import floor
from models import SHAPES, make_work
from peers import OneTask
from timing import Run, computing_in
from torch.profiler import ProfilerActivity, profile

from genolift.explain.attribution import Explainer

_ROWS = 20


def step_profile(name: str, device: torch.device, rule: str, precision: str, *, quick: bool = False) -> str:
    """Return tables of the operators in genolift's run of a model, and in the floor's at the same batch size.

    On a CPU both use one thread, since torch's profiler does not see genolift's other threads.
    """
    if device.type == "cpu":
        torch.set_num_threads(1)
    work = make_work(SHAPES[name], device, quick=quick)
    explainer = Explainer(work.model, work.sequences, rule=rule, target=0, device=device, precision=precision)
    sequences, references = work.sequences.to(device), work.references.flatten(0, 1).to(device)
    model, batch = OneTask(work.model).eval(), min(explainer.batch_size(), work.n * work.r)

    def lowest() -> None:
        with computing_in(precision, device):
            floor(model, sequences, references, batch)

    runs: dict[str, Run] = {
        f"genolift {rule}, {precision}": lambda: explainer.explain(work.sequences, work.references),
        f"floor, {batch} rows at a time": lowest,
    }
    return "\n".join(f"{title}\n{_operators(run, device)}" for title, run in runs.items())


def _operators(run: Run, device: torch.device) -> str:
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    for _ in range(2):
        run()
    with profile(activities=activities) as taken:
        run()
    by = "self_cuda_time_total" if device.type == "cuda" else "self_cpu_time_total"
    return taken.key_averages().table(sort_by=by, row_limit=_ROWS, max_name_column_width=60)
