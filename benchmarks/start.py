"""CPU seconds until the command line answers with its overview, or with a command's help.

``python benchmarks/start.py`` prints the least of eight runs of each.
"""

from __future__ import annotations

import resource
import subprocess
import sys

RUNS = 8
COMMANDS = ("--version", "--help", "encode --help", "attribute --help")


def cpu_seconds(*arguments: str) -> float:
    """Return the CPU time of a command, the least of some runs."""
    least = float("inf")
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "genolift", *arguments], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        least = min(least, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return least


if __name__ == "__main__":
    for command in COMMANDS:
        print(f"genolift {command}: {cpu_seconds(*command.split()):.3f} s")
