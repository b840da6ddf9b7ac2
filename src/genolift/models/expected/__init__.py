"""A model's outputs compared with those of its author's own framework."""

from genolift.models.expected.comparison import check_expected, load_model

__all__ = ["check_expected", "load_model"]
