"""Reads the arguments of a layer's call from a Keras file of any version; placeholders stand for tensors."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from genolift.models.keras.values import plain_value

Kind = TypeVar("Kind")
TENSORFLOW = ("TFOpLambda", "SlicingOpLambda")
"""The layer classes of Keras 2 that represent a TensorFlow function."""
_KEEP_LISTS = (*TENSORFLOW, "ClassMethod", "InstanceMethod", "InstanceProperty")
"""Classes whose first argument may be a list of one tensor."""
_CONSTANT = "_CONSTANT_VALUE"
_SLICE = {"start", "stop", "step"}


@dataclass(frozen=True)
class Value:
    """An output of a layer: the ``tensor``-th output of its ``call``-th call, both counted from 0."""

    layer: str
    call: int
    tensor: int


@dataclass(frozen=True)
class Constant:
    """A constant array given instead of a tensor, as nested lists."""

    value: list[Any]


def filled(given: Any, kind: type[Kind], of: Callable[[Kind], Any]) -> Any:
    """Return nested arguments with every instance of ``kind`` replaced."""
    if isinstance(given, kind):
        return of(given)
    if isinstance(given, (list, tuple)):
        return type(given)(filled(each, kind, of) for each in given)
    if isinstance(given, dict):
        return {key: filled(each, kind, of) for key, each in given.items()}
    return given


def found_in(given: Any, kind: type[Kind]) -> Iterator[Kind]:
    """Yield every instance of ``kind`` in nested arguments, in order."""
    if isinstance(given, kind):
        yield given
    elif isinstance(given, (list, tuple)):
        for each in given:
            yield from found_in(each, kind)
    elif isinstance(given, Mapping):
        yield from found_in(list(given.values()), kind)


def arguments_of(node: Any, class_name: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the positional and keyword arguments of a layer's call, as written by any Keras since 1.

    Keras 3 writes {"args", "kwargs"}. Keras 1 and 2 write only the first argument, with each tensor in it as
    [layer, call, tensor, keyword arguments].
    """
    if isinstance(node, Mapping) and not {"args", "kwargs"} <= node.keys():  # inputs by key, in Keras 2
        of_key = {key: arguments_of(each, class_name) for key, each in node.items()}
        return ({key: args[0] for key, (args, _) in of_key.items()},), next(iter(of_key.values()))[1]
    if isinstance(node, Mapping):
        return tuple(_plain(each) for each in node["args"]), _given(_plain(node["kwargs"]))
    kwargs: dict[str, Any] = {}
    first = _first(node, kwargs)
    if isinstance(first, list) and len(first) == 1 and class_name not in _KEEP_LISTS:
        (first,) = first
    # mask=None means no mask, even if the inputs have one
    return (first,), {
        k: _old_keyword(value) for k, value in kwargs.items() if value is not None or k == "mask"
    }


def values_of(listed: Any, *, in_order: bool = False) -> list[Value]:
    """Return inputs or outputs, written as one, a list or a dict; ``in_order`` sorts a dict by its keys."""
    if _is_value(listed):
        return [Value(*listed[:3])]
    if isinstance(listed, Mapping):
        listed = [listed[key] for key in sorted(listed)] if in_order else listed.values()
    return [value for each in listed for value in values_of(each, in_order=in_order)]


def _first(node: Any, kwargs: dict[str, Any]) -> Any:
    """Return the first argument of a call in Keras 1 or 2; add its keyword arguments to ``kwargs``."""
    if not isinstance(node, list):
        raise ValueError(f"{node!r:.40} is not an argument of a call")
    constant = len(node) in (3, 4) and node[0] == _CONSTANT
    if not constant and not _is_value(node):
        return [_first(each, kwargs) for each in node]
    kwargs |= node[3] if len(node) > 3 and node[3] else {}
    if not constant:
        return Value(*node[:3])
    value = plain_value(node[2])
    return Constant(value) if isinstance(value, list) else value


def _old_keyword(value: Any) -> Any:
    if _is_value(value):
        return Value(*value[:3])
    value = plain_value(value)
    if isinstance(value, list):
        return [_old_keyword(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    if value.get("class_name") == "__ellipsis__":
        return ...
    if value.keys() == _SLICE and all(each is None or type(each) is int for each in value.values()):
        return slice(value["start"], value["stop"], value["step"])
    return {key: _old_keyword(each) for key, each in value.items()}


def _given(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    mask = kwargs.get("mask")
    bare = isinstance(mask, Mapping) and not any(mask.values())  # inputs by key, none of which has a mask
    return {key: each for key, each in kwargs.items() if each is not None and not (bare and each is mask)}


def _plain(value: Any) -> Any:
    """Return an argument written by Keras 3, with tensors as `Value`; all else must be plain values."""
    if isinstance(value, Mapping):
        if value.get("class_name") == "__keras_tensor__":
            return Value(*value["config"]["keras_history"])
        if value.get("class_name") == "__tuple__":
            return tuple(_plain(each) for each in value["items"])
        if value.get("class_name") == "__slice__":
            given = value["config"]
            return slice(given["start"], given["stop"], given["step"])
        if value.get("class_name") == "__ellipsis__":
            return ...
        plain = plain_value(value)
        if not isinstance(plain, Mapping):
            return plain
        if "class_name" in value:
            raise ValueError(f"an argument is a {value['class_name']}")
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _is_value(given: Any) -> bool:
    return (
        isinstance(given, list)
        and len(given) in (3, 4)
        and isinstance(given[0], str)
        and all(isinstance(each, int) for each in given[1:3])
        and given[0] != _CONSTANT
    )
