"""Describes the machine of a benchmark, and measures the peak memory of a run."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import platform
import sys
import threading
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
import torch
from timing import Run

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_SAMPLE_SECONDS = 0.002


def machine(device: torch.device) -> dict[str, Any]:
    """Return the processor, its cores, the threads that PyTorch uses, the GPU, and versions."""
    said: dict[str, Any] = {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "bfloat16 instructions": _flags() & {"avx512_bf16", "amx_bf16"} != set(),
        "memory, GiB": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    if device.type == "cuda":
        said |= {"GPU": torch.cuda.get_device_name(device), "CUDA": torch.version.cuda}
    for package in ("genolift", "tangermeme", "captum", "shap"):
        try:
            said[package] = version(package)
        except PackageNotFoundError:
            said[package] = None
    return said


def device_named(name: str) -> torch.device:
    """Return a device: cpu, cuda, or pretended, a card that is not there but has CUDA's rules about devices.

    That card is the module ``pretend`` of ../shared/gpu, which has to be on Python's path.
    """
    if name == "pretended":
        import pretend

        pretend.install()
        name = "cuda"
    if name == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no GPU here: nothing was measured")
    return torch.device(name)


def is_pretended() -> bool:
    """Whether the GPU is a pretended one, whose times say nothing."""
    return "pretend" in sys.modules


def peak_memory(run: Run, device: torch.device) -> int:
    """Return the peak increase in bytes of the process's, or the GPU's, memory during one run."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    return_freed_memory()
    process = psutil.Process()
    before = process.memory_info().rss
    try:
        _CLEAR.write_text("5")  # sets the high-water mark to the current resident size
    except OSError:
        return _sampled_peak(run, process) - before
    run()
    return _high_water_mark() - before


def _high_water_mark() -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def _sampled_peak(run: Run, process: psutil.Process) -> int:
    peak, done = process.memory_info().rss, threading.Event()

    def sample() -> None:
        nonlocal peak
        while not done.wait(_SAMPLE_SECONDS):
            peak = max(peak, process.memory_info().rss)

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        run()
    finally:
        done.set()
        sampler.join()
    return peak


def return_freed_memory() -> None:
    """Have the C library return freed memory, which would otherwise hide what a run needs."""
    with contextlib.suppress(OSError, AttributeError):  # another C library: the peak may come out too low
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _flags() -> set[str]:
    lines = _cpuinfo()
    return set(next((line.split(":")[1] for line in lines if line.startswith("flags")), "").split())


def _processor() -> str:
    named = next((line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), "")
    return named or platform.processor() or platform.machine()


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.is_file() else []
