"""The one error type for a user's mistakes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

_LONGEST_REASON = 300
"""Characters of a library's own message that are quoted."""


class InputError(ValueError):
    """A mistake in the user's input: one line that says what is wrong, where, and what to do.

    Parameters
    ----------
    what
        What is wrong, quoting the offending value.
    where
        The file (with line or record), config key or argument that is wrong.
    remedy
        What the user should do about it.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        line = f"{where}: {what}" if where else what
        if remedy:
            line += f"; {remedy}"
        super().__init__(in_one_line(line))

    def within(self, where: str) -> InputError:
        """Return the same mistake, in a file or key that is named before its own place."""
        return type(self)(self.what, where=f"{where}: {self.where}", remedy=self.remedy)


@dataclass(frozen=True)
class Refusal:
    """The error for a file that cannot be read, up to the reason: what is wrong, where, what to do."""

    what: str
    where: object
    remedy: str

    def __call__(self, why: object) -> InputError:
        """Return the error with its reason, such as an exception, in brackets."""
        reason = " ".join(str(why).split())[:_LONGEST_REASON] or type(why).__name__
        return InputError(f"{self.what} ({reason})", where=str(self.where), remedy=self.remedy)


@contextmanager
def refused_as(refusal: Refusal, raised: tuple[type[BaseException], ...]) -> Iterator[None]:
    """Turn exceptions that a library raises in this block into one `InputError`; an `InputError` passes."""
    try:
        yield
    except InputError:
        raise
    except raised as error:
        raise refusal(error) from error


@contextmanager
def within(where: str) -> Iterator[None]:
    """Have an `InputError` raised in this block name a file or key before its own place."""
    try:
        yield
    except InputError as error:
        raise error.within(where) from error


def unknown_key(key: object, known: Sequence[str], where: str) -> InputError:
    """Return the error for an unknown key of a mapping at ``where``."""
    remedy = did_you_mean(str(key), known, f"the known keys are {', '.join(known)}")
    return InputError("unknown key", where=f"{where}.{key}", remedy=remedy)


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """Return a remedy for an unknown name: the nearest known one, or what to say where none is near."""
    near = difflib.get_close_matches(name, list(known), 1)
    return f"did you mean {near[0]!r}?" if near else otherwise


def few(names: Iterable[object], most: int = 5) -> str:
    """Return the first names of a list, with dots if there are more."""
    shown = [str(name) for name in names]
    return ", ".join(shown[:most]) + (", ..." if len(shown) > most else "")


def in_one_line(text: str) -> str:
    r"""Return text with single blanks for white space, and control characters written as ``\x1b``."""
    line = " ".join(text.split())
    if line.isprintable():
        return line
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in line
    )
