"""What each operation of a model is, and the rule it gets. No rule of the workflow runs this step."""

from dataclasses import dataclass

import torch

from genolift.data.stored_tensors import example_rows, random_onehot
from genolift.engine.plan import Plan
from genolift.explain.attribution import plan
from genolift.explain.plan_check import CheckedPlan, check_plan
from genolift.models import assumption, known_input_length, load_model
from genolift.models.expected import check_expected
from genolift.results.agreement import Agreement, agreement_in_words
from genolift.settings.sections import Settings

_CHECKED = 4
"""Random sequences, each against another, that a plan is checked on."""


@dataclass(frozen=True)
class Planned:
    """The plan, what was assumed of the model, and how far it is from its author's outputs, where given."""

    plan: Plan | CheckedPlan
    assumed: str | None
    agreement: Agreement | None

    def __str__(self) -> str:
        assumed = "" if self.assumed is None else f"{self.assumed}\n"
        agreement = "" if self.agreement is None else f"The model {agreement_in_words(self.agreement)}.\n\n"
        return f"{assumed}{agreement}{self.plan}"


def plan_model(settings: Settings, *, check: bool = False) -> Planned:
    """Return the plan of the model; with ``check`` compared on random sequences, in float64.

    Raises
    ------
    InputError
        If the model cannot be loaded or explained, does not say its length, or is not its author's.
    """
    spec = settings.the_model
    model = load_model(spec)
    length = known_input_length(model, spec)
    agreement = check_expected(model, spec, settings.extras)
    rows = _CHECKED if check else 1
    how = {"extra_inputs": example_rows(settings.extras, length, rows), **settings.explained}
    found: Plan | CheckedPlan
    if check:
        inputs, references = random_onehot(2 * rows, length).split(rows)
        found = check_plan(model, inputs, references, **how)
    else:
        found = plan(model, torch.zeros(1, 4, length), **how)
    assumed = assumption(model)
    return Planned(found, None if assumed is None else f"{spec.path}: {assumed}", agreement)
