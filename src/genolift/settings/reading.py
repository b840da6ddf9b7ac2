"""A config as YAML has it, read from a file or a command line. Knows no key by name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from genolift.errors import InputError
from genolift.files.plain_values import (
    MOST_CHARACTERS,
    MOST_DIGITS,
    MOST_LEVELS,
    MOST_VALUES,
    check_plain,
    from_json,
    shown,
)
from genolift.files.text import read_text

_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_MERGE = "tag:yaml.org,2002:merge"


def read_yaml(path: Path) -> dict[Any, Any]:
    """Return the keys and values of a YAML file, or of a JSON file, as Snakemake takes either.

    Raises
    ------
    InputError
        If the file is missing, no YAML, without keys, no UTF-8 (which is all that Snakemake reads), or has a
        key twice or one that YAML takes for something else; or if it is larger or deeper than a config is
        (`genolift.files.plain_values`).
    """
    text = read_text(path, most=MOST_CHARACTERS)
    try:
        loaded = from_json(text, str(path))
    except json.JSONDecodeError:
        loaded = value_of_yaml(text, str(path))
    if not isinstance(loaded, dict):
        raise InputError("has no keys", where=str(path), remedy="see config/README.md for an example")
    return loaded


def value_of_yaml(text: str, where: str, *, tuples: bool = False) -> Any:
    """Return the value of a text in YAML; errors name ``where`` and the line.

    With ``tuples``, those that Python's own YAML writes are read, as lists.
    """
    try:
        value = yaml.load(text, Loader=_LoaderOfTuples if tuples else _LoaderWithLimits)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        what = f"{'' if isinstance(error, _Refused) else 'is not valid YAML: '}{error.problem}"
        raise InputError(what, where=f"{where}{line}", remedy=error.note or "") from error
    except yaml.reader.ReaderError as error:
        line = f", line {text.count(chr(10), 0, error.position) + 1}"
        letter = error.character if isinstance(error.character, int) else ord(error.character)
        raise InputError(
            f"holds the character U+{letter:04X}, which YAML does not allow",
            where=f"{where}{line}",
            remedy="take it out",
        ) from error
    check_plain(value, where)
    return value


def with_command_line(config: Mapping[str, Any], entries: Sequence[str]) -> dict[str, Any]:
    """Return Snakemake's config with the values of ``--config`` as YAML means them.

    Snakemake gives every number, null, true and false inside a value of ``--config`` as text.

    Parameters
    ----------
    config
        What Snakemake made of all, in which the command line has the last word.
    entries
        The command line's, each ``key=value``.

    Raises
    ------
    InputError
        If a value is not YAML, or beyond a limit, as `read_yaml`.
    """
    full = dict(config)
    for entry in entries:
        key, _, text = entry.partition("=")
        full = _replaced(full, {key: value_of_yaml(text, f"--config {key}")})
    return full


def _replaced(config: Mapping[Any, Any], values: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return ``config`` with ``values`` in their places; a key may be a number in one of them."""
    full = {str(key): value for key, value in config.items()}
    for key, value in values.items():
        under = full.get(str(key))
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            value = _replaced(under, value)
        full[str(key)] = value
    return full


class _Refused(yaml.MarkedYAMLError):
    """What is YAML, and is refused all the same: its problem, where it is, and as its note the remedy."""

    def __init__(self, what: str, mark: yaml.Mark, remedy: str) -> None:
        super().__init__(problem=what, problem_mark=mark, note=remedy)


class _LoaderWithLimits(yaml.SafeLoader):
    """Refuses what YAML would take in silence, and ends before the work where there is too much of it.

    A key that is written twice is refused, of which YAML takes the last, and one that YAML makes something
    else of, such as ``no`` or ``010``.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._level = 0
        self._extents: dict[yaml.Node, tuple[int, int]] = {}
        """Of each node that is complete: its values, with those of its aliases, and its levels."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> Any:
        event = self.peek_event()
        self._level += 1
        _check_level(self._level, event.start_mark)
        node = super().compose_node(parent, index)
        if isinstance(event, yaml.AliasEvent):
            if node not in self._extents:
                what = f"the alias *{event.anchor} is used inside its own value"
                raise _Refused(what, event.start_mark, "take it out")
        else:
            self._extents[node] = self._extent(node)
        values, levels = self._extents[node]
        if values > MOST_VALUES:
            what = f"it holds more than {MOST_VALUES:,} values, counting an alias wherever it is used"
            raise _Refused(what, event.start_mark, "put long lists into files")
        _check_level(self._level + levels - 1, event.start_mark)
        self._level -= 1
        return node

    def _extent(self, node: yaml.Node) -> tuple[int, int]:
        if isinstance(node, yaml.ScalarNode):
            if node.tag in _NUMBERS and len(node.value) > MOST_DIGITS:
                raise _Refused(
                    f"a number has more than {MOST_DIGITS} digits",
                    node.start_mark,
                    "put it in quotes if it is a name",
                )
            return 1, 1
        if isinstance(node, yaml.MappingNode):
            self._check_keys(node)
            inside = [self._extents[each] for pair in node.value for each in pair]
        else:
            inside = [self._extents[each] for each in node.value]
        values, levels = zip(*inside, strict=True) if inside else ((0,), (0,))
        return 1 + sum(values), 1 + max(levels)

    def _check_keys(self, node: yaml.MappingNode) -> None:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _Refused("a key is a list or a mapping", key.start_mark, "write a name")
            if key.tag == _MERGE:
                continue
            if key.value in seen:
                raise _Refused(
                    f"the key {shown(key.value)} is written twice", key.start_mark, "write it once"
                )
            seen.add(key.value)
            meant = self.construct_object(key)
            if str(meant) != key.value:
                what = f"the key {shown(key.value)} means {shown(meant)} in YAML"
                raise _Refused(what, key.start_mark, "put it in quotes")

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as error:
            what = f"{shown(node.value)} cannot be read ({error})"
            raise _Refused(what, node.start_mark, "put it in quotes if it is a name") from error


class _LoaderOfTuples(_LoaderWithLimits):
    """Reads Python's tuples too, as lists."""


_LoaderOfTuples.add_constructor(
    "tag:yaml.org,2002:python/tuple", lambda loader, node: loader.construct_sequence(node, deep=True)
)


def _check_level(level: int, mark: yaml.Mark) -> None:
    if level > MOST_LEVELS:
        raise _Refused(f"it goes more than {MOST_LEVELS} levels deep", mark, "nest it less")


def with_text_keys(value: Any) -> Any:
    """Copy a value, its keys as text: YAML takes a name such as 2024 for a number."""
    if isinstance(value, Mapping):
        return {str(key): with_text_keys(item) for key, item in value.items()}
    return [with_text_keys(item) for item in value] if isinstance(value, list | tuple) else value
