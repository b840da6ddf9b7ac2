"""genolift: which bases made the model say that. DeepLIFT for models of DNA, from sequences to motifs.

Names are imported when they are first used: importing torch takes seconds, which a command that needs no
model need not wait for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from genolift.warned import GenoliftWarning, warn_python_callers

if TYPE_CHECKING:
    from genolift import references, targets
    from genolift.engine.graph.graph import UnsupportedOperation
    from genolift.engine.plan import Plan
    from genolift.engine.registration import register_rule
    from genolift.errors import InputError
    from genolift.explain.attribution import deeplift, integrated_gradients, plan
    from genolift.explain.explainer import Explainer
    from genolift.explain.kept import clear_captures
    from genolift.explain.methods import grad_cam, gradient_times_input, in_silico_mutagenesis
    from genolift.explain.plan_check import CheckedPlan, check_plan
    from genolift.explain.result import Attribution
    from genolift.models.expected import load_model

__version__ = "0.1.0"

warn_python_callers()

__all__ = [
    "Attribution",
    "CheckedPlan",
    "Explainer",
    "GenoliftWarning",
    "InputError",
    "Plan",
    "UnsupportedOperation",
    "check_plan",
    "clear_captures",
    "deeplift",
    "grad_cam",
    "gradient_times_input",
    "in_silico_mutagenesis",
    "integrated_gradients",
    "load_model",
    "plan",
    "references",
    "register_rule",
    "targets",
]

_HOME = {
    "Attribution": "genolift.explain.result",
    "Explainer": "genolift.explain.explainer",
    "clear_captures": "genolift.explain.kept",
    "deeplift": "genolift.explain.attribution",
    "integrated_gradients": "genolift.explain.attribution",
    "plan": "genolift.explain.attribution",
    "UnsupportedOperation": "genolift.engine.graph.graph",
    "Plan": "genolift.engine.plan",
    "register_rule": "genolift.engine.registration",
    "CheckedPlan": "genolift.explain.plan_check",
    "check_plan": "genolift.explain.plan_check",
    "grad_cam": "genolift.explain.methods",
    "gradient_times_input": "genolift.explain.methods",
    "in_silico_mutagenesis": "genolift.explain.methods",
    "InputError": "genolift.errors",
    "load_model": "genolift.models.expected",
}


def __getattr__(name: str) -> Any:
    if name in ("references", "targets"):
        return import_module(f"genolift.{name}")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'genolift' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
