"""How the pages are made of templates: what is escaped, how numbers are written, which style is allowed."""

import base64
import hashlib

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from genolift.report import words
from genolift.report.texts import FOLDER


def filled(template: str, **shown: object) -> str:
    """Return a template of this folder, filled with what it shows."""
    # Ids come from users' FASTA headers: everything but our own Markup is escaped.
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("figure", "whole", "count", "place", "minus"):
        environment.filters[name] = getattr(words, name)
    return environment.get_template(template).render(shown)


def asset(*names: str) -> Markup:
    """Return files of this folder, one behind the other, for a style or script in the page."""
    return Markup("".join((FOLDER / name).read_text(encoding="utf-8") for name in names))


def allowed(inline: Markup) -> str:
    """Return the hash by which a content security policy allows an inline style or script."""
    return base64.b64encode(hashlib.sha256(str(inline).encode()).digest()).decode("ascii")
