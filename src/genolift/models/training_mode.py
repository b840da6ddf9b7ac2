"""Whether a graph was captured in training mode, so that outputs depend on other rows or on chance.

This shows in the arguments of its operations, in any kind of graph.
"""

from collections.abc import Mapping
from typing import Any

from genolift.errors import InputError

_FLAGS = ("training", "train", "use_input_stats")
_STATISTICS = "running_mean"
_CHANCES = ("p", "dropout")
_ALWAYS = ("_batch_norm_with_update", "_batch_norm_with_update_functional")


def trains(name: str, given: Mapping[str, Any]) -> bool:
    """Whether an ATen operation behaves as it does only in training.

    A norm without running statistics does not count: it uses its input's in evaluation too.

    Parameters
    ----------
    name
        The operation's name, without its overload.
    given
        Its arguments by name; unknown ones may be missing.
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


def trained(name: str, where: str, how: str, again: str) -> InputError:
    """Return the error for a file with an operation that `trains`.

    ``how`` it was written and how to write it ``again`` are in words, such as "traced" and "trace it again".
    """
    functional = "; F.dropout needs training=self.training" if "dropout" in name else ""
    return InputError(
        f"was {how} in training mode ({name}), so that outputs depend on other rows or on chance",
        where=where,
        remedy=f"call model.eval() first, then {again}{functional}",
    )
