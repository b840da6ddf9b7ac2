"""One try: a step is started, a fault happens to it, and it is run again."""

from __future__ import annotations

import importlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from faults.analysis import STEPS, Step, write_inputs
from faults.equal import difference
from genolift.cli import main as cli
from genolift.files.output_paths import UNFINISHED

SIGNALS = ("SIGKILL", "SIGINT", "SIGTERM")
FULL = "full disk"
_PATIENCE = 120.0
_LEFT_THREADS = 97
_PAGE = 4096
_MODULES = (
    *("compare.methods", "demo.simulate", "steps.aggregate", "steps.attribute", "steps.check"),
    *("steps.encode", "steps.export", "steps.inspect", "steps.logos", "steps.motifs"),
    *("steps.reference", "steps.report"),
)


@dataclass
class Outcome:
    """The outcome of a try, in a word, and what was wrong."""

    step: str
    fault: str
    moment: float
    ended: str = ""
    wrong: list[str] = field(default_factory=list)


def preload() -> None:
    """Import the modules that steps import, so that a forked process begins with the step's own work.

    Except modiscolite, which makes numba start its threads; a process forked after that could not start any.
    """
    for name in _MODULES:
        importlib.import_module(f"genolift.{name}")
    for name in ("finemo.hitcaller", "logomaker", "matplotlib.figure", "memelite"):
        importlib.import_module(name)


def start(step: Step, folder: Path, limit: int | None = None) -> int:
    """Fork a process that runs a step in ``folder``, whose files are at most ``limit`` bytes long.

    Returns when the command has begun: before that, a signal ends it like any other process.
    """
    ready, said = os.pipe()
    process = os.fork()
    if process:
        os.close(said)
        os.read(ready, 1)
        os.close(ready)
        return process
    try:
        os.chdir(folder)
        words = os.open(folder / "words", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(words, stream)
        step.before()
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        run = cli._run

        def begun(arguments: Sequence[str] | None) -> int:
            os.close(said)
            return run(arguments)

        cli._run = begun
        code = 1
        cli.main([str(word) for word in step.arguments])
    except SystemExit as left:
        code = int(left.code or 0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    left = [each for each in threading.enumerate() if each is not threading.main_thread() and not each.daemon]
    os._exit(_LEFT_THREADS if left else code)


def ended(process: int, seconds: float = _PATIENCE) -> int | None:
    """Return a process's exit code, negative for a signal that killed it; None if it does not end in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return None


def undisturbed(folder: Path, names: Collection[str], tell: Callable[[str], None]) -> dict[str, float]:
    """Run steps in ``folder`` up to the last that is named; return the seconds that each takes.

    The input of each step is kept in a folder of its name. If a step is named, its second run is timed, since
    only the first compiles.
    """
    write_inputs(folder / "run")
    seconds = {}
    for step in STEPS[: 1 + max(number for number, each in enumerate(STEPS) if each.name in names)]:
        shutil.copytree(folder / "run", folder / step.name)
        for number in range(2 if step.name in names else 1):
            began = time.monotonic()
            code = ended(start(step, folder / "run"), 600)
            seconds[step.name] = time.monotonic() - began
            if code:
                words = (folder / "run" / "words").read_text()
                raise SystemExit(f"{step.name} fails undisturbed ({code}, run {number + 1}):\n{words}")
        tell(f"{step.name}: {seconds[step.name]:.2f} s undisturbed")
    return seconds


def try_once(step: Step, fault: str, base: Path, folder: Path, seconds: float, random: Random) -> Outcome:
    """Start a step, cause the fault at a random moment, and run it again."""
    begins_anew = random.random() < 0.5
    shutil.copytree(base / step.name, folder, dirs_exist_ok=True)
    if not begins_anew:  # over an earlier run's outputs
        for name in step.outputs:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (base / "run" / name).is_dir() else shutil.copy2
            copy(base / "run" / name, folder / name)
    outcome = Outcome(step.name, fault, random.uniform(0, seconds))
    if fault == FULL:
        _fill(step, base, folder, random, outcome)
    else:
        process = start(step, folder)
        time.sleep(outcome.moment)
        with suppress(ProcessLookupError):
            os.kill(process, getattr(signal, fault))
        _judge(ended(process), fault, folder, outcome)
    _check_names(step, base, folder, fault, outcome)
    code = ended(start(step, folder), 600)
    if code:
        outcome.wrong.append(f"ends with {code} when it is run again: {(folder / 'words').read_text()}")
    for name in step.outputs:
        if found := difference(folder / name, base / "run" / name):
            outcome.wrong.append(f"after it was run again, {found}")
    if (folder / "out/a.h5.pieces").exists():
        outcome.wrong.append("pieces are left after it was run again")
    return outcome


def _judge(code: int | None, fault: str, folder: Path, outcome: Outcome) -> None:
    words = (folder / "words").read_text()
    signum = int(getattr(signal, fault))
    expected = -signum if fault == "SIGKILL" else 128 + signum
    if code == 0:
        outcome.ended = "had ended"
    elif code == expected:
        outcome.ended = "stopped"
    else:
        outcome.wrong.append(f"ends with {code} in place of {expected}: {words}")
    last = (words.splitlines() or [""])[-1]
    if code == expected and fault != "SIGKILL" and last != f"genolift: stopped by {fault}":
        outcome.wrong.append(f"its last line is {last!r}")
    if "Traceback" in words or "Exception ignored" in words:
        outcome.wrong.append(f"it says more than one line: {words}")


def _fill(step: Step, base: Path, folder: Path, random: Random, outcome: Outcome) -> None:
    """Run a step on a disk that is full before its outputs are complete.

    The disk is a tmpfs if one can be mounted, else a limit on file size, which has the same effect.
    """
    sizes = [path.stat().st_size for name in step.outputs for path in _files(base / "run" / name)]
    limit = int(random.uniform(0.1, 0.9) * max(sizes))
    outcome.moment = limit
    whole = folder.with_name(f"{folder.name}-disk")
    taken = _PAGE + sum(-(-path.stat().st_size // _PAGE) * _PAGE for path in _files(folder))
    if mounted(whole, taken + limit):
        try:
            shutil.copytree(folder, whole, dirs_exist_ok=True)
            code = ended(start(step, whole))
            shutil.rmtree(folder)
            shutil.copytree(whole, folder)
        finally:
            subprocess.run(["umount", whole], check=True)
            whole.rmdir()
        outcome.fault = "full tmpfs"
    else:
        code = ended(start(step, folder, limit))
    words = (folder / "words").read_text()
    outcome.ended = "had ended" if code == 0 else "refused"
    if code not in (0, 2) or "Traceback" in words:
        outcome.wrong.append(f"ends with {code} on a full disk: {words}")


def mounted(folder: Path, size: int) -> bool:
    """Mount a tmpfs of this many bytes, if that is allowed."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder]
    if subprocess.run(command, capture_output=True).returncode == 0:
        return True
    folder.rmdir()
    return False


def _check_names(step: Step, base: Path, folder: Path, fault: str, outcome: Outcome) -> None:
    """Check that files with a final name are complete, and that no temporary file is left."""
    left = [path for path in folder.rglob(f"{UNFINISHED}*") if fault != "SIGKILL"]
    if left:
        outcome.wrong.append(f"left {left[0].relative_to(folder)}")
    for name in step.outputs:
        for path in _files(folder / name):
            if UNFINISHED in path.name or path.name == ".genolift":
                continue
            whole = base / "run" / name / path.relative_to(folder / name)
            if found := difference(path, whole):
                outcome.wrong.append(f"under its final name, {found}")


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return [each for each in path.rglob("*") if each.is_file()]
    return [path] if path.is_file() else []
