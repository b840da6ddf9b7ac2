"""What is made of the config's keys: their JSON schema, which editors use, and the table in config/README.md.

``python -m genolift.settings.schema``, in the clone, writes both anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from genolift.files.plain_values import as_json
from genolift.settings.mistakes import allowed, branches
from genolift.settings.sections import Config


class Key(NamedTuple):
    """One key, and what its field says in JSON schema."""

    place: tuple[str, ...]
    """Its name behind those of the sections around it; of the items of a list with ``[]``."""
    told: Mapping[str, Any]
    parts: list[Mapping[str, Any]]
    """What its value may be, then what the items of a list may be."""
    required: bool

    def row(self, schema: Mapping[str, Any]) -> str:
        """Return its row of the table."""
        default = "required" if self.required else ""
        if self.told.get("default") not in (None, [], {}):
            default = f"`{json.dumps(self.told['default']).strip(chr(34))}`"
        examples = ", ".join(f"`{example}`" for example in self.told.get("examples", []))
        like = f", such as {examples}" if examples else ""
        name, is_what = ".".join(self.place), allowed(self.told, schema)
        return f"| `{name}` | {is_what}{like} | {default} | {self.told['description']} |"


def keys_of(
    section: Mapping[str, Any], schema: Mapping[str, Any], place: tuple[str, ...] = ()
) -> Iterator[Key]:
    """Yield the keys of a section, with those of the sections and lists inside it."""
    for name, told in section["properties"].items():
        kinds = branches(told, schema)
        inside = [kind for kind in kinds if "properties" in kind]
        items = [item for kind in kinds if "items" in kind for item in branches(kind["items"], schema)]
        if not inside:
            required = name in section.get("required", [])
            yield Key((*place, name), told, [*kinds, *items], required)
        for each in inside:
            yield from keys_of(each, schema, (*place, name))
        for each in items:
            if "properties" in each:
                yield from keys_of(each, schema, (*place, f"{name}[]"))


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
    top = [Key((name,), told, [], name in schema["required"]) for name, told in schema["properties"].items()]
    keys = [*top, *keys_of(schema["$defs"]["Analysis"], schema)]
    head = ["| key | is | default | meaning |", "|---|---|---|---|"]
    return "\n".join([*head, *(key.row(schema) for key in keys), ""])


def with_table(readme: str) -> str:
    """Return the text of config/README.md with the table of today's keys in its place."""
    before, begin, rest = readme.partition("<!-- keys -->\n")
    _, end, after = rest.partition("<!-- end of keys -->")
    return f"{before}{begin}{table()}{end}{after}"


if __name__ == "__main__":
    Path(__file__).with_name("config.schema.json").write_text(as_json(json_schema()))
    README = Path("config/README.md")
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
