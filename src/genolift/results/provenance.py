"""What made a file of contributions: written by the steps, compared by aggregate, and read by the report."""

from __future__ import annotations

import platform
from importlib.metadata import version

from genolift import __version__


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of genolift, of Python, and of the packages that a step's results depend on."""
    others = {package: version(package) for package in packages}
    return {"genolift": __version__, "python": platform.python_version(), **others}
