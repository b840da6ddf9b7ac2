"""What was run, in groups and in a readable order."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from genolift.report import words
from genolift.settings.model import ONE_MODEL

_LONG = 90  # characters; a longer value stands in a box of its own

# Keys are matched in this order; a key that nothing here names is shown at the end, under "Other".
_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Warnings of the steps", ("warnings",)),
    (
        "Model and target",
        (
            "models",
            "model",
            "model_class",
            "model_sha256",
            "model_.*",
            "extra_.*",
            "target.*",
            "stepped_over",
        ),
    ),
    (
        "Contributions",
        (
            "rule",
            "precision",
            "sums_up",
            "tolerance",
            "device.*",
            "batch_size.*",
            "shards?",
            "seconds",
            "threads",
        ),
    ),
    ("References", ("reference_kind", "reference_number", "reference_seed", "references?_.*")),
    ("Sequences", ("encode.*", "sequences.*", "fasta", "bed", "genome")),
    (
        "Software",
        (
            "genolift",
            "python",
            "torch",
            *(
                f"(.*_)?{name}"
                for name in ("modisco", "finemo", "memelite", "pyjaspar", "numpy", "snakemake")
            ),
            ".*version.*",
            "platform",
        ),
    ),
    ("Motifs", ("motifs?_.*", "database", "jaspar.*")),
    ("Command and settings", ("command.*", "config.*", "analysis")),
)
_LABELS = {
    "models": "Models",
    "model": "Model file",
    "model_class": "Model class",
    "model_sha256": "SHA-256 of the model file",
    "model_files": "SHA-256 of each of its files",
    "model_imports": "SHA-256 of what the class imports",
    "model_custom_layers_imports": "SHA-256 of what the custom layers import",
    "model_pickled_code": "SHA-256 of the pickle's code",
    "model_trusted": "Trusted pickle",
    "model_expect_inputs": "Inputs of the author’s outputs",
    "model_expect_inputs_sha256": "SHA-256 of those inputs",
    "model_expect_outputs": "The author’s outputs",
    "model_expect_outputs_sha256": "SHA-256 of the author’s outputs",
    "model_expect_tolerance": "Tolerance of the comparison with them",
    "model_agreement_sequences": "Sequences compared with the author’s outputs",
    "model_agreement_outputs": "Outputs compared",
    "model_agreement_error": "Largest difference from the author’s outputs (share of the largest)",
    "target": "Target",
    "stepped_over": "Final activation stepped over",
    "rule": "Rule",
    "reference_kind": "Kind",
    "reference_number": "For each sequence",
    "reference_seed": "Seed",
    "sums_up": "The rule promises that contributions sum to the difference in output",
    "tolerance": "Tolerance (relative convergence error)",
    "seconds": "Time for contributions (s)",
    "torch": "PyTorch",
    "python": "Python",
    "modisco": "TF-MoDISco (modisco)",
    "finemo": "Fi-NeMo (finemo)",
    "memelite": "Tomtom (memelite)",
}
_PREFIX_OF_GROUP = {"References": "reference_", "Motifs": "motifs_", "Sequences": "encode_"}
_RULES = {
    "rescale": "Rescale",
    "revealcancel": "RevealCancel",
    "genomics-default": "genomics-default (Rescale on what follows a convolution, RevealCancel on what "
    "follows a dense layer)",
    "gradient": "gradient × (input − reference)",
}
_REFERENCES = {
    "dinucleotide_shuffle": "dinucleotide-shuffled",
    "uniform_shuffle": "shuffled",
    "zeros": "all-zero",
    "base_frequencies": "base-frequency",
    "fasta": "user-given",
}


@dataclass(frozen=True)
class Fact:
    """A thing that was run or set: ``long`` where the value needs a box of its own."""

    label: str
    value: str
    long: bool


@dataclass(frozen=True)
class FactGroup:
    """Facts under a heading."""

    heading: str
    facts: tuple[Fact, ...]


def fact_groups(provenance: Mapping[str, Any]) -> tuple[FactGroup, ...]:
    """Return every key of ``provenance`` (flat) that has a value, each in one group."""
    left = {key: value for key, value in provenance.items() if value not in (None, "", [], (), {})}
    if left.get("model_name") == ONE_MODEL:
        del left["model_name"]
    groups = []
    for heading, patterns in _GROUPS:
        keys = list(dict.fromkeys(key for pattern in patterns for key in left if re.fullmatch(pattern, key)))
        if keys:
            groups.append(FactGroup(heading, tuple(_fact(key, left.pop(key), heading) for key in keys)))
    if left:
        groups.append(FactGroup("Other", tuple(_fact(key, left[key], "Other") for key in sorted(left))))
    return tuple(groups)


def rule_in_words(provenance: Mapping[str, Any]) -> str:
    """Return the rule's name, or an empty text where it is not recorded."""
    rule = str(provenance.get("rule") or "")
    return _RULES.get(rule, rule)


def references_in_words(provenance: Mapping[str, Any], number: int) -> str:
    """Return the references of a sequence as ``20 dinucleotide-shuffled references``."""
    kind = str(provenance.get("reference_kind") or "")
    return words.count(number, f"{_REFERENCES.get(kind, kind.replace('_', ' '))} reference".strip())


def model_in_words(provenance: Mapping[str, Any]) -> str:
    """Return ``the model demo.pt2``, by its file or else its class, or several; empty where none is told."""
    several = [str(model.get("model_name")) for model in provenance.get("models", ())]
    if several:
        return f"the mean of {len(several)} models ({words.listed(several)})"
    path = provenance.get("model") or provenance.get("model_path")
    name = PurePosixPath(str(path)).name if path else str(provenance.get("model_class") or "")
    return f"the model {name}" if name else ""


def _fact(key: str, value: object, heading: str) -> Fact:
    if key in _LABELS:
        label = _LABELS[key]
    else:
        name = key.removeprefix(_PREFIX_OF_GROUP.get(heading, ""))
        name = name.removeprefix("motifs_") if heading == "Software" else name
        label = _LABELS.get(name, name.replace("_", " ").replace("sha256", "SHA-256"))
        label = label[:1].upper() + label[1:] if heading != "Software" else label
    text = "\n".join(map(str, value)) if key == "warnings" and isinstance(value, list) else _value(value)
    return Fact(label, text, len(text) > _LONG or "\n" in text)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple) and all(isinstance(item, str | int) for item in value):
        return ", ".join(str(item) for item in value)
    if isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
        return "\n".join(json.dumps(item, ensure_ascii=False) for item in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
