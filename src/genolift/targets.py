"""What of a model's output is explained: a task, or any function of it. Knows nothing of rules."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genolift.errors import InputError

Target = int | str | Callable[[Any], Tensor]


@dataclass(frozen=True)
class Column:
    """One task of an output (rows, tasks) or (rows,)."""

    task: int

    def of(self, output: Tensor) -> Tensor:
        """Return the task's values, (rows,), of an output.

        Raises
        ------
        InputError
            If the output has no such task, or more axes than (rows, tasks).
        """
        if output.dim() == 1:
            output = output[:, None]
        if output.dim() != 2:
            raise InputError(
                f"the model's output has the shape (n, {', '.join(map(str, output.shape[1:]))})",
                where="target",
                remedy="give a callable that takes the output and returns the value to explain, (n,)",
            )
        if not 0 <= self.task < output.shape[1]:
            raise InputError(
                f"there is no target {self.task}: the model has {output.shape[1]} "
                + ("output" if output.shape[1] == 1 else "outputs"),
                where="target",
                remedy=f"choose one of 0 to {output.shape[1] - 1}" if output.shape[1] > 1 else "choose 0",
            )
        return output[:, self.task]

    def seed(self, output: Tensor, rows: int) -> Tensor:
        """Return the target's multipliers of the output, for ``rows`` rows."""
        seed = torch.zeros((rows, *output.shape[1:]), dtype=output.dtype, device=output.device)
        seed[(slice(None), self.task) if output.dim() == 2 else slice(None)] = 1
        return seed


@dataclass(frozen=True)
class Whole:
    """The output itself, (rows,): a function of the model's output was traced with the model."""

    def of(self, output: Tensor) -> Tensor:
        """Return the output, (rows,).

        Raises
        ------
        InputError
            If the output is not one number a row.
        """
        if output.dim() != 1:
            raise InputError(
                f"the target function returns the shape (n, {', '.join(map(str, output.shape[1:]))})",
                where="target",
                remedy="return one number for each row, (n,)",
            )
        return output

    def seed(self, output: Tensor, rows: int) -> Tensor:
        """Return ones, (rows,)."""
        return torch.ones(rows, dtype=output.dtype, device=output.device)


def task_number(model: object, target: int | str, tasks: Sequence[str] = ()) -> int:
    """Return the column of a task given by number or name.

    Names are those given in ``tasks``, else the model's attribute ``tasks``, else ``TASKS`` in the file
    that defines the model's class.

    Raises
    ------
    InputError
        If the name is not known.
    """
    if isinstance(target, int):
        return target
    if target.strip().removeprefix("-").isdecimal():
        return int(target)
    names = list(tasks) or task_names(model)
    if target in names:
        return names.index(target)
    raise InputError(
        f"there is no target {target!r}",
        where="target",
        remedy=f"choose one of {', '.join(names)}" if names else "give its number, or name the model's tasks",
    )


def task_names(model: object) -> list[str]:
    """Return the names of a model's tasks, where the model or its file says them."""
    names = getattr(model, "tasks", None)
    if names is None:
        names = getattr(sys.modules.get(type(model).__module__), "TASKS", None)
    return [str(name) for name in names] if isinstance(names, (list, tuple)) else []
