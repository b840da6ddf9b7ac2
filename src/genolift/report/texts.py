"""The page's own words about what was run, which stand in ``texts.yaml``."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent
"""Of the page's template, style sheet, script and texts."""


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C, which PyYAML's own builds have, takes 1 ms, not 10."""


def texts(kind: str) -> dict[str, Any]:
    """Return a section of ``texts.yaml``, in its order."""
    found: dict[str, Any] = _every()[kind]
    return found


@cache
def _every() -> dict[str, Any]:
    found: dict[str, Any] = yaml.load((FOLDER / "texts.yaml").read_text(encoding="utf-8"), _LOADER)
    return found
