"""genolift: which bases made the model say that. DeepLIFT for models of DNA, from sequences to motifs."""

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
