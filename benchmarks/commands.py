"""Runs a genolift command in a process of its own, and says what that took."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

# The process tells its own peak: what the kernel tells its parent is at least the parent's.
_RUN = """
import sys
from pathlib import Path
from genolift.cli.main import main
try:
    main(sys.argv[1:])
finally:
    told = dict(line.split(":") for name in ("status", "io") for line in Path(f"/proc/self/{name}").open())
    print(told["VmHWM"].split()[0], told["rchar"].strip(), file=sys.stderr)
"""


class Cost(NamedTuple):
    """The peak of resident memory in MB (VmHWM), CPU and wall seconds, MB read, and what was printed."""

    peak: float
    cpu: float
    wall: float
    read: float
    said: str


def cost_of(arguments: Sequence[object], environment: Mapping[str, str] | None = None) -> Cost:
    """Run ``genolift`` with these arguments, ``environment`` changed; end if it fails."""
    command = [sys.executable, "-c", _RUN, *map(str, arguments)]
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as printed:
        child = subprocess.Popen(
            command, stdout=printed, stderr=printed, env=os.environ | dict(environment or {})
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - started
        printed.seek(0)
        *said, told = printed.read().splitlines()
    if child.returncode:
        raise SystemExit("\n".join([*said, told]))
    peak, read = map(int, told.split())
    return Cost(peak / 1024, used.ru_utime + used.ru_stime, wall, read / 1e6, "\n".join(said))
