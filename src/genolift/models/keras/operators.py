"""Operations on tensors in the place of layers: those of keras.ops, and TensorFlow's functions in Keras 2.

Keras 2 writes the name of a function of TensorFlow and its arguments. The name is looked up in a table of
ours. No argument that the table's function lacks is left out: such a layer is the user's to supply.
"""

from __future__ import annotations

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
"""Arguments that say what is so anyway, with their values of that meaning."""
_WITHOUT_INPUTS: Mapping[Any, str] = {
    "einsum": "tf.matmul or tf.tensordot",
    "__operators__.eq": "tf.equal",
    "__operators__.ne": "tf.not_equal",
}
"""The functions of which Keras 2 writes some inputs alone, with others that it writes whole."""
_NEVER_OF_EFFECT = ("name", "num")


class Operation(nn.Module):
    """An operation of keras.ops, which is no module, in the place of a layer."""

    def __init__(self, operation: Callable[..., Any]) -> None:
        super().__init__()
        self.operation = operation

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the operation's value."""
        return self.operation(*args, **kwargs)


class Cast(Operation):
    """A value as another type; float32 stands for the type of real numbers in which the model is run."""

    real: Tensor

    def __init__(self, dtype: str) -> None:
        super().__init__(_cast)
        self.dtype = dtype
        self.register_buffer("real", torch.zeros(()), persistent=False)

    def forward(self, x: Any) -> Any:
        """Return the value as the type."""
        return _cast(x, self.dtype, self.real)


class TensorFlowFunction(Operation):
    """A function of TensorFlow's by its name, in torch; constants become tensors where it needs them."""

    real: Tensor
    """Of the type of real numbers, and on the device, in which the model is run."""

    def __init__(self, name: str) -> None:
        function = FUNCTIONS[name]
        super().__init__(function.compute)
        self.name, self.takes_numbers = name, function.takes_numbers
        self.register_buffer("real", torch.zeros(()), persistent=False)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the function's value, of arguments that `_is_known` says are known."""
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
        """Return the type of a call's constants: that of its tensors; of constants alone their own."""
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
    """Return TensorFlow's function that a layer stands for; None where it or an argument is not known.

    Raises
    ------
    InputError
        If the file lacks what it is applied to.
    """
    name = layer.config.get("function")
    if name in _WITHOUT_INPUTS:
        raise InputError(
            f"applies tf.{name}, of whose inputs Keras 2 leaves out some in the file",
            where=where,
            remedy=f"write the model with {_WITHOUT_INPUTS[name]} in its place, and save it again",
        )
    slices = layer.class_name == "SlicingOpLambda"
    if not (isinstance(name, str) and name in FUNCTIONS and slices == (name == GET_ITEM)):
        return None
    return TensorFlowFunction(name) if all(_is_known(name, call) for call in calls) else None


def with_calls(layer: LayerConfig, calls: Sequence[Call]) -> LayerConfig:
    """Return a layer's description with the arguments of its calls, to be shown."""
    given = [call.arguments(lambda value: value.layer)[1] for call in calls]
    said = [{key: value for key, value in each.items() if key != "name"} for each in given]
    return replace(layer, config={**layer.config, "call": said[0] if len(said) == 1 else said})


def _effective(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call's arguments without those that do not change what the function gives."""
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
    """Whether an argument is a tensor, a constant or a list of them."""
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
    """Whether sizes are numbers, of which tensors may be sizes too, or all are those of a tensor."""
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
    """Whether indices count from the front: TensorFlow has no others."""
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
"""The arguments that are no tensors, by their names in TensorFlow, and what they may be."""
