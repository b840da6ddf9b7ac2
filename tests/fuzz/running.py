"""Runs cases in separate processes with limits: one that crashes, hangs or fills memory is a finding.

A process is forked from this one, which has imported everything, and runs cases until one ends it.
"""

from __future__ import annotations

import logging
import os
import resource
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from random import Random
from typing import Any

from hypothesis.strategies import SearchStrategy

from fuzz.grammars import drawn
from fuzz.judging import REFUSED, OutOfTimeError, Verdict, difference, judge
from fuzz.mutations import Change, changed

_DRAWN_AT_ONCE = 64
_CLOCK = 6
_LONGEST_MAKING = 60.0
_UNMADE = "could not be made"
"""Cases to skip: HDF5 may never return from a file that was damaged before and is changed again."""
_READING, _COMPARING = "reading", "comparing"


@dataclass(frozen=True)
class Format:
    """A kind of file, its readers, and how cases are made."""

    name: str
    suffix: str
    read: Callable[[Path], Any]
    """The reader under test; returns a value to compare."""
    read_independently: Callable[[Path], Any]
    """Another reader of the same bytes."""
    bases: Callable[[Path], Sequence[Path]]
    """Writes valid files into a folder, which must be accepted and from which other cases are made."""
    texts: SearchStrategy[bytes] | None = None
    """The grammar of a text format."""
    changes: Sequence[Change] = ()
    """Changes specific to the format, in addition to those of bytes."""
    difference: Callable[[Any, Any], str] = difference


@dataclass(frozen=True)
class Limits:
    """Limits for the reader under test: seconds, and bytes beyond those it began with.

    After ``grace`` more seconds a process that no alarm reaches is killed.
    """

    seconds: float = 5.0
    """CPU time of one core. The wall clock may be six times as much, since others may use the core too."""
    bytes: int = 2 * 2**30
    grace: float = 5.0


@dataclass(frozen=True)
class Finding:
    """A case that was neither refused nor accepted correctly, and its file."""

    format: str
    verdict: Verdict
    file: Path


@dataclass
class Tally:
    """Numbers of cases by format and outcome, and the findings."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def case_of(made: Format, valid: Sequence[bytes], seed: int, number: int) -> bytes:
    """Return case ``number`` of a format: first its valid files, then some from its grammar or changed."""
    if number < len(valid):
        return valid[number]
    random = Random(f"{seed} {made.name} {number}")
    choice = random.random()
    if made.texts is None or choice > 0.7:
        return changed(random.choice(valid), valid, made.changes, random)
    texts = _texts(made.texts, hash((seed, number // _DRAWN_AT_ONCE)) & 0xFFFFFFFF)
    text = texts[number % len(texts)]
    return text if choice < 0.35 else changed(text, valid, made.changes, random)


@lru_cache(maxsize=16)
def _texts(strategy: SearchStrategy[bytes], seed: int) -> list[bytes]:
    return drawn(strategy, seed, _DRAWN_AT_ONCE)


def judge_file(
    made: Format, path: Path, limits: Limits, tell: Callable[[Any], None] = lambda _: None
) -> Verdict:
    """Return the outcome for a file under limits, which end this process's case if they can.

    ``tell`` is called with what happens next, for whoever watches a process that a reader ends or blocks.
    """

    def on_accepted() -> None:
        _limit_memory(None)
        _limit_time(4 * limits.seconds)
        tell(_COMPARING)

    for alarm in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(alarm, _out_of_time)
    tell(_READING)
    said = _Said()
    logger = logging.getLogger("genolift")
    logger.handlers, logger.propagate = [said], False
    try:
        _limit_memory(limits.bytes)
        _limit_time(limits.seconds)
        verdict = judge(made.read, made.read_independently, made.difference, path, on_accepted)
        odd = next((text for text in said.texts if not text.isprintable()), None)
        if odd is not None and not verdict.is_finding:
            return Verdict("logs more than one line, or what cannot be printed", odd[:40], repr(odd))
        return verdict
    except OutOfTimeError:
        return Verdict("takes too long", "after its end")
    finally:
        _limit_time(0)
        _limit_memory(None)


class _Said(logging.Handler):
    """Keeps what a reader logs."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def _out_of_time(number: int, frame: Any) -> None:
    raise OutOfTimeError


def _limit_time(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, _CLOCK * seconds)


def _limit_memory(more: int | None) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = hard
    if more is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        soft = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _serve(
    pipe: Connection, folder: Path, formats: Mapping[str, tuple[Format, list[bytes]]], limits: Limits
) -> None:
    """Run the cases named on a pipe, each from a file in ``folder``, and report their outcomes."""
    quiet = os.open(folder / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            name, seed, number = pipe.recv()
        except EOFError:
            return
        made, valid = formats[name]
        path = folder / f"case{made.suffix}"
        path.unlink(missing_ok=True)
        path.write_bytes(case_of(made, valid, seed, number))
        os.truncate(quiet, 0)
        pipe.send(judge_file(made, path, limits, pipe.send))


class _Worker:
    """A process that runs cases, and its current state."""

    def __init__(
        self, folder: Path, formats: Mapping[str, tuple[Format, list[bytes]]], limits: Limits
    ) -> None:
        self.folder, self.formats, self.limits = folder, formats, limits
        self.case: tuple[str, int, int] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._start()

    def _start(self) -> None:
        context = get_context("fork")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(theirs, self.folder, self.formats, self.limits), daemon=True
        )
        self.process.start()
        theirs.close()
        self.doing, self.since = "", time.monotonic()

    def begin(self, case: tuple[str, int, int]) -> None:
        self.case, self.doing, self.since = case, "", time.monotonic()
        self.pipe.send(case)

    def received(self) -> Verdict | None:
        """Return the outcome of the case if it is known by now."""
        try:
            said = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            return self._ended(f"ends the process, exit code {self.process.exitcode}")
        if isinstance(said, Verdict):
            return said
        self.doing, self.since = said, time.monotonic()
        return None

    def overdue(self) -> Verdict | None:
        """Return a finding if a case blocks the process so that no alarm reaches it."""
        cores = self.limits.seconds * (4 if self.doing == _COMPARING else 1)
        most = _CLOCK * cores + self.limits.grace
        if time.monotonic() - self.since < (most if self.doing else _LONGEST_MAKING):
            return None
        self.process.kill()
        self.process.join()
        return self._ended("takes too long, and cannot be interrupted")

    def _ended(self, kind: str) -> Verdict:
        said = (self.folder / "output.txt").read_text("utf-8", "replace")[-2000:]
        self.pipe.close()
        verdict = Verdict(kind if self.doing else _UNMADE, f"while {self.doing}", said)
        self._start()
        return verdict

    def stop(self) -> None:
        self.pipe.close()
        self.process.join(2)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def run_cases(
    formats: Sequence[Format],
    *,
    cases: int,
    seconds: float,
    seed: int,
    processes: int,
    folder: Path,
    findings: Path,
    limits: Limits | None = None,
    on_finding: Callable[[Finding], None] = lambda finding: None,
) -> Tally:
    """Run cases of each format in turn, until ``cases`` are done or ``seconds`` have passed.

    Parameters
    ----------
    seed
        Case ``number`` of a format is always the same for a seed.
    folder
        For working files.
    findings
        Where the file of each finding is kept.
    """
    limits = limits or Limits()
    bases = base_files(formats, folder)
    known = {made.name: (made, [path.read_bytes() for path in bases[made.name]]) for made in formats}
    tally = Tally({made.name: Counter() for made in formats})
    todo = iter([(formats[n % len(formats)].name, seed, n // len(formats)) for n in range(cases)])
    end = time.monotonic() + seconds
    with _workers(processes, folder, known, limits) as workers:
        busy = [worker for worker in workers if _begin(worker, todo, end)]
        while busy:
            wait([worker.pipe for worker in busy], timeout=0.5)
            for worker in list(busy):
                verdict = worker.received() if worker.pipe.poll() else worker.overdue()
                if verdict is None or worker.case is None:
                    continue
                if verdict.kind == _UNMADE:
                    if not _begin(worker, todo, end):
                        busy.remove(worker)
                    continue
                name, _, number = worker.case
                if verdict.kind == REFUSED and number < len(known[name][1]):
                    verdict = Verdict("is refused, though it is valid", detail=verdict.detail)
                tally.counts[name][verdict.kind] += 1
                if verdict.is_finding:
                    path = worker.folder / f"case{known[name][0].suffix}"
                    tally.findings.append(_kept(name, verdict, path, findings / name / f"{seed}-{number}"))
                    on_finding(tally.findings[-1])
                if not _begin(worker, todo, end):
                    busy.remove(worker)
    return tally


def base_files(formats: Sequence[Format], folder: Path) -> dict[str, list[Path]]:
    """Write each format's valid files below ``folder``; return them by format.

    A separate process writes them, since it makes torch and others start threads, and a process forked from
    one with such threads would hang.
    """
    pipe, theirs = get_context("fork").Pipe(duplex=False)
    process = get_context("fork").Process(target=_write_bases, args=(theirs, formats, folder))
    process.start()
    theirs.close()
    try:
        found: dict[str, list[Path]] = pipe.recv()
    except EOFError as error:
        raise RuntimeError("the valid files could not be written: see the error above") from error
    finally:
        process.join()
    return found


def _write_bases(pipe: Connection, formats: Sequence[Format], folder: Path) -> None:
    found = {}
    for made in formats:
        own = folder / "bases" / made.name
        own.mkdir(parents=True, exist_ok=True)
        found[made.name] = list(made.bases(own))
    pipe.send(found)


@contextmanager
def _workers(
    number: int, folder: Path, formats: Mapping[str, tuple[Format, list[bytes]]], limits: Limits
) -> Iterator[list[_Worker]]:
    workers = [_Worker(folder / f"worker-{each}", formats, limits) for each in range(number)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.stop()


def _begin(worker: _Worker, todo: Iterator[tuple[str, int, int]], end: float) -> bool:
    case = next(todo, None) if time.monotonic() < end else None
    if case is not None:
        worker.begin(case)
    return case is not None


def _kept(name: str, verdict: Verdict, case: Path, stem: Path) -> Finding:
    stem.parent.mkdir(parents=True, exist_ok=True)
    file = stem.with_name(stem.name + case.suffix)
    shutil.copyfile(case, file)
    told = f"{name}: {verdict.kind} ({verdict.place})\n{command_for(name, file)}\n\n{verdict.detail}\n"
    stem.with_name(stem.name + ".txt").write_text(told, "utf-8", "backslashreplace")
    return Finding(name, verdict, file)


def command_for(name: str, file: Path) -> str:
    """Return the command that runs one file alone."""
    return f"PYTHONPATH=src:tests python -m fuzz --format {name} --file {file}"
