"""A signal ends a command with 128 + its number and one line, leaves nothing unfinished, is never lost."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from genolift import cli
from genolift.files import whole_file, whole_folder
from genolift.stopping import SIGNALS, stopped_by

Run = Callable[[], None]


def ended(monkeypatch: pytest.MonkeyPatch, run: Run) -> int:
    """Return the exit code of a command that calls ``run``."""

    def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        parser = commands.add_parser("tried")
        parser.set_defaults(run=lambda _: run(), quiet=False)

    monkeypatch.setattr(cli, "_SUBCOMMANDS", (add,))
    with pytest.raises(SystemExit) as left:
        cli.main(["tried"])
    return int(left.value.code or 0)


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_is_one_line_and_its_exit_code_and_nothing_is_left(
    signum: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.txt").write_text("old")
    before = [signal.getsignal(each) for each in SIGNALS]

    def run() -> None:
        with whole_file(tmp_path / "old.txt") as path, whole_folder(tmp_path / "new", "tried") as folder:
            path.write_text("new")
            (folder / "one.txt").write_text("new")
            signal.raise_signal(signum)

    assert ended(monkeypatch, run) == 128 + signum
    assert capsys.readouterr().err == f"genolift: stopped by {signal.Signals(signum).name}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["old.txt"]
    assert (tmp_path / "old.txt").read_text() == "old"
    assert [signal.getsignal(each) for each in SIGNALS] == before


class Destroyed:
    """Is interrupted when it is destroyed, where Python can pass no exception on."""

    def __init__(self, signum: int) -> None:
        self.signum = signum

    def __del__(self) -> None:
        signal.raise_signal(self.signum)


def swallowed(signum: int) -> None:
    with suppress(BaseException):
        signal.raise_signal(signum)


@pytest.mark.parametrize("lose", [Destroyed, swallowed])
def test_a_signal_that_a_library_swallows_ends_the_command_all_the_same(
    lose: Callable[[int], object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def run() -> None:
        lose(signal.SIGTERM)
        with whole_file(tmp_path / "late.txt") as path:
            path.write_text("late")

    assert ended(monkeypatch, run) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


def test_a_signal_that_is_lost_in_a_destructor_is_raised_again_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run() -> None:
        Destroyed(signal.SIGINT)
        time.sleep(30)

    started = time.monotonic()
    assert ended(monkeypatch, run) == 130
    assert time.monotonic() - started < 10


def test_an_interrupt_that_is_lost_while_a_program_writes_a_file_is_raised_in_it(tmp_path: Path) -> None:
    def write() -> None:
        with whole_file(tmp_path / "file.txt") as path:
            path.write_text("text")
            Destroyed(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_signal_that_is_ignored_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        assert ended(monkeypatch, lambda: signal.raise_signal(signal.SIGHUP)) == 0
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


DEAF = """
import sys, time
from genolift import cli, stopping
from genolift.files import whole_file

def run(_):
    with whole_file(sys.argv[1]) as path:
        print("ready", flush=True)
        while True:
            try:
                time.sleep(60)
            except BaseException:
                pass

def add(commands):
    commands.add_parser("tried").set_defaults(run=run, quiet=False)

stopping._PATIENCE = 0.1
cli._SUBCOMMANDS = (add,)
cli.main(["tried"])
"""


def test_a_command_that_does_not_listen_is_ended_after_a_while(tmp_path: Path) -> None:
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
    assert stopped_by() is None
