"""Converts settings in Keras files to plain values: arrays, tuples and shapes are encoded in JSON."""

from collections.abc import Mapping
from typing import Any

_LISTED = ("__tuple__", "TensorShape")
_ARRAYS = ("__numpy__", "__tensor__")
_NUMPYS = ("ndarray", "bool", "float", "int", "uint")


def plain_value(value: Any) -> Any:
    """Return a value with every array, tuple and shape in it as a list, and numpy's numbers as plain ones.

    Encodings: {"type": "ndarray", "value": 0.07} in Keras 2, {"class_name": "__tuple__", "items": [...]} and
    {"class_name": "__numpy__", "config": {"value": [...], "dtype": "float32"}} since Keras 2.12. Other
    mappings are unchanged.
    """
    if isinstance(value, list):
        return [plain_value(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    kind, inside = value.get("class_name"), value.get("config")
    if value.keys() == {"type", "value"} and str(value["type"]).rstrip("_0123456789") in _NUMPYS:
        return plain_value(value["value"])
    if kind in _LISTED and isinstance(value.get("items"), list):
        return plain_value(value["items"])
    if kind in _ARRAYS and isinstance(inside, Mapping) and "value" in inside:
        return plain_value(inside["value"])
    return {key: plain_value(each) for key, each in value.items()}
