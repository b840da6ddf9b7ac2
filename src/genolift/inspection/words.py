"""What was found about a model, in words, from the plain values in its file."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from genolift.results.agreement import agreement_in_words

SHORTEST = 6
"""Bases; shorter inputs are not tried: with four positions the axes could not be distinguished."""
_DIGESTS = {
    "model_sha256": "file SHA-256",
    "model_weights_sha256": "weights file SHA-256",
    "model_class_sha256": "code SHA-256",
    "model_custom_layers_sha256": "custom layers SHA-256",
}
_FOUND = {
    "trial": "found by trial",
    "typical": "the first of some usual lengths that works",
    "the user": "as given",
    "the model": "as the model says",
}


def facts(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a model is, except its operations, as names and facts."""
    final = told["final_activation"]
    stepped = (
        "stepped over: the logit before it is explained" if told["stepped_over"] else "explained with it"
    )
    agreement = told.get("model_agreement")
    return [
        ("model", told["kind"]),
        *((label, told[key]) for key, label in _DIGESTS.items() if told.get(key)),
        *([("compared", agreement_in_words(agreement))] if agreement else []),
        *facts_of_weights(told["weights"]),
        *(("input", _input(each)) for each in told["inputs"]),
        ("length", length_in_words(told["length"])),
        *(("output", _output(each)) for each in told["outputs"]),
        *((("heads", ", ".join(told["heads"])),) if told["heads"] else ()),
        ("target of the plan", str(told["target"])),
        ("last activation", f"{final}, {stepped}" if final else "none"),
        ("receptive field", field_in_words(told["receptive_field"])),
        *(("note", note) for note in told["notes"]),
    ]


def facts_of_weights(weights: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the number of weights and their SHA-256."""
    types = ", ".join(name for name, _ in weights["dtypes"])
    buffers = f" and {weights['buffers']:,} other values" if weights["buffers"] else ""
    return [
        ("parameters", f"{weights['parameters']:,}{buffers} ({types}, {weights['bytes'] / 1e6:.3g} MB)"),
        ("weights SHA-256", f"{weights['sha256']} (of names and values, in whatever file)"),
    ]


def length_in_words(length: Mapping[str, Any]) -> str:
    """Return the lengths that a model takes, in words."""
    said, bases, smallest = _FOUND[length["found"]], length["bases"], length["smallest"]
    if length["largest"] is None:
        least = f", of {smallest:,} bases or more" if smallest > SHORTEST else ""
        return f"any{least} ({said}; run with {bases:,} here)"
    if smallest == length["largest"]:
        return f"{bases:,} bases ({said})"
    return f"{smallest:,} to {length['largest']:,} bases, of which {bases:,} is guessed ({said})"


def field_in_words(field: Mapping[str, Any] | None) -> str:
    """Return how many bases one unit reads, in words."""
    if field is None:
        return "not known"
    longer = ", and would be more in a longer input" if field["at_least"] else ""
    bases = "the whole input" if field["bases"] is None else f"{field['bases']:,} bases"
    return f"{bases} ({field['of']}{longer})"


def _input(given: Mapping[str, Any]) -> str:
    use = f", axes {given['axes']}" if given["axes"] else ", held fixed"
    return f"{given['name']} {_shape(given['shape'])}".strip() + use


def _output(given: Mapping[str, Any]) -> str:
    return f"{given['name']} {_shape(given['shape'])}, target {given['others']}".strip()


def _shape(shape: Sequence[int | None]) -> str:
    sizes: Iterable[str] = ("any" if size is None else str(size) for size in shape)
    return f"({', '.join(['n', *sizes])})"
