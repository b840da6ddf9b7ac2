"""A signal ends a command with 128 + its number and one line, leaves nothing unfinished, is never lost."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from genolift.cli import main as cli
from genolift.cli.command import Command
from genolift.cli.commands import COMMANDS
from genolift.files import whole
from genolift.files.stopping import SIGNALS
from genolift.files.whole import whole_file, whole_folder

Run = Callable[[], object]


def ended(monkeypatch: pytest.MonkeyPatch, run: Run) -> int:
    """Return the exit code of a process that runs a command, which calls ``run``."""

    def tried() -> None:
        run()

    monkeypatch.setitem(COMMANDS, "tried", Command(tried))
    process = os.fork()
    if process == 0:
        code = 1
        try:
            cli.main(["tried"])
        except SystemExit as left:
            code = int(left.code or 0)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_is_one_line_and_its_exit_code_and_nothing_is_left(
    signum: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.txt").write_text("old")

    def run() -> None:
        with whole_file(tmp_path / "old.txt") as path, whole_folder(tmp_path / "new", "tried") as folder:
            path.write_text("new")
            (folder / "one.txt").write_text("new")
            signal.raise_signal(signum)

    assert ended(monkeypatch, run) == 128 + signum
    assert capfd.readouterr().err == f"genolift: stopped by {signal.Signals(signum).name}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["old.txt"]
    assert (tmp_path / "old.txt").read_text() == "old"


def test_a_thread_that_makes_a_file_meanwhile_leaves_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The thread has named its file, and makes it only after the names were gone through."""
    named = threading.Event()
    make = whole._make_empty_file

    def make_late(path: Path) -> None:
        named.set()
        time.sleep(0.2)
        make(path)

    def write() -> None:
        with whole_file(tmp_path / "file.txt"):
            time.sleep(60)

    def run() -> None:
        monkeypatch.setattr(whole, "_make_empty_file", make_late)
        threading.Thread(target=write, daemon=True).start()
        named.wait()
        signal.raise_signal(signal.SIGTERM)

    assert ended(monkeypatch, run) == 128 + signal.SIGTERM
    assert not list(tmp_path.iterdir())


def test_a_command_leaves_the_handlers_of_signals_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [signal.getsignal(each) for each in SIGNALS]
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert [signal.getsignal(each) for each in SIGNALS] == before


class Destroyed:
    """Is interrupted during its destruction, where Python cannot propagate an exception."""

    def __init__(self, signum: int) -> None:
        self.signum = signum

    def __del__(self) -> None:
        signal.raise_signal(self.signum)


def swallowed(signum: int) -> None:
    with suppress(BaseException):
        signal.raise_signal(signum)


def sorting(signum: int) -> None:
    """Raise the signal in Python code called from C code, which may not propagate an exception."""
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(
        lambda one, other: signal.raise_signal(signum) or 0
    )
    ctypes.CDLL(None).qsort((ctypes.c_int * 8)(), 8, ctypes.sizeof(ctypes.c_int), compare)


@pytest.mark.parametrize("lose", [Destroyed, swallowed, sorting])
def test_a_signal_ends_the_command_where_no_exception_would_get_through(
    lose: Callable[[int], object],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def run() -> None:
        with whole_file(tmp_path / "file.txt") as path:
            path.write_text("text")
            lose(signal.SIGTERM)
            (tmp_path / "later.txt").write_text("text")

    assert ended(monkeypatch, run) == 143
    assert capfd.readouterr().err == "genolift: stopped by SIGTERM\n"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_replaced_as_a_whole_or_not_at_all_when_a_signal_comes_between(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with whole_folder(tmp_path / "folder", "tried") as folder:
        (folder / "old.txt").write_text("old")
    replace = os.replace

    def interrupted(source: Path, to: Path) -> None:
        replace(source, to)
        if source == tmp_path / "folder":
            signal.raise_signal(signal.SIGINT)

    def run() -> None:
        monkeypatch.setattr(os, "replace", interrupted)
        with whole_folder(tmp_path / "folder", "tried") as folder:
            (folder / "new.txt").write_text("new")

    assert ended(monkeypatch, run) == 130
    assert {path.name for path in tmp_path.rglob("*.txt")} == {"new.txt"}
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_an_interrupt_that_is_lost_while_a_program_writes_a_file_is_raised_in_it(tmp_path: Path) -> None:
    def write() -> None:
        with whole_file(tmp_path / "file.txt") as path:
            path.write_text("text")
            Destroyed(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_signal_that_is_ignored_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as with nohup
    try:
        assert ended(monkeypatch, lambda: signal.raise_signal(signal.SIGHUP)) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


DEAF = """
import ctypes, sys
from genolift.cli import main as cli
from genolift.cli.command import command
from genolift.files import stopping
from genolift.files.whole import whole_file

def tried():
    lock, mutex = ctypes.CDLL(None).pthread_mutex_lock, ctypes.create_string_buffer(256)
    with whole_file(sys.argv[1]) as path:
        lock(mutex)
        print("ready", flush=True)
        lock(mutex)  # waits in C for ever

stopping._PATIENCE = 0.1
command()(tried)
cli.main(["tried"])
"""


def test_a_command_that_does_not_come_back_from_c_is_ended_after_a_while(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DEAF, str(tmp_path / "file.txt")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (143, "genolift: stopped by SIGTERM\n")
    assert list(tmp_path.iterdir()) == []


def test_a_forked_worker_that_is_terminated_does_not_end_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> None:
        worker = os.fork()
        if worker == 0:
            time.sleep(60)
            os._exit(0)
        os.kill(worker, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == -signal.SIGTERM

    assert ended(monkeypatch, run) == 0
