"""Several targets of one analysis: the folder that each has, and what ``all`` stands for."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from genolift.errors import InputError
from genolift.settings.folder_names import is_of_windows

ALL = "all"
TARGETS = "targets"
"""The folder, in an analysis's, with a folder for each of several targets."""
MOST_TARGETS = 50
"""Targets that ``all`` stands for without their number: each has a backward pass, motifs and a report."""
_MOST_LETTERS, _DIGITS = 60, 8
_SEQUENCES = "sequences.tsv"
_SHARED = (_SEQUENCES, "references.h5", "inspection", "costs.json")
"""Files in an analysis's folder that its targets share."""


def slugs(targets: Sequence[int | str]) -> dict[str, int | str]:
    """Return the targets by the names of their folders, in order.

    A name is the target's text in small letters, digits, ``_`` and ``-``. Where two would be one, or
    the text has none of these or is too long, a digest of the text is added.

    Raises
    ------
    InputError
        If a target is there twice.
    """
    texts = [str(target) for target in targets]
    for text, number in Counter(texts).items():
        if number > 1:
            what = f"the target {text!r} is there twice"
            raise InputError(what, where=".targets", remedy="name each once")
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    plain = [re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-") for text in texts]
    alike = Counter(name[:_MOST_LETTERS] for name in plain)
    found = {}
    for target, digest, name in zip(targets, digests, plain, strict=True):
        cut = name[:_MOST_LETTERS]
        if not cut or cut != name or alike[cut] > 1 or is_of_windows(cut):
            longer = (f"{cut}-{digest[:digits]}".strip("-") for digits in range(_DIGITS, len(digest)))
            cut = next(each for each in longer if each not in alike)
        found[cut] = target
    return found


def check_targets(target: int | str, targets: Sequence[int | str] | str | None) -> None:
    """Raise `InputError` if ``target`` and ``targets`` are both given, or a target is there twice."""
    if targets is not None and target != 0:
        remedy = "give one; over the defaults, targets: null or target: 0 leaves the other out"
        raise InputError("both 'target' and 'targets' are given", where=".targets", remedy=remedy)
    if isinstance(targets, tuple):
        slugs(targets)


def slug_of(folder: Path) -> str:
    """Return the name of a folder of one of several targets, empty of another: an analysis's, which may be in
    a folder of results called "targets", has the sequences itself.
    """
    whole = folder.absolute()
    return whole.name if whole.parent.name == TARGETS and not (folder / _SEQUENCES).exists() else ""


def for_all_targets(folder: Path, name: str) -> Path:
    """Return a file for the folder of an analysis or of a target: of the latter the analysis's, where it is
    one that all its targets share.
    """
    shared = name in _SHARED and slug_of(folder)
    return folder / ".." / ".." / name if shared else folder / name


def all_targets(given: str, names: Sequence[str], number: int, heads: Sequence[str] = ()) -> list[int | str]:
    """Return what ``all``, or ``all N``, stands for: each column of a model's output.

    Parameters
    ----------
    given
        The config's text.
    names
        The model's names for its columns, where it has some.
    number
        Columns.
    heads
        Names that mean something else than a column.

    Raises
    ------
    InputError
        If there are more than `MOST_TARGETS` and their number is not said, or another is.
    """
    said = given.removeprefix(ALL).strip()
    if said and int(said) != number:
        raise InputError(f"'{given}' is given, and the model has {number}", remedy=f"write {ALL} {number}")
    if number > MOST_TARGETS and not said:
        what = f"'{ALL}' are {number} targets, each with a backward pass, motifs and a report"
        raise InputError(what, remedy=f"if you mean it, write {ALL} {number}; else list those that you want")
    times = Counter(names)
    return [
        name if name and times[name] == 1 and not name.isdecimal() and name not in heads else column
        for column, name in enumerate([*names, *[""] * (number - len(names))][:number])
    ]
