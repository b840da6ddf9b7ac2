"""Where in the user's code an operation or an error comes from."""

from __future__ import annotations

import linecache
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch


@contextmanager
def whole_traces() -> Iterator[None]:
    """Keep, while a model is traced, the lines of the functions and methods that its forward calls.

    torch keeps those of ``forward`` alone, and would name forward's line for what a helper of it does.
    """
    tracer: Any = torch.fx.proxy.TracerBase
    found = getattr(tracer, "_filter_traceback_frames", None)

    def from_forward_on(self: Any, summary: traceback.StackSummary) -> traceback.StackSummary:
        starts = [number for number, frame in enumerate(summary) if frame.name == "forward"]
        return traceback.StackSummary.from_list(summary[starts[0] :] if starts else [])

    if found is not None:
        tracer._filter_traceback_frames = from_forward_on
    try:
        yield
    finally:
        if found is not None:
            tracer._filter_traceback_frames = found


_OWN = f"{Path(__file__).parents[2]}/"
_NOT_THE_USERS = ("/torch/", "/keras/src/", _OWN)
"""What a trace goes through on the way to the model's own code."""
_A_USERS_AFTER_ALL = f"{_OWN}demo/"
"""The demo's model, which is explained as a user's."""
_FRAME = re.compile(r'File "(?P<file>.+)", line (?P<line>\d+), in (?P<function>.+)')


_SHOWN = 100
"""Letters of a line that are shown."""


def source_line(trace: str, near: str = "") -> str:
    """Return "file:line `text`" of the innermost line of a trace outside torch, Keras and genolift.

    A long line is cut, to what stands about ``near`` where it has that.
    """
    for match in reversed(list(_FRAME.finditer(trace))):
        file, line = match["file"], int(match["line"])
        if any(name in file for name in _NOT_THE_USERS) and not file.startswith(_A_USERS_AFTER_ALL):
            continue
        text = linecache.getline(file, line).strip()
        return f"{file}:{line}" + (f" `{_cut(text, near)}`" if text else "")
    return ""


def _cut(text: str, near: str) -> str:
    if len(text) <= _SHOWN:
        return text
    start = max(0, min(text.find(near) - _SHOWN // 3, len(text) - _SHOWN))
    end = start + _SHOWN
    return ("..." if start else "") + text[start:end] + ("..." if end < len(text) else "")


def model_line(error: BaseException) -> str:
    """Return the line of the user's code that an error was raised in or under."""
    lines = traceback.format_tb(error.__traceback__)
    return source_line("".join(lines)) or "model"


def first_line(error: BaseException) -> str:
    """Return an error's type and the first line of its message, cut to 200 letters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
