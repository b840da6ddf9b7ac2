"""Models in every form that people save them in, each loaded as a callable module.

May import `targets`, `engine`, `data`, `settings`, `files`.
"""

from genolift.models.classes import make_module
from genolift.models.loading import (
    Model,
    assumption,
    input_length,
    known_input_length,
    load_model,
    model_provenance,
)
from genolift.settings.model import ModelSpec

__all__ = [
    "Model",
    "ModelSpec",
    "assumption",
    "input_length",
    "known_input_length",
    "load_model",
    "make_module",
    "model_provenance",
]
