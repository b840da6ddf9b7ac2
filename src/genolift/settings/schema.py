"""What is made of the config's keys: their JSON schema, which editors use, and the table in config/README.md.

``python -m genolift.settings.schema`` prints the schema, with ``--table`` the table.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from genolift.settings.mistakes import allowed, branches
from genolift.settings.sections import Config


def json_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of the config.

    It asks for no key within an analysis, since each may be in the ``defaults``.
    """
    schema = Config.model_json_schema()
    for section in schema["$defs"].values():
        section.pop("required", None)
    untitled = _untitled(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | untitled


def _untitled(value: Any) -> Any:
    """Copy a schema without the titles that pydantic makes of names, and without empty defaults."""
    if isinstance(value, list):
        return [_untitled(item) for item in value]
    if not isinstance(value, dict):
        return value
    left_out = {"title"} if isinstance(value.get("title"), str) else set()
    if value.get("default") is None or "$ref" in value:
        left_out.add("default")
    return {key: _untitled(item) for key, item in value.items() if key not in left_out}


def table() -> str:
    """Return the table of all keys, in Markdown."""
    schema = Config.model_json_schema()
    analysis = schema["$defs"]["Analysis"]
    top = [_row(key, field, key in schema["required"], schema) for key, field in schema["properties"].items()]
    return "\n".join(
        ["| key | is | default | meaning |", "|---|---|---|---|", *top, *_rows("", analysis, schema), ""]
    )


def _rows(prefix: str, section: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield a row for each key of a section, with those inside it in its place if it has some."""
    for name, field in section["properties"].items():
        key, kinds = f"{prefix}{name}", branches(field, schema)
        items = [item for kind in kinds for item in branches(kind.get("items", {}), schema)]
        if not any("properties" in kind for kind in kinds):
            yield _row(key, field, name in section.get("required", []), schema)
        for inside, behind in [(kind, ".") for kind in kinds] + [(item, "[].") for item in items]:
            if "properties" in inside:
                yield from _rows(f"{key}{behind}", inside, schema)


def _row(key: str, field: Mapping[str, Any], required: bool, schema: Mapping[str, Any]) -> str:
    given = field.get("default") not in (None, [], {})
    default = f"`{json.dumps(field['default']).strip(chr(34))}`" if given else "required" if required else ""
    examples = ", ".join(f"`{example}`" for example in field.get("examples", []))
    like = f", such as {examples}" if examples else ""
    return f"| `{key}` | {allowed(field, schema)}{like} | {default} | {field['description']} |"


if __name__ == "__main__":
    print(table() if "--table" in sys.argv[1:] else json.dumps(json_schema(), indent=1) + "\n", end="")
