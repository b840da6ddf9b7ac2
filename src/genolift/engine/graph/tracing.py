"""What holds while a copy of a model is run or traced.

A model's own casts and autocast give way to the precision that is asked for; hints that torch reads off
values are not looked for; and torch prints nothing.
"""

import io
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_CASTS = {Tensor.float, Tensor.double, Tensor.half, Tensor.bfloat16}
_COMPLEX_CASTS = {getattr(Tensor, name) for name in ("cfloat", "cdouble")}
_COMPLEX = {torch.float32: torch.complex64, torch.float64: torch.complex128}


def in_precision(value: Any, dtype: torch.dtype) -> Any:
    """Return ``dtype`` for a floating element type, its complex one for a complex one, else ``value``."""
    if not isinstance(value, torch.dtype):
        return value
    if value.is_complex:
        return _COMPLEX.get(dtype, value)
    return dtype if value.is_floating_point else value


def placed(tensor: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return a tensor on ``device``, and in ``dtype``, or its complex one, where it holds such numbers."""
    if tensor.is_inference():  # which autograd does not take
        tensor = tensor.clone()
    return tensor.to(device=device, dtype=in_precision(tensor.dtype, dtype))


class Replacing(TorchFunctionMode, ABC):
    """A mode of torch's functions in which `called` says what a call of one gives."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """See `called`."""
        return self.called(function, args, kwargs or {})

    @abstractmethod
    def called(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Return what a call gives."""


class one_precision(Replacing):  # noqa: N801 - a context manager, read as a phrase
    """``with one_precision(dtype):`` what a model casts to another floating element type is in ``dtype``.

    Its weights are, whatever they were saved in: a forward's own ``x.half()`` would not fit them, and its
    ``x.float()`` would round what is computed in double.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def called(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call with the one precision in the place of any other."""
        if function in _CASTS:
            return args[0].to(self.dtype)
        if function in _COMPLEX_CASTS:
            return args[0].to(in_precision(torch.complex64, self.dtype))
        named = {name: in_precision(value, self.dtype) for name, value in kwargs.items()}
        return function(*(in_precision(value, self.dtype) for value in args), **named)


class rows_in_parts(Replacing):  # noqa: N801 - a context manager, read as a phrase
    """``with rows_in_parts():`` a batch that was joined of several is taken apart by slices.

    torch's own chunk and split want to know how many rows there are.
    """

    def called(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Write a chunk or a split along an axis of unknown size as slices."""
        if function in _PARTS and len(args) > 1 and set(kwargs) <= {"dim"}:
            parts = _PARTS[function](*args, **kwargs)
            if parts is not None:
                return parts
        return function(*args, **kwargs)


def _chunked(x: Tensor, number: int, dim: int = 0) -> tuple[Tensor, ...] | None:
    size = x.shape[dim]
    return _split(x, size // number, dim) if isinstance(size, torch.SymInt) and size % number == 0 else None


def _split(x: Tensor, sizes: Any, dim: int = 0) -> tuple[Tensor, ...] | None:
    size = x.shape[dim]
    if not isinstance(size, torch.SymInt):
        return None
    if not isinstance(sizes, (list, tuple)):
        if size % sizes != 0:
            return None
        sizes = [sizes] * int(size // sizes)
    stops = accumulate(sizes)
    return tuple(x.narrow(dim, stop - part, part) for stop, part in zip(stops, sizes, strict=True))


_PARTS: Mapping[Callable[..., Any], Callable[..., tuple[Tensor, ...] | None]] = {
    torch.chunk: _chunked,
    Tensor.chunk: _chunked,
    torch.split: _split,
    Tensor.split: _split,
}


@contextmanager
def silence() -> Iterator[None]:
    """Keep torch from printing the part of a graph that it has when it gives up, beside the error."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)
