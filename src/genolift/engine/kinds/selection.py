"""Selections: where each output of a maximum or minimum comes from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from genolift.engine.kinds.kinds import Selection


def _flat_last_two(x: Tensor, args: tuple[Any, ...]) -> Tensor:
    return x.flatten(-2)


def _flat_last_three(x: Tensor, args: tuple[Any, ...]) -> Tensor:
    return x.flatten(-3)


def _like(flat: Tensor, x: Tensor, args: tuple[Any, ...]) -> Tensor:
    return flat.reshape(x.shape)


def _axes(x: Tensor, args: tuple[Any, ...]) -> list[int]:
    axes = args[1] if len(args) > 1 else []
    axes = [axes] if isinstance(axes, int) else list(axes)
    return sorted(axis % x.dim() for axis in (axes or range(x.dim())))


def _order(x: Tensor, args: tuple[Any, ...]) -> list[int]:
    axes = _axes(x, args)
    return [axis for axis in range(x.dim()) if axis not in axes] + axes


def _reduced_window(x: Tensor, args: tuple[Any, ...]) -> Tensor:
    return x.permute(_order(x, args)).flatten(x.dim() - len(_axes(x, args)))


def _reduced_unwindow(flat: Tensor, x: Tensor, args: tuple[Any, ...]) -> Tensor:
    order = _order(x, args)
    inverse = [order.index(axis) for axis in range(x.dim())]
    return flat.reshape([x.shape[axis] for axis in order]).permute(inverse)


def _reduced_output(y: Tensor, x: Tensor, args: tuple[Any, ...]) -> Tensor:
    axes = _axes(x, args)
    return y.reshape([size for axis, size in enumerate(x.shape) if axis not in axes] + [1])


def reduced(sign: int) -> Selection:
    """Return a maximum (sign 1) or minimum (sign -1) over axes; ties go to the first."""

    def choose(x: Tensor, args: tuple[Any, ...]) -> Tensor:
        return (sign * _reduced_window(x, args)).argmax(-1, keepdim=True)

    return Selection(_reduced_window, _reduced_unwindow, choose, _reduced_output, smallest=sign < 0)


def pooled(pool: Callable[..., Any], spatial: int) -> Selection:
    """Return a maximum over the windows of a pool that gives indices into its ``spatial`` last axes."""

    def choose(x: Tensor, args: tuple[Any, ...]) -> Tensor:
        return pool(x, *args[1:])[1].flatten(-spatial)

    def flatten_output(y: Tensor, x: Tensor, args: tuple[Any, ...]) -> Tensor:
        return y.flatten(-spatial)

    window = _flat_last_two if spatial == 2 else _flat_last_three
    return Selection(window, _like, choose, flatten_output, spatial=spatial)
