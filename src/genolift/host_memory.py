"""How much memory this process may still take. Knows nothing of what for."""

from __future__ import annotations

import resource
from pathlib import Path

import psutil

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def available_memory() -> int:
    """Return the bytes that this process may still take: of the machine, of its cgroup (such as a container's
    or a batch job's) and of its own limit on address space (``ulimit -v``), whichever is least.
    """
    room = [int(psutil.virtual_memory().available), *_room_in_cgroups()]
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        room.append(limit - int(psutil.Process().memory_info().vms))
    return max(0, min(room))


def _room_in_cgroups() -> list[int]:
    """Return what is left in each cgroup (version 2) that this process is in and that has a limit."""
    try:
        own = next(line[3:] for line in _MEMBERSHIP.read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        return []
    group = _CGROUPS / own.lstrip("/")
    return [room for each in (group, *group.parents) if (room := _room_in(each)) is not None]


def _room_in(group: Path) -> int | None:
    try:
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        numbers = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such file, or "max"
        return None
    return limit - used + int(numbers.get("inactive_file", 0))  # files kept in memory, which can be dropped
