"""What of a model's output is explained: a task, a place in any of several outputs, a head, a layer.

`grammar` reads a target's text, `binding` finds what its names and numbers stand for in what a model returns,
`resolving` says what is traced for it.

May import the engine; knows nothing of files, and nothing of how models are read.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genolift.targets.targets import (
        LAST_CONVOLUTION,
        counts,
        layer,
        mean_normalised_profile,
        profile_free_weights,
        task_names,
    )

__all__ = [
    "LAST_CONVOLUTION",
    "counts",
    "layer",
    "mean_normalised_profile",
    "profile_free_weights",
    "task_names",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from genolift.targets import targets  # when first used: importing torch takes seconds

        return getattr(targets, name)
    raise AttributeError(f"module 'genolift.targets' has no attribute {name!r}")
