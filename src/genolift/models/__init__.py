"""Anything people saved, to a callable module."""

from genolift.models.classes import make_module
from genolift.models.loading import Model, assumption, input_length, load_model, model_provenance
from genolift.settings.model import ModelSpec

__all__ = [
    "Model",
    "ModelSpec",
    "assumption",
    "input_length",
    "load_model",
    "make_module",
    "model_provenance",
]
