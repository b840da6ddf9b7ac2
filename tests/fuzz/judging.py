"""The outcome for one file: refused in one line, accepted and equal to another reader's, or a finding."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genolift.errors import InputError

REFUSED, ACCEPTED = "refused", "accepted and equal"
LONGEST_MESSAGE = 1000
"""In characters: a line that quotes a file at length is unreadable."""


class OutOfTimeError(BaseException):
    """A case that takes too long; no reader's ``except Exception`` catches it."""


@dataclass(frozen=True)
class Verdict:
    """The outcome of a case.

    ``kind`` is `REFUSED`, `ACCEPTED`, or what is wrong; ``place`` distinguishes findings by their cause;
    ``detail`` is for whoever fixes it.
    """

    kind: str
    place: str = ""
    detail: str = ""

    @property
    def is_finding(self) -> bool:
        return self.kind not in (REFUSED, ACCEPTED)


def judge(
    read: Callable[[Path], Any],
    read_independently: Callable[[Path], Any],
    difference: Callable[[Any, Any], str],
    path: Path,
    on_accepted: Callable[[], None] = lambda: None,
) -> Verdict:
    """Return the outcome for a file.

    Parameters
    ----------
    read
        The reader under test, which returns a value to compare.
    read_independently
        Another reader of the same bytes.
    difference
        Says how two values differ, or is empty if they do not.
    on_accepted
        Called between the two, to lift limits that apply only to the reader under test.
    """
    try:
        ours = read(path)
    except InputError as error:
        wrong = fault_of_refusal(error)
        return (
            Verdict(wrong, _frame(error), repr(str(error))) if wrong else Verdict(REFUSED, detail=str(error))
        )
    except OutOfTimeError as error:
        return Verdict("takes too long", _frame(error), _trace(error))
    except MemoryError as error:
        return Verdict("takes too much memory", _frame(error), _trace(error))
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        return Verdict(f"raises {type(error).__name__}", _frame(error), _trace(error))
    on_accepted()
    try:
        theirs = read_independently(path)
        differs = difference(ours, theirs)
    except (Exception, OutOfTimeError) as error:
        return Verdict("is accepted, though the other reader refuses it", _frame(error), _trace(error))
    return Verdict("is read otherwise", differs.partition(":")[0], differs) if differs else Verdict(ACCEPTED)


def fault_of_refusal(error: InputError) -> str:
    """Return what is wrong with the text of a refusal, or an empty string."""
    text = str(error)
    if not text.isprintable():  # control characters, line ends of any alphabet, lone surrogates
        return "is refused in more than one line, or with characters that cannot be printed"
    if not error.where:
        return "is refused without a place"
    if not error.what:
        return "is refused without a reason"
    if len(text) > LONGEST_MESSAGE:
        return f"is refused in more than {LONGEST_MESSAGE} characters"
    return ""


def _frame(error: BaseException) -> str:
    """Return the last line of genolift's own that an error passed through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "genolift" in Path(frame.filename).parts] or frames
    last = own[-1] if own else None
    return f"{Path(last.filename).name}:{last.lineno} {last.name}" if last else ""


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-4000:]


def difference(ours: Any, theirs: Any, place: str = "") -> str:
    """Return how two values of plain containers, numbers, text and arrays differ, or an empty string."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        if list(map(_key, ours)) != list(map(_key, theirs)) and set(map(_key, ours)) != set(
            map(_key, theirs)
        ):
            return f"{place} keys: {_short(list(ours))}, not {_short(list(theirs))}"
        by_key = {_key(key): value for key, value in theirs.items()}
        pairs = [(f"{place}.{_short(key)}", value, by_key[_key(key)]) for key, value in ours.items()]
    elif isinstance(ours, np.ndarray) or isinstance(theirs, np.ndarray):
        return _difference_of_arrays(np.asarray(ours), np.asarray(theirs), place)
    elif _is_list(ours) and _is_list(theirs):
        if len(ours) != len(theirs):
            return f"{place} length: {len(ours)}, not {len(theirs)}: {_short(ours)}, not {_short(theirs)}"
        pairs = [(f"{place}[]", one, other) for one, other in zip(ours, theirs, strict=True)]
    else:
        return "" if _alike(ours, theirs) else f"{place} value: {_short(ours)}, not {_short(theirs)}"
    return next(filter(None, (difference(one, other, where) for where, one, other in pairs)), "")


def _key(key: Any) -> tuple[str, str]:
    """Return a key with its type, since 1, 1.0 and True are equal."""
    return type(key).__name__, repr(key)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _alike(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, float) and isinstance(theirs, float) and math.isnan(ours) and math.isnan(theirs):
        return True
    return type(ours) is type(theirs) and bool(ours == theirs)


def _difference_of_arrays(ours: np.ndarray, theirs: np.ndarray, place: str) -> str:
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return f"{place} array: {ours.dtype} {ours.shape}, not {theirs.dtype} {theirs.shape}"
    if ours.tobytes() == theirs.tobytes():
        return ""
    if ours.dtype.kind in "fc" and np.array_equal(ours, theirs, equal_nan=True):
        return ""
    at = np.flatnonzero(np.asarray(ours != theirs).ravel())
    if not len(at):
        return ""
    return f"{place} array: {ours.ravel()[at[0]]!r}, not {theirs.ravel()[at[0]]!r}, at {at[0]} of {ours.size}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
