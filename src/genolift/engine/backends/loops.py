"""The compiled loops of kernels.py for values that lie on a CPU.

A loop runs over memory in the order in which values lie there, whatever that is: all its arguments are
brought to the layout of the references' values, in which alone a row's numbers stand side by side.
"""

from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genolift.engine.rules.rules import ROUNDING_UNITS, Function, small_difference

_FLOATS = (torch.float32, torch.float64)
FEW = 10**8
"""Values of pairs that a process goes through by the formulas before it loads the loops.

A loop saves 1 to 3 ns a value; numba and the loops take 0.6 s to load, and ten times as long to compile.
"""
_gone_through = [0]


def worth_loading(values: int) -> bool:
    """Whether loops are worth loading by now, with so many values more to go through in this process."""
    if _gone_through[0] <= FEW:
        _gone_through[0] += values
    return _gone_through[0] > FEW


def _kernels() -> ModuleType:
    from genolift.engine.backends import kernels

    return kernels


def fit(*tensors: Tensor) -> bool:
    """Whether loops can run over these values: on the host, and all of one floating type."""
    alike = all(each.dtype == tensors[0].dtype and each.device.type == "cpu" for each in tensors)
    return alike and tensors[0].dtype in _FLOATS


class Sides:
    """Values of n sequences, x, and of their references, x0, as loops see them.

    Parameters
    ----------
    x
        (n k, ...): k rows of a sequence lie side by side.
    x0
        (n r k, ...), or (k, ...) where all sequences share one reference.
    n, r
        Numbers of sequences, and of references of each.
    """

    def __init__(self, x: Tensor, x0: Tensor, n: int, r: int) -> None:
        self.n, self.r = n, r
        self.more = x.shape[0] // n
        self.shape = (n * r * self.more, *x0.shape[1:])
        self.model = x0 if _is_dense(x0) else x0.contiguous()
        self.x, self.x0 = self._flat(x), self._flat(x0)

    def _flat(self, tensor: Tensor) -> NDArray[Any]:
        tensor = _laid_out_as(self.model, tensor)
        rows = tensor.shape[0] // self.more
        size = tensor.numel() // max(rows, 1)
        return _numbers(tensor.detach().as_strided((rows, size), (size, 1)))

    def _out(self) -> tuple[Tensor, NDArray[Any]]:
        out = _empty_as(self.model, self.shape, self.model.dtype)
        return out, self._flat(out)

    def rescale_relu(self, a: Tensor) -> Tensor:
        """Return the multipliers of relu's input by Rescale, (n r k, ...), in the type of that."""
        out, flat = self._out()
        half = self.model.dtype == torch.bfloat16
        kernels = _kernels()
        loop = kernels.rescale_relu_of_half if half else kernels.rescale_relu
        loop(self.x, self.x0, self._flat(a), self.r, flat)
        return out

    def reveal_cancel_relu(self, spread: Tensor, a: Tensor, b: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the mean of the multipliers of relu's input by RevealCancel, and half their difference."""
        (out, flat), (half, flat_half) = self._out(), self._out()
        split = np.zeros((1, flat.shape[1]), flat.dtype) if b is None else self._flat(b)
        noise = self.x.dtype.type(ROUNDING_UNITS * np.finfo(self.x.dtype).eps)
        _kernels().reveal_cancel_relu(
            self.x, self.x0, self._flat(spread), self._flat(a), split, self.r, noise, (flat, flat_half)
        )
        return out, half

    def takes(self, a: Tensor) -> bool:
        """Whether multipliers are those of every pair's values, in their type."""
        return fit(self.model, a) and tuple(a.shape) == self.shape

    def rescale(self, function: Function, y: Tensor, y0: Tensor, a: Tensor) -> tuple[Tensor, bool]:
        """Return the multipliers of a function's input by Rescale, NaN where the slope has to be taken.

        The second value says whether there is such a place.
        """
        out, flat = self._out()
        limits = small_difference(function.curved, self.model.dtype)
        tiny_below = self.x.dtype.type(limits[0]), self.x.dtype.type(limits[1])
        values = (self._flat(each) for each in (y, y0, a))
        tiny = _kernels().ratio(self.x, self.x0, *values, self.r, tiny_below, flat)
        return out, tiny > 0

    def selects_in(self, spatial: int) -> bool:
        """Whether an index into the ``spatial`` last axes is one step in memory: so in the usual layouts."""
        sizes, strides = self.model.shape, self.model.stride()
        last = range(self.model.dim() - spatial, self.model.dim() - 1)
        side_by_side = all(strides[axis] == strides[axis + 1] * sizes[axis + 1] for axis in last)
        return self.more == 1 and self.model.dim() == spatial + 2 and side_by_side

    def select_largest(self, chosen: Tensor, chosen0: Tensor, a: Tensor, spatial: int) -> Tensor:
        """Return the multipliers of a pool's input, where `selects_in` says that there is such a loop.

        ``chosen`` and ``chosen0``, of sequences and references, are indices into the ``spatial`` last axes,
        of the shape of the output, as is a, (n r, channels, ...).
        """
        out, flat = self._out()
        out.zero_()
        of_channel, of_position = self.model.stride()[1], self.model.stride()[-1]
        channels, positions = a.shape[1], a.shape[2:].numel()
        if of_channel < of_position:  # a position's channels lie side by side
            indices, indices0, a = (each.movedim(1, -1) for each in (chosen, chosen0, a))
            steps = positions, channels, 0, of_channel, of_position
        else:
            indices, indices0 = chosen, chosen0
            steps = channels, positions, of_channel, 0, of_position
        values = (each.reshape(each.shape[0], -1).contiguous().numpy() for each in (indices, indices0, a))
        _kernels().select_largest(self.x, self.x0, *values, self.r, steps, flat)
        return out


def relu_of_half(x: Tensor) -> Tensor:
    """Return relu of bfloat16 values as float32, laid out as they are."""
    if not _is_dense(x):
        return x.float().relu_()
    out = _empty_as(x, x.shape, torch.float32)
    _kernels().relu_of_half(_line(x), _line(out))
    return out


def _line(tensor: Tensor) -> NDArray[Any]:
    return _numbers(tensor.detach().as_strided((tensor.numel(),), (1,)))


def _numbers(tensor: Tensor) -> NDArray[Any]:
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(np.uint16)
    return tensor.numpy()


def _is_dense(tensor: Tensor) -> bool:
    """Whether every row's numbers stand side by side, in whatever order, and row after row."""
    return _by_rows(tensor) and torch.empty_like(tensor, device="meta").stride() == tensor.stride()


def _by_rows(tensor: Tensor) -> bool:
    return tensor.shape[0] < 2 or tensor.stride(0) == tensor.shape[1:].numel()


def _laid_out_as(model: Tensor, tensor: Tensor) -> Tensor:
    if tensor.stride()[1:] == model.stride()[1:] and _by_rows(tensor):
        return tensor  # as nearly always
    return _empty_as(model, tensor.shape, tensor.dtype).copy_(tensor)


def _empty_as(model: Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Return room for rows of the shape and layout of ``model``'s."""
    row = model.shape[1:].numel()
    return torch.empty_strided(tuple(shape), (row, *model.stride()[1:]), dtype=dtype)


def surrounded(
    unchanged: Tensor,
    window: Tensor,
    starts: NDArray[Any],
    first: NDArray[Any],
    width: int,
    outside: float,
    outer: int,
) -> Tensor:
    """Return windows in the midst of an unchanged row, ``width`` positions; see `kernels.surrounded`."""
    out = window.new_empty(window.shape[0], width, window.shape[2])
    numbers = [each.contiguous().numpy() for each in (unchanged, window)]
    _kernels().surrounded(*numbers, starts, first, numbers[0].dtype.type(outside), outer, out.numpy())
    return out


def difference(unchanged: Tensor, window: Tensor, starts: NDArray[Any], outer: int) -> Tensor:
    """Return windows less what an unchanged row has there; see `kernels.difference`."""
    out = window.new_empty(window.shape)
    numbers = [each.contiguous().numpy() for each in (unchanged, window)]
    _kernels().difference(*numbers, starts, outer, out.numpy())
    return out
