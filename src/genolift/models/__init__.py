"""Anything people saved, to a callable module."""

from genolift.models.loading import Model, ModelSpec, class_file, input_length, load_model, make_module

__all__ = ["Model", "ModelSpec", "class_file", "input_length", "load_model", "make_module"]
