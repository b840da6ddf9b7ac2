"""Finds which generation of Keras wrote an architecture without a version, by keywords that only it uses.

Keras 1 and 2 name their version in every architecture that they write. Keras 3's to_json does not, and a part
cut out of a file by hand may not.
"""

from collections.abc import Iterator, Mapping
from typing import Any

_OF_KERAS_3 = frozenset({"batch_shape", "keras_history"})
"""Keys that only Keras 3 writes: for an input's shape, and for a tensor in a call. ("module" and
"registered_name" are also in files of Keras 2.12 and later.)"""
_CLASSES_OF_KERAS_3 = frozenset({"DTypePolicy", "__keras_tensor__"})
_OF_KERAS_2 = frozenset(
    (
        *("build_config", "data_format", "filters", "gamma_initializer", "kernel_initializer", "kernel_size"),
        *("module", "registered_name", "units"),
    )
)
_OF_KERAS_1 = frozenset(
    ("border_mode", "dim_ordering", "filter_length", "gamma_init", "init", "nb_filter", "pool_length")
)


def generation(architecture: Mapping[str, Any]) -> str | None:
    """Return the Keras, "3", "2" or "1", whose keywords an architecture uses, or None if it uses none.

    Keras before 1.0 is recognized by its layout, not here.
    """
    keys: set[str] = set()
    classes: set[str] = set()
    for mapping in _mappings(architecture):
        keys |= mapping.keys()
        classes.add(str(mapping.get("class_name")))
    if keys & _OF_KERAS_3 or classes & _CLASSES_OF_KERAS_3:
        return "3"
    return "2" if keys & _OF_KERAS_2 else "1" if keys & _OF_KERAS_1 else None


def half_precision(architecture: Mapping[str, Any]) -> str | None:
    """Return the policy of a layer that computes in half precision, such as "mixed_float16", or None."""
    for mapping in _mappings(architecture):
        said = mapping.get("dtype")
        policy = said.get("config") if isinstance(said, Mapping) else None
        name = policy.get("name") if isinstance(policy, Mapping) else said
        if isinstance(name, str) and name.endswith("float16") and "trainable" in mapping:
            return name
    return None


def _mappings(config: Any) -> Iterator[Mapping[str, Any]]:
    waiting = [config]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            yield each
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
