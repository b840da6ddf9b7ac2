"""A model's outputs held against those that its author's own framework gave."""

from genolift.models.expected.comparison import check_expected, load_model

__all__ = ["check_expected", "load_model"]
