"""Whether a graph was taken from a model in training mode: its outputs depend on other rows or on chance.

Told by what each operation was given, whichever graph it is in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EVAL_FIRST = "call model.eval() first"
_FLAGS = ("training", "train", "use_input_stats")
_STATISTICS = "running_mean"
_CHANCES = ("p", "dropout")
_ALWAYS = ("_batch_norm_with_update", "_batch_norm_with_update_functional")


def trains(name: str, given: Mapping[str, Any]) -> bool:
    """Whether an operation of ATen does what it does in training alone.

    A norm without running statistics is left out: it takes those of its input in evaluation too.

    Parameters
    ----------
    name
        The operation's, without its overload.
    given
        Its arguments by name; one whose value is not known may be missing.
    """
    if name in _ALWAYS:
        return True
    if isinstance(chance := given.get("dropout_p"), float) and chance > 0:
        return True
    flags = [given[flag] for flag in _FLAGS if flag in given]
    if name.startswith("native_dropout") and flags == [None]:
        flags = [True]
    if True not in flags:
        return False
    if _STATISTICS in given:
        return given[_STATISTICS] is not None
    chances = [given[key] for key in _CHANCES if key in given]
    return not chances or any(chance != 0 for chance in chances)


def remedy_of(name: str, again: str) -> str:
    """Return what to do about an operation that `trains`; ``again`` is how the file is then written."""
    functional = "; F.dropout needs training=self.training" if "dropout" in name else ""
    return f"{EVAL_FIRST}, then {again}{functional}"
