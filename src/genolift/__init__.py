"""genolift: which bases made the model say that. DeepLIFT for models of DNA, from sequences to motifs.

Names are imported when they are first used: importing torch takes seconds, which a command that needs no
model need not wait for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genolift import references
    from genolift.attribution import Attribution, deeplift, integrated_gradients, plan
    from genolift.engine.graph import UnsupportedOperation
    from genolift.engine.plan import Plan
    from genolift.errors import InputError
    from genolift.models import load_model

__version__ = "0.1.0"

__all__ = [
    "Attribution",
    "InputError",
    "Plan",
    "UnsupportedOperation",
    "deeplift",
    "integrated_gradients",
    "load_model",
    "plan",
    "references",
]

_HOME = {
    "Attribution": "genolift.attribution",
    "deeplift": "genolift.attribution",
    "integrated_gradients": "genolift.attribution",
    "plan": "genolift.attribution",
    "UnsupportedOperation": "genolift.engine.graph",
    "Plan": "genolift.engine.plan",
    "InputError": "genolift.errors",
    "load_model": "genolift.models",
}


def __getattr__(name: str) -> Any:
    if name == "references":
        return import_module("genolift.references")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'genolift' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
