"""The one error type for a user's mistakes. Knows nothing of files, models or the command line."""

from __future__ import annotations


class InputError(ValueError):
    """A mistake in what the user gave: one line that says what is wrong, where, and what to do.

    Parameters
    ----------
    what
        What is wrong, quoting the offending value.
    where
        The file (with line or record), config key or argument it is wrong in.
    remedy
        What the user should do about it.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        line = f"{where}: {what}" if where else what
        if remedy:
            line += f"; {remedy}"
        super().__init__(in_one_line(line))


def in_one_line(text: str) -> str:
    r"""Return text with white space as single blanks and what a terminal would obey or hide as ``\x1b``."""
    line = " ".join(text.split())
    if line.isprintable():
        return line
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in line
    )
