"""How much memory this process may still take."""

import resource
from pathlib import Path

import psutil

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def available_memory() -> int:
    """Return how many more bytes this process may allocate.

    The least of what is left of the machine's memory, of its cgroup's (a container's or batch job's), and of
    its own limit on address space (``ulimit -v``).
    """
    room = [int(psutil.virtual_memory().available), *_room_in_cgroups()]
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        room.append(limit - int(psutil.Process().memory_info().vms))
    return max(0, min(room))


def _room_in_cgroups() -> list[int]:
    """Return what is left in each of the process's cgroups that has a limit (versions 1 and 2)."""
    try:
        memberships = [line.split(":", 2) for line in _MEMBERSHIP.read_text().splitlines()]
    except (OSError, ValueError):
        return []
    rooms = []
    for number, controllers, path in memberships:
        if number == "0":
            top, names = _CGROUPS, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            top = _CGROUPS / "memory"
        else:
            continue
        group = top / path.lstrip("/")
        rooms += [_room_in(each, *names) for each in (group, *group.parents) if each.is_relative_to(top)]
    return [room for room in rooms if room is not None]


def _room_in(group: Path, limit: str, used: str, droppable: str) -> int | None:
    """Return what is left in a cgroup; its reclaimable file cache counts as left."""
    try:
        most, held = int((group / limit).read_text()), int((group / used).read_text())
        kept = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such file, or "max"
        return None
    return most - held + int(kept.get(droppable, 0))
