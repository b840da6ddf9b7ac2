"""Readers of FASTA with a fault each, which show that faults are found: ``python -m fuzz.planted FOLDER``."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from fuzz.running import Limits, command_for, run_cases
from fuzz.text_formats import TEXT_FORMATS
from genolift.errors import InputError

_FASTA = next(made for made in TEXT_FORMATS if made.name == "fasta")


def _wrong_base(path: Path) -> Any:
    records = _FASTA.read(path)
    for _, codes in records:
        codes[:1] = 3 - codes[:1]
    return records


def _raising(error: Exception) -> Callable[[Path], Any]:
    def read(path: Path) -> Any:
        raise error

    return read


def _saying(text: str) -> InputError:
    error = InputError("is wrong", where="file")
    error.args = (text,)  # longer than what one line is made from
    return error


def _logging(path: Path) -> Any:
    logger = logging.getLogger("genolift")
    logger.filters = []  # they print such a thing
    logger.warning("%s: has %s", path, "\x1b[31mred")
    return _FASTA.read(path)


def _held_up(path: Path) -> Any:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])  # like compiled code that never returns
    time.sleep(60)


def _refusing_all(path: Path) -> Any:
    raise InputError("is refused", where=str(path), remedy="give another")


READERS: dict[str, Callable[[Path], Any]] = {
    "right": _FASTA.read,
    "wrong base": _wrong_base,
    "a record less": lambda path: _FASTA.read(path)[:-1],
    "accepts anything": lambda path: [],
    "refuses all": _refusing_all,
    "no place": _raising(InputError("is wrong")),
    "escape sequence": _raising(_saying("\x1b[31mis wrong")),
    "long": _raising(InputError("x" * 2000, where="file")),
    "log of an escape sequence": _logging,
    "traceback": _raising(ZeroDivisionError("of a reader")),
    "hang": lambda path: time.sleep(60),
    "hang in C": _held_up,
    "memory": lambda path: bytearray(2**30),
    "crash": lambda path: os.kill(os.getpid(), signal.SIGSEGV),
    "quiet end": lambda path: os._exit(0),
}


def main(folder: Path) -> None:
    """Run two valid files and one empty one through each reader; print the findings for each, as JSON."""

    def two_files(below: Path) -> list[Path]:
        (below / "a.fa").write_text(">a\nACGT\n>b\nTTTT\n")
        (below / "b.fa").write_text(">a\nGGGT\n")
        return [below / "a.fa", below / "b.fa"]

    formats = [
        replace(_FASTA, name=name, read=read, bases=two_files, texts=None, changes=())
        for name, read in READERS.items()
    ]
    tally = run_cases(
        formats,
        cases=2 * len(formats),
        seconds=60,
        seed=0,
        processes=2,
        folder=folder,
        findings=folder / "findings",
        limits=Limits(seconds=0.3, bytes=2**28, grace=0.3),
    )
    told: dict[str, Any] = {name: dict(counts) for name, counts in tally.counts.items()}
    files = [(each.format, str(each.file), command_for(each.format, each.file)) for each in tally.findings]
    print(json.dumps({"counts": told, "files": files}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
