"""What the tests of the check use: a model made from any function, and an analysis to check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from run_steps import Study
from torch import Tensor, nn

from genolift.settings.sections import Sequences
from genolift.steps.check import check_analysis


class Of(nn.Module):
    """A model made from a function of its inputs, with layers of its own."""

    def __init__(self, function: Callable[..., Any], **layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(self, *inputs)


def check(made: Study, source: Sequences, **changed: Any) -> Any:
    models = changed.pop("models", {"model": made.model})
    settings = made.settings(changed).model_copy(
        update={"model": None, "named_models": models, "sequences": source}
    )
    return check_analysis(settings, **({"out": made.folder / "check.json"} | changed))
