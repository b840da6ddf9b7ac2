"""Operations on tensors that Keras saves as layers: those of keras.ops, and TensorFlow functions in Keras 2.

Keras 2 writes the name of a TensorFlow function and its arguments. The name is looked up in our own table. An
argument that the table's function lacks is never ignored: the user must supply such a layer.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from genolift.errors import InputError
from genolift.models.keras.arguments import Constant, Value
from genolift.models.keras.graph import Call, LayerConfig
from genolift.models.keras.tensorflow_functions import CAST, FUNCTIONS, GET_ITEM

DTYPES: Mapping[Any, torch.dtype] = {
    "bool": torch.bool,
    "int32": torch.int32,
    "int64": torch.int64,
    "float32": torch.float32,
}
_WITHOUT_EFFECT: Mapping[str, tuple[Any, ...]] = {
    "a_is_sparse": (False,),
    "adjoint_a": (False,),
    "adjoint_b": (False,),
    "b_is_sparse": (False,),
    "batch_dims": (0,),
    "conjugate": (False,),
    "data_format": ("N...C", "NWC", "NHWC"),
    "exclusive": (False,),
    "mode": ("CONSTANT", "constant"),
    "ord": ("euclidean",),
    "out_type": ("int32",),
}
"""Arguments with the values for which they have no effect."""
_WITHOUT_INPUTS: Mapping[Any, str] = {
    "einsum": "tf.matmul or tf.tensordot",
    "__operators__.eq": "tf.equal",
    "__operators__.ne": "tf.not_equal",
}
"""Functions for which Keras 2 saves only some inputs, with alternatives that it saves completely."""
_NEVER_OF_EFFECT = ("name", "num")


class Operation(nn.Module):
    """Wraps an operation of keras.ops, which is not a module, as a layer."""

    def __init__(self, operation: Callable[..., Any]) -> None:
        super().__init__()
        self.operation = operation

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the operation's value."""
        return self.operation(*args, **kwargs)


class Cast(Operation):
    """Casts a value to another dtype; float32 stands for the floating-point dtype that the model runs in."""

    real: Tensor

    def __init__(self, dtype: str) -> None:
        super().__init__(_cast)
        self.dtype = dtype
        self.register_buffer("real", torch.zeros(()), persistent=False)

    def forward(self, x: Any) -> Any:
        """Return the value in the new dtype."""
        return _cast(x, self.dtype, self.real)


class TensorFlowFunction(Operation):
    """A TensorFlow function, by its name, in torch; constants become tensors if it needs them."""

    real: Tensor
    """Follows the floating-point dtype and the device that the model runs in."""

    def __init__(self, name: str) -> None:
        function = FUNCTIONS[name]
        super().__init__(function.compute)
        self.name, self.takes_numbers = name, function.takes_numbers
        self.register_buffer("real", torch.zeros(()), persistent=False)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the function's value, for arguments accepted by `_is_known`."""
        given = _effective(kwargs)
        if self.name == CAST:
            return _cast(args[0], given["dtype"], self.real)
        bound = inspect.signature(self.operation).bind(*args, **given)
        dtype = self._dtype(bound.arguments)
        for name, value in bound.arguments.items():
            if name not in _SETTINGS:
                bound.arguments[name] = self._tensors(value, torch.bool if name == "condition" else dtype)
        return self.operation(*bound.args, **bound.kwargs)

    def _dtype(self, given: Mapping[str, Any]) -> torch.dtype:
        """Return the dtype for a call's constants: that of its tensors, or their own if there are none."""
        listed = [value for name, value in given.items() if name != "condition" and name not in _SETTINGS]
        flat = [each for value in listed for each in (value if isinstance(value, list) else [value])]
        tensors = [each for each in flat if isinstance(each, Tensor)]
        if tensors:
            return tensors[0].dtype
        whole = all(isinstance(each, int) for each in flat)
        return torch.int32 if whole else self.real.dtype

    def _tensors(self, value: Any, dtype: torch.dtype) -> Any:
        if isinstance(value, list) and any(isinstance(each, Tensor) for each in value):
            return [self._tensors(each, dtype) for each in value]
        if isinstance(value, list):
            return torch.tensor(value, dtype=dtype, device=self.real.device)
        if isinstance(value, (int, float)) and not self.takes_numbers:
            return torch.full((), value, dtype=dtype, device=self.real.device)
        return value


def _cast(x: Any, dtype: str, real: Tensor) -> Any:
    if not isinstance(x, Tensor):  # a size
        return float(x) if dtype == "float32" else x
    if dtype != "float32":
        return x.to(DTYPES[dtype])
    return x if x.is_floating_point() else x.to(real.dtype)


def tensorflow_function(layer: LayerConfig, calls: Sequence[Call], where: str) -> TensorFlowFunction | None:
    """Return the TensorFlow function that a layer represents; None if it or an argument is not known.

    Raises
    ------
    InputError
        If the file lacks some of its inputs.
    """
    name = layer.config.get("function")
    if name in _WITHOUT_INPUTS:
        raise InputError(
            f"applies tf.{name}, but Keras 2 does not save all of its inputs",
            where=where,
            remedy=f"use {_WITHOUT_INPUTS[name]} instead in the model, and save it again",
        )
    slices = layer.class_name == "SlicingOpLambda"
    if not (isinstance(name, str) and name in FUNCTIONS and slices == (name == GET_ITEM)):
        return None
    return TensorFlowFunction(name) if all(_is_known(name, call) for call in calls) else None


def with_calls(layer: LayerConfig, calls: Sequence[Call]) -> LayerConfig:
    """Return a layer's description with the arguments of its calls added, for display."""
    given = [call.arguments(lambda value: value.layer)[1] for call in calls]
    said = [{key: value for key, value in each.items() if key != "name"} for each in given]
    return replace(layer, config={**layer.config, "call": said[0] if len(said) == 1 else said})


def _effective(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call's arguments without those that have no effect."""
    return {
        name: value
        for name, value in kwargs.items()
        if name not in _NEVER_OF_EFFECT
        and not any(type(value) is type(same) and value == same for same in _WITHOUT_EFFECT.get(name, ()))
    }


def _is_known(name: str, call: Call) -> bool:
    function = FUNCTIONS[name]
    try:
        bound = inspect.signature(function.compute).bind(*call.args, **_effective(call.kwargs))
    except TypeError:
        return False
    first, *others = bound.arguments.items()
    if function.takes_list != isinstance(first[1], list):
        return False
    return all(
        _SETTINGS[key](value) if key in _SETTINGS else _is_tensor(value) for key, value in [first, *others]
    )


def _is_tensor(value: Any) -> bool:
    """Whether an argument is a tensor, a constant, or a list of these."""
    if isinstance(value, Constant):
        return _is_tensor(value.value)
    if isinstance(value, list):
        return bool(value) and all(map(_is_tensor, value))
    return isinstance(value, Value | int | float)


def _is_whole(value: Any) -> bool:
    return type(value) is int


def _is_flag(value: Any) -> bool:
    return type(value) is bool


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _are_whole(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_whole, value))


def _are_axes(value: Any) -> bool:
    return _is_whole(value) or _are_whole(value)


def _is_shape(value: Any) -> bool:
    """Whether an argument is a list of sizes, each a number or a tensor, or one tensor with all of them."""
    return isinstance(value, Value) or (
        isinstance(value, list) and all(_is_whole(each) or isinstance(each, Value) for each in value)
    )


def _are_parts(value: Any) -> bool:
    return all(
        each is None or each is ... or isinstance(each, (slice, dict)) or _is_whole(each)
        for each in (value if isinstance(value, list) else [value])
    )


def _are_pairs(value: Any) -> bool:
    return isinstance(value, list) and all(_are_whole(each) and len(each) == 2 for each in value)


def _are_two_axes(value: Any) -> bool:
    return _is_whole(value) or (
        isinstance(value, list) and len(value) == 2 and all(_are_axes(each) for each in value)
    )


def _are_places(value: Any) -> bool:
    """Whether indices are not negative: TensorFlow accepts no others."""
    return _are_axes(value) and all(each >= 0 for each in (value if isinstance(value, list) else [value]))


_SETTINGS: Mapping[str, Callable[[Any], bool]] = {
    "alpha": _is_number,
    "approximate": _is_flag,
    "axes": _are_two_axes,
    "axis": _are_axes,
    "begin": _are_places,
    "beta": _is_number,
    "constant_values": _is_number,
    "dtype": lambda value: isinstance(value, str) and value in DTYPES,
    "epsilon": _is_number,
    "indices": _are_places,
    "keepdims": _is_flag,
    "multiples": _are_whole,
    "num_or_size_splits": _are_axes,
    "paddings": _are_pairs,
    "perm": _are_whole,
    "repeats": _is_whole,
    "reverse": _is_flag,
    "shape": _is_shape,
    "shift": _are_axes,
    "size": _are_whole,
    "slice_spec": _are_parts,
    "transpose_a": _is_flag,
    "transpose_b": _is_flag,
}
"""The arguments that are not tensors, by their names in TensorFlow, with a check of their values."""
