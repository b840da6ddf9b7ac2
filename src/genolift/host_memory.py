"""How much memory this process may still take: of the machine, and of the job that it runs in."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import psutil

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
_MIB = 2**20


def available_memory() -> int:
    """Return how many more bytes this process may allocate.

    The least of what is left of the machine's memory, of its job's (`left_of_job`), and of its own limit on
    address space (``ulimit -v``).
    """
    left = [int(psutil.virtual_memory().available)]
    of_job = left_of_job()
    if of_job is not None:
        left.append(of_job)
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        left.append(limit - int(psutil.Process().memory_info().vms))
    return max(0, min(left))


def left_of_job(share: float = 1.0) -> int | None:
    """Return the bytes that are left of a share of the job's limits, the least; None if it has none.

    The limits are those of its cgroups (of a container, or of a batch job) and Slurm's, which also ends jobs
    where it has no cgroups. What the job holds may be over the share: then it is less than 0.
    """
    left = [int(share * limit) - held for limit, held in (*_cgroups(), *_slurm())]
    return min(left, default=None)


def _slurm() -> Iterator[tuple[int, int]]:
    """Yield the limit of a Slurm job on this node, and what this process holds (sbatch's documentation,
    "Output environment variables"; sizes in MiB, and 0 for all that the node has).
    """
    told = os.environ
    try:
        of_node = int(told.get("SLURM_MEM_PER_NODE", 0))
        of_cpus = int(told.get("SLURM_MEM_PER_CPU", 0)) * int(told.get("SLURM_CPUS_ON_NODE", 0))
    except ValueError:
        return
    if limit := of_node or of_cpus:
        yield limit * _MIB, int(psutil.Process().memory_info().rss)


def _cgroups() -> Iterator[tuple[int, int]]:
    """Yield the limit, and what is held, of each of the process's cgroups that has one (versions 1 and 2)."""
    try:
        memberships = [line.split(":", 2) for line in _MEMBERSHIP.read_text().splitlines()]
    except (OSError, ValueError):
        return
    for number, controllers, path in memberships:
        if number == "0":
            top, names = _CGROUPS, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            top = _CGROUPS / "memory"
        else:
            continue
        group = top / path.lstrip("/")
        for each in (group, *group.parents):
            if each.is_relative_to(top) and (found := _of_cgroup(each, *names)) is not None:
                yield found


def _of_cgroup(group: Path, limit: str, used: str, droppable: str) -> tuple[int, int] | None:
    """Return the limit of a cgroup, and what it holds beside file cache that can be reclaimed."""
    try:
        most, held = int((group / limit).read_text()), int((group / used).read_text())
        kept = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such file, or "max"
        return None
    return most, held - int(kept.get(droppable, 0))
