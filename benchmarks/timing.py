"""Interleaved timing: each run is timed once per round, so that other work on a machine affects all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch

Run = Callable[[], object]
Clock = Callable[[], float]
_HOPELESS = 2.0  # a batch size this many times slower than the best is the last to be tried


def seconds(run: Run, device: torch.device, clock: Clock = time.perf_counter) -> float:
    """Return the seconds that one run takes until the device has finished."""
    _wait_for(device)
    start = clock()
    run()
    _wait_for(device)
    return clock() - start


def interleaved(
    runs: Mapping[str, Run],
    rounds: int,
    device: torch.device,
    clock: Clock = time.perf_counter,
    failed: dict[str, str] | None = None,
) -> dict[str, list[float]]:
    """Return the seconds of every run in every round; each round starts with a different run.

    With ``failed``, a run that raises is left out, and what it said is put there, by its name.
    """
    names = list(runs)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number * max(1, len(names) // rounds) % len(names)
        for name in names[first:] + names[:first]:
            if name not in times:
                continue
            try:
                times[name].append(seconds(runs[name], device, clock))
            except Exception as error:
                if failed is None:
                    raise
                failed[name] = in_a_line(error)
                del times[name]
    return times


def in_a_line(error: Exception) -> str:
    """Return what went wrong, as a cell of a table."""
    return f"failed: {type(error).__name__}: {error}".splitlines()[0][:200].replace("|", "/")


def timed_after_one(runs: Mapping[str, Run], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of every run in every round, on a CPU, after an uncounted one (for compilation)."""
    for run in runs.values():
        run()
    return interleaved(runs, rounds, torch.device("cpu"))


def median_ratio(times: Sequence[float], over: Sequence[float]) -> float:
    """Return the median over rounds of the ratio within a round."""
    return statistics.median(a / b for a, b in zip(times, over, strict=True))


def best_batch(
    run: Callable[[int], object],
    candidates: Sequence[int],
    device: torch.device,
    trials: int = 2,
    patience: float = float("inf"),
) -> int:
    """Return the batch size, from the ascending ``candidates``, whose faster of ``trials`` runs is fastest.

    A size that does not fit the device's memory, or is hopelessly slow, ends the search, as do ``patience``
    seconds of it.
    """
    best, best_seconds, start = candidates[0], float("inf"), time.perf_counter()
    for size in candidates:
        try:
            taken = min(seconds(lambda size=size: run(size), device) for _ in range(trials))  # type: ignore[misc]
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            break
        if taken < best_seconds:
            best, best_seconds = size, taken
        elif taken > _HOPELESS * best_seconds:
            break
        if time.perf_counter() - start > patience:
            break
    return best


def fitting(sizes: Sequence[int], most: int) -> list[int]:
    """Return the batch sizes of up to ``most``, or that alone where all are larger."""
    return [size for size in sizes if size <= most] or [most]


@contextmanager
def computing_in(precision: str, device: torch.device) -> Iterator[None]:
    """Set tf32 on or off, and autocast to bfloat16, inside the context."""
    matmul, convolution = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    try:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = matmul
        torch.backends.cudnn.allow_tf32 = convolution


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
