"""Where in the user's code an operation or an error comes from."""

import linecache
import re
import traceback
from pathlib import Path

_OF_MODELS = {"/torch/": False, f"{Path(__file__).parents[2]}/": False}
"""Which code may be a model's own, by a part of the files' paths; the longest part decides."""


def tell_apart(part: str, *, of_models: bool) -> None:
    """Say whether the code in files whose path has ``part`` in it may be a model's own.

    A framework that models are written in says that its code is not, so that messages name the line of the
    model that calls it. All code may be, but for torch's and that of the package that the engine lies in.
    """
    _OF_MODELS[part] = of_models


def _is_of_a_model(file: str) -> bool:
    told = [part for part in _OF_MODELS if part in file]
    return not told or _OF_MODELS[max(told, key=len)]


_FRAME = re.compile(r'File "(?P<file>.+)", line (?P<line>\d+), in (?P<function>.+)')


_SHOWN = 100
"""Letters of a line that are shown."""


def source_line(trace: str, near: str = "") -> str:
    """Return "file:line `text`" of the innermost line of a trace that may be of a model's own code.

    A long line is cut, to what stands about ``near`` where it has that.
    """
    for match in reversed(list(_FRAME.finditer(trace))):
        file, line = match["file"], int(match["line"])
        if not _is_of_a_model(file):
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
