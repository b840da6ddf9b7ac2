"""A config as YAML has it, read from a file or a command line. Knows no key by name."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from genolift.errors import InputError
from genolift.files import plain_values
from genolift.files.plain_values import shown
from genolift.files.text import read_text

_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_MERGE = "tag:yaml.org,2002:merge"


def read_yaml(path: Path) -> dict[Any, Any]:
    """Return the keys and values of a YAML file, or of a JSON file, as Snakemake takes either.

    Raises
    ------
    InputError
        If the file is missing, not YAML, without keys, not UTF-8 (all that Snakemake reads), or has a
        key twice or one that YAML takes for something else; or if it is larger or deeper than a config is
        (`genolift.files.plain_values`).
    """
    text = read_text(path, most=plain_values.MOST_CHARACTERS)
    try:
        loaded = plain_values.from_json(text, str(path))
    except json.JSONDecodeError:
        loaded = value_of_yaml(text, str(path))
    if not isinstance(loaded, dict):
        raise InputError("has no keys", where=str(path), remedy="see config/README.md for an example")
    return loaded


def value_of_yaml(text: str, where: str) -> Any:
    """Return the value of a text in YAML; errors name ``where`` and the line."""
    if letter := yaml.reader.Reader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, letter.start()) + 1
        what = f"holds the character U+{ord(letter[0]):04X}, which YAML does not allow"
        raise InputError(what, where=f"{where}, line {line}", remedy="take it out")
    loader = _Loader(text)
    loader.name = where
    try:
        value = loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark or loader.get_mark()
        raise _refused(f"is not valid YAML: {error.problem}", mark, error.note or "") from error
    except RecursionError:
        raise plain_values.too_deep(f"{where}, line {loader.line + 1}") from None
    plain_values.check_plain(value, where)
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
    from snakemake.utils import update_config  # only a workflow needs it

    full: dict[str, Any] = with_text_keys(config)
    for entry in entries:
        key, _, text = entry.partition("=")
        update_config(full, {key: with_text_keys(value_of_yaml(text, f"--config {key}"))})
    return full


def with_text_keys(value: Any) -> Any:
    """Copy a value, its keys as text: YAML takes a name such as 2024 for a number."""
    if isinstance(value, Mapping):
        return {str(key): with_text_keys(item) for key, item in value.items()}
    return [with_text_keys(item) for item in value] if isinstance(value, list | tuple) else value


def _refused(what: str, mark: yaml.Mark, remedy: str) -> InputError:
    return InputError(what, where=f"{mark.name}, line {mark.line + 1}", remedy=remedy)


class _Loader(yaml.SafeLoader):
    """Refuses what YAML would take silently: a key written twice, of which YAML takes the last, one that YAML
    makes something else of, such as ``no`` or ``010``, and merges that multiply.
    """

    def compose_node(self, parent: yaml.Node | None, index: Any) -> Any:
        event = self.peek_event()
        node = super().compose_node(parent, index)
        if node.end_mark is None:  # an alias of a list or mapping that has not ended
            raise _refused(
                f"the alias *{event.anchor} is used inside its own value", event.start_mark, "take it out"
            )
        return node

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _refused("a key is a list or a mapping", key.start_mark, "write a name")
            if key.tag == _MERGE:
                continue
            if key.value in seen:
                what = f"the key {shown(key.value)} is written twice"
                raise _refused(what, key.start_mark, "write it once")
            seen.add(key.value)
            meant = self.construct_object(key)
            if str(meant) != key.value:
                what = f"the key {shown(key.value)} means {shown(meant)} in YAML"
                raise _refused(what, key.start_mark, "put it in quotes")
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > plain_values.MOST_VALUES:
            what = f"holds more than {plain_values.MOST_VALUES:,} values, counting each where it is merged"
            raise _refused(what, node.start_mark, "put long lists into files")

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            if node.tag in _NUMBERS and len(node.value) > plain_values.MOST_DIGITS:
                raise ValueError(f"it has more than {plain_values.MOST_DIGITS} digits")
            return super().construct_object(node, deep)
        except InputError:
            raise
        except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as error:
            what = f"{shown(node.value)} cannot be read ({error})"
            raise _refused(what, node.start_mark, "put it in quotes if it is a name") from error
