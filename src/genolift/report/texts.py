"""The page's own words about what was run, which stand in ``texts.yaml``."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent
"""Of the page's template, style sheet, script and texts."""


@cache
def texts(kind: str) -> dict[str, Any]:
    """Return a section of ``texts.yaml``, in its order."""
    found: dict[str, Any] = yaml.safe_load((FOLDER / "texts.yaml").read_text(encoding="utf-8"))[kind]
    return found
