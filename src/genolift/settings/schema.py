"""What is made of the config's keys: their JSON schema, which editors use, and the table in config/README.md.

``python -m genolift.settings.schema``, in the clone, writes both anew.
"""

import json
from pathlib import Path
from typing import Any

from genolift.files.plain_values import as_json
from genolift.settings.keys import NAMED, Key, keys_of
from genolift.settings.sections import Analysis, Config


def json_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of the config.

    It asks for no key within an analysis, since each may be in the ``defaults``.
    """
    schema = Config.model_json_schema()
    for section in schema["$defs"].values():
        section.pop("required", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema


def table() -> str:
    """Return the table of all keys, in Markdown."""
    top = [key for place, key in keys_of(Config).items() if len(place) == 1]
    within = [
        key for place, key in keys_of(Analysis).items() if place and NAMED not in place and key.is_value
    ]
    head = ["| key | is | default | meaning |", "|---|---|---|---|"]
    return "\n".join([*head, *map(_row, top + within), ""])


def _row(key: Key) -> str:
    default = "required" if key.required else key.by_preset
    if key.told.get("default") not in (None, [], {}):
        default = f"`{json.dumps(key.told['default']).strip(chr(34))}`"
    examples = ", ".join(f"`{example}`" for example in key.told.get("examples", []))
    like = f", such as {examples}" if examples else ""
    return f"| `{key.name}` | {key.allowed}{like} | {default} | {key.told['description']} |"


def with_table(readme: str) -> str:
    """Return the text of config/README.md with the table of today's keys in its place."""
    before, begin, rest = readme.partition("<!-- keys -->\n")
    _, end, after = rest.partition("<!-- end of keys -->")
    return f"{before}{begin}{table()}{end}{after}"


if __name__ == "__main__":
    Path(__file__).with_name("config.schema.json").write_text(as_json(json_schema()))
    README = Path("config/README.md")
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
