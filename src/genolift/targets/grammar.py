"""Targets as text: ``PATH[INDEX, ...]``, and differences of two of them. Reads text, and knows no model.

PATH leads through names or numbers, with dots between, to one of the tensors that a model returns; nothing
where it returns one. There is an INDEX for each axis behind the rows': a number, a name, or ``sum(a:b)``,
``mean(a:b)``, ``logsumexp(a:b)`` over a slice, 0-based and half-open. So ``3``, ``[3, sum(:)]``,
``human[GATA1]``, ``atac.128[1] - atac.128[0]``.
"""

import re
from dataclasses import dataclass

from genolift.errors import InputError

REDUCTIONS = ("sum", "mean", "logsumexp")
_QUOTED = r"\"[^\"]*\"|'[^']*'"
_PART = re.compile(rf"{_QUOTED}|[^\s.\[\],:()\"'-]+")
_NUMBER = re.compile(r"[0-9]+")
_SLICE = re.compile(r"\s*([+-]?[0-9]*)\s*:\s*([+-]?[0-9]*)\s*")
_CALLED = re.compile(r"([A-Za-z_]\w*)\s*\((.*)\)")
_SPECIAL = re.compile(r"[\s.\[\],:()\"'-]")
EXAMPLES = "such as 3, [3, sum(:)], GATA1, head[0] or head[1] - head[0]"


def wrong_target(what: str, remedy: str) -> InputError:
    """Return the error for a target that cannot be explained."""
    return InputError(what, where="target", remedy=remedy)


@dataclass(frozen=True)
class Reduction:
    """A slice of an axis, [start, stop), made one number by ``how``; ``stop`` is None for the axis's end."""

    how: str
    start: int = 0
    stop: int | None = None

    def __str__(self) -> str:
        return f"{self.how}({self.start or ''}:{'' if self.stop is None else self.stop})"


Index = int | str | Reduction
"""A place on an axis by number or by name, or a slice of it that is reduced."""


@dataclass(frozen=True)
class Term:
    """One number of each row: the tensor at ``path``, and a place on each of its axes.

    ``index`` is None where the text has no brackets.
    """

    path: tuple[str, ...]
    index: tuple[Index, ...] | None = None

    def __str__(self) -> str:
        path = ".".join(map(in_text, self.path))
        return path if self.index is None else f"{path}[{', '.join(map(_index_in_text, self.index))}]"


def in_text(name: str) -> str:
    """Return a name as it is written inside a longer text: in quotes where it holds what the grammar uses."""
    if name and not _SPECIAL.search(name):
        return name
    return f"'{name}'" if '"' in name else f'"{name}"'


def _index_in_text(index: Index) -> str:
    if isinstance(index, str):
        return f'"{index}"' if _NUMBER.fullmatch(index) else in_text(index)
    return str(index)


def parsed(text: str) -> tuple[Term, ...]:
    """Return the term that a text is, or the two whose difference it is.

    Raises
    ------
    InputError
        If it is neither: what is wrong, and how it is written.
    """
    reader = _Reader(text)
    terms = [reader.term()]
    while reader.rest():
        reader.minus()
        terms.append(reader.term())
    if len(terms) > 2:
        raise wrong_target(f"{text!r} subtracts more than once", "give a difference of two")
    return tuple(terms)


class _Reader:
    """Reads a text from left to right."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text.strip(), 0

    def rest(self) -> str:
        return self.text[self.at :]

    def minus(self) -> None:
        """Read past the minus between two terms, which has spaces on both sides."""
        found = re.match(r"\s+-\s+", self.rest())
        if found is None:
            name = self.rest().strip()
            if "-" in name or " " in name or "." in name:
                quoted = "quotes around a name with . [ ] ( ) , : - or spaces"
                raise self._wrong(f"at {name!r}", f"put spaces around a difference's -, and {quoted}")
            raise self._wrong(f"at {name!r}", f"write a target {EXAMPLES}")
        self.at += found.end()

    def term(self) -> Term:
        path: list[str] = []
        while found := _PART.match(self.text, self.at):
            path.append(found[0][1:-1] if found[0][0] in "\"'" else found[0])
            self.at = found.end()
            if not self.rest().startswith("."):
                break
            self.at += 1
            if not _PART.match(self.text, self.at):
                raise self._wrong("behind its dot", "write a name or a number behind each dot")
        index = self._index() if self.rest().startswith("[") else None
        if not path and index is None:
            at = f"at {self.rest()!r}" if self.rest() else "at its end"
            raise self._wrong(at, f"write a target {EXAMPLES}")
        return Term(tuple(path), index)

    def _index(self) -> tuple[Index, ...]:
        """Read what stands in brackets, one item for each axis."""
        items: list[str] = []
        item = quote = ""
        for place in range(self.at + 1, len(self.text)):
            letter = self.text[place]
            if quote or letter in "\"'":
                quote = "" if letter == quote else quote or letter
            elif letter == "]":
                self.at = place + 1
                return tuple(self._item(each.strip()) for each in [*items, item])
            elif letter == ",":
                items.append(item)
                item = ""
                continue
            item += letter
        raise self._wrong("since a bracket is not closed", "close it with ]")

    def _item(self, item: str) -> Index:
        called = _CALLED.fullmatch(item)
        if called is not None:
            return self._reduction(*called.groups())
        if _NUMBER.fullmatch(item):
            return int(item)
        if re.fullmatch(_QUOTED, item) and len(item) > 2:
            return item[1:-1]
        if _SLICE.fullmatch(item):
            ways = ", ".join(f"{how}({item})" for how in REDUCTIONS)
            raise self._wrong(f"since {item!r} is a slice, and not one number", f"write {ways}")
        if re.fullmatch(r"[+-][0-9]+", item):
            raise self._wrong(f"since {item} has a sign", "count from the axis's start, from 0")
        if _PART.fullmatch(item):
            return item
        what = (
            f"since {item!r} is not a place on an axis" if item else "since a place in its brackets is empty"
        )
        raise self._wrong(
            what, "write a number, a name (in quotes where it holds spaces or . [ ] ( ) , : -) or sum(a:b)"
        )

    def _reduction(self, how: str, inside: str) -> Reduction:
        if how not in REDUCTIONS:
            raise self._wrong(f"since there is no {how}(...)", f"choose one of {', '.join(REDUCTIONS)}")
        found = _SLICE.fullmatch(inside)
        if found is None:
            raise self._wrong(
                f"since {how}({inside}) names no slice", f"write {how}(a:b), or {how}(:) for all"
            )
        if any(each[:1] in ("+", "-") for each in found.groups()):
            raise self._wrong(f"since {how}({inside}) has a sign", "count from the axis's start, from 0")
        start, stop = int(found[1] or 0), int(found[2]) if found[2] else None
        if stop is not None and stop <= start:
            raise self._wrong(f"since {how}({inside}) is empty", "give a slice a:b with a below b")
        return Reduction(how, start, stop)

    def _wrong(self, where: str, remedy: str) -> InputError:
        return wrong_target(f"{self.text!r} cannot be read {where}", remedy)
