"""What was run, in words: under headings and in a readable order."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from genolift.report import words
from genolift.report.texts import texts
from genolift.settings.model import ONE_MODEL

_LONG = 90  # characters; a longer value gets a box of its own


@dataclass(frozen=True)
class Fact:
    """Something that was run or set; ``long`` if its value needs a box of its own."""

    label: str
    value: str
    long: bool


def fact_groups(provenance: Mapping[str, Any]) -> dict[str, list[Fact]]:
    """Return every key of ``provenance`` (flat) that has a value, each under one heading."""
    left = {key: value for key, value in provenance.items() if value not in (None, "", [], (), {})}
    if left.get("model_name") == ONE_MODEL:
        del left["model_name"]
    groups = {}
    for heading, patterns in (texts("groups") | {"Other": ".*"}).items():
        keys = dict.fromkeys(
            key for pattern in patterns.split() for key in left if re.fullmatch(pattern, key)
        )
        if keys:
            groups[heading] = [_fact(key, left.pop(key), heading) for key in keys]
    return groups


def rule_in_words(provenance: Mapping[str, Any]) -> str:
    """Return the rule's name; empty if it is not recorded."""
    rule = str(provenance.get("rule") or "")
    return str(texts("rules").get(rule, rule))


def references_in_words(provenance: Mapping[str, Any], number: int) -> str:
    """Return the references of a sequence as ``20 dinucleotide-shuffled references``."""
    kind = str(provenance.get("reference_kind") or "")
    return words.count(number, f"{texts('references').get(kind, kind.replace('_', ' '))} reference".strip())


def model_in_words(provenance: Mapping[str, Any]) -> str:
    """Return ``the model demo.pt2``, by its file or else its class, or several; empty if none is recorded."""
    several = [str(model.get("model_name")) for model in provenance.get("models", ())]
    if several:
        return f"the mean of {len(several)} models ({words.listed(several)})"
    path = provenance.get("model") or provenance.get("model_path")
    name = PurePosixPath(str(path)).name if path else str(provenance.get("model_class") or "")
    return f"the model {name}" if name else ""


def jaspar_release(source: str) -> str | None:
    """Return the year of the JASPAR release that a database's ``source`` names; None for a user's file."""
    found = re.match(r"JASPAR(\d{4}) CORE ", source)
    return found[1] if found else None


def jaspar_citation(release: str) -> Mapping[str, Any] | None:
    """Return the article of a JASPAR release, given its year; None for one that is newer than our table."""
    return texts("jaspar").get(release)


def _fact(key: str, value: object, heading: str) -> Fact:
    label, name = texts("labels").get(key), key.removeprefix(texts("prefixes").get(heading, ""))
    if label is None:
        label = texts("labels").get(name, name.replace("_", " ").replace("sha256", "SHA-256"))
        label = label if heading == "Software" else label[:1].upper() + label[1:]
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
