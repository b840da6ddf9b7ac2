"""``python -m faults.of_workflow``: kill the workflow or a step, fill its disk, or take its memory.

Then do what its last lines say, give the same command again, and compare all files. The analysis has two
targets, two shards and stored references, on windows of a small genome; it runs up to the tables and tracks,
since ``python -m faults`` kills the steps behind them. A disk is a tmpfs, and memory that of a control group
(version 1), so root is needed for these two.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

from places import ROOT
from workflows import environment, snakemake, write_config, write_inputs

from faults.equal import difference, files_in
from faults.trying import mounted

STEP, WORKFLOW, DISK, MEMORY = FAULTS = ("kill a step", "kill snakemake", "full disk", "out of memory")
_GROUPS = Path("/sys/fs/cgroup/memory")
_TIMES = (
    "logs",
    ".captures",
    ".snakemake",
    ".index",
    ".compiled",
    "check.json",
    "encode.log",
    "aggregate.json",
)
"""Files that tell of times, or of the run itself, or have digests of files that do and are compared."""
_LEAST, _MOST = 120 * 2**20, 420 * 2**20
"""Bytes of memory between which steps are ended: Snakemake takes less, torch more."""
_PATIENCE = 600.0


def write_analysis(folder: Path) -> list[str]:
    """Write the inputs and the config; return the arguments of snakemake."""
    folder.mkdir(parents=True, exist_ok=True)
    config = write_inputs(folder)
    analysis = config["analyses"]["tiny"]
    analysis |= {"targets": [0, 1], "references": {"number": 20, "keep": True}}
    source = (folder / "tiny.py").read_text()
    source = source.replace("return self.out(", "one = self.out(").replace(
        "(match)))\n", "(match)))\n        return torch.cat([one, 2 * one + match], 1)\n"
    )
    (folder / "tiny.py").write_text(source)
    write_config(folder, config)
    places = [f"results/tiny/targets/{slug}" for slug in ("0", "1")]
    wanted = [f"{place}/{name}" for place in places for name in ("per_sequence.tsv", "contributions.bw")]
    return [*wanted, "results/tiny/references.h5", "--cores", "1", "--configfile", "my.yaml"]


def steps_of(process: int) -> list[int]:
    """Return the running steps of a workflow: processes of ``genolift`` below it."""
    found = []
    below = [process]
    while below:
        parent = below.pop()
        with suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                below += map(int, (task / "children").read_text().split())
            words = Path(f"/proc/{parent}/cmdline").read_bytes().split(b"\0")
            if any(word.endswith(b"/genolift") for word in words[:2]):
                found.append(parent)
    return found


class Tried:
    """One try in a folder: the fault, what became of the first run, and what was wrong."""

    def __init__(
        self, fault: str, folder: Path, arguments: list[str], seconds: float, random: Random
    ) -> None:
        self.fault, self.folder, self.arguments = fault, folder, arguments
        self.moment, self.random = random.uniform(0, seconds), random
        self.wrong: list[str] = []

    def start(self, before: str = "") -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), *self.arguments]
        return subprocess.Popen(
            ["bash", "-c", f"{before} exec {shlex.join(command)}"],
            cwd=self.folder,
            env=environment(),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def disturb(self, size: int) -> bool:
        """Run the workflow with the fault; return whether it happened before the end."""
        if self.fault == MEMORY:
            return self._without_memory()
        if self.fault == DISK:
            return self._on_a_full_disk(size)
        process = self.start()
        time.sleep(self.moment)
        until = time.monotonic() + _PATIENCE
        if self.fault == WORKFLOW:
            left = steps_of(process.pid)
            process.kill()
            process.wait()
            while any(Path(f"/proc/{step}").exists() for step in left) and time.monotonic() < until:
                time.sleep(0.05)
            return process.returncode == -signal.SIGKILL
        killed = False
        while process.poll() is None and time.monotonic() < until:
            for step in steps_of(process.pid) if not killed else []:
                with suppress(ProcessLookupError):
                    os.kill(step, signal.SIGKILL)
                    killed = True
            time.sleep(0.01)
        return killed

    def _without_memory(self) -> bool:
        group = _GROUPS / f"genolift-{os.getpid()}-{self.folder.name}"
        group.mkdir()
        try:
            (group / "memory.limit_in_bytes").write_text(str(self.random.randint(_LEAST, _MOST)))
            return self.start(f"echo $$ > {group}/cgroup.procs;").wait(_PATIENCE) != 0
        finally:
            until = time.monotonic() + _PATIENCE
            while (left := (group / "cgroup.procs").read_text().split()) and time.monotonic() < until:
                time.sleep(0.05)  # steps go on if it was Snakemake that was ended
            assert not left
            group.rmdir()

    def _on_a_full_disk(self, size: int) -> bool:
        whole = self.folder.with_name(f"{self.folder.name}-disk")
        if not mounted(whole, int(size * self.random.uniform(0.3, 0.95))):
            raise SystemExit("a tmpfs cannot be mounted: root is needed")
        try:
            shutil.copytree(self.folder, whole, dirs_exist_ok=True)
            own, self.folder = self.folder, whole
            ended = self.start().wait(_PATIENCE)
            self.folder = own
            shutil.copytree(whole, own, dirs_exist_ok=True, symlinks=True)
        finally:
            subprocess.run(["umount", whole], check=True)
            whole.rmdir()
        return ended != 0

    def go_on(self, base: Path) -> None:
        """Give the command again, unlocking where Snakemake asks for it, and compare what comes out."""
        code, said = snakemake(*self.arguments, folder=self.folder)
        name, *unlock = shlex.split(said.splitlines()[-1]) if code else ("", "")
        if code and name == "snakemake" and unlock[0] == "--unlock":
            subprocess.run(
                [sys.executable, "-m", "snakemake", *unlock],
                cwd=self.folder,
                env=environment(),
                check=True,
                capture_output=True,
            )
            code, said = snakemake(*self.arguments, folder=self.folder)
        if code:
            self.wrong.append(f"ends with {code} when it is run again: {said[-1500:]}")
            return
        one, other = (results(folder) for folder in (self.folder, base))
        if one.keys() != other.keys():
            self.wrong.append(f"has other files: {sorted(one.keys() ^ other.keys())}")
        for path in sorted(one.keys() & other.keys()):
            if found := difference(one[path], other[path]):
                self.wrong.append(found)


def results(folder: Path) -> dict[str, Path]:
    """Return the files that a run ends with, by their paths, without those that tell of the run itself."""
    root = folder / "results"
    paths = {path.relative_to(root).as_posix(): path for path in files_in(root)}
    return {name: path for name, path in paths.items() if not {*Path(name).parts} & {*_TIMES}}


def main() -> int:
    """Run what the command line asks for; return 1 if a try went wrong."""
    parser = argparse.ArgumentParser(prog="python -m faults.of_workflow", description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="of each fault (20)")
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=FAULTS)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    counts: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory(prefix="faults.") as made:
        base = Path(made) / "base"
        arguments = write_analysis(base)
        inputs = Path(made) / "inputs"
        shutil.copytree(base, inputs)
        began = time.monotonic()
        code, said = snakemake(*arguments, folder=base)
        seconds = time.monotonic() - began
        if code:
            raise SystemExit(f"the workflow fails undisturbed:\n{said}")
        size = sum(
            path.stat().st_size for path in base.rglob("*") if path.is_file() and not path.is_symlink()
        )
        print(f"undisturbed: {seconds:.0f} s, {size} bytes", flush=True)
        for number in range(options.times):
            for fault in options.faults:
                folder = Path(made) / f"try-{number}-{FAULTS.index(fault)}"
                shutil.copytree(inputs, folder)
                tried = Tried(fault, folder, arguments, seconds, Random(f"{options.seed} {number} {fault}"))
                happened = tried.disturb(size)
                tried.go_on(base)
                for wrong in tried.wrong:
                    print(f"{fault} at {tried.moment:.2f} s, try {number}: {wrong}", flush=True)
                shutil.rmtree(folder)
                counts[fault, "wrong" if tried.wrong else "equal" if happened else "had ended"] += 1
            told = ", ".join(f"{fault} {what} {times}" for (fault, what), times in sorted(counts.items()))
            print(f"{number + 1} of each: {told}", flush=True)
    return 1 if any(what == "wrong" for _, what in counts) else 0


if __name__ == "__main__":
    sys.exit(main())
