"""A TorchScript module as a torch module that runs the operations of its graph one by one.

torch.export can trace that through loops, branches and recurrent layers, unlike TorchScript itself.
"""

import builtins
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from genolift.engine.graph import recurrent_operations  # noqa: F401 - a script's recurrent layers are made its
from genolift.engine.torch_internals import inline_calls, parse_schema
from genolift.models.training_mode import trains

_DTYPES = (
    *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.float16, torch.float32, torch.float64),
    *(torch.complex32, torch.complex64, torch.complex128),
    *(torch.bool, torch.qint8, torch.quint8, torch.qint32, torch.bfloat16),
)
"""Types by their numbers in TorchScript."""
_MEMORY_FORMATS = (
    *(torch.contiguous_format, torch.preserve_format),
    *(torch.channels_last, torch.channels_last_3d),
)
_RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")
"""Operations kept whole, as in the engine; torch would run them step by step to find their shapes."""


class UnknownOperationError(Exception):
    """A TorchScript operation that is unknown here, or failed to run."""


class ScriptGraph(nn.Module):
    """The forward pass of a TorchScript module, with its parameters and buffers under their names."""

    def __init__(self, script: torch.jit.ScriptModule) -> None:
        super().__init__()
        self._script = (script,)  # not a submodule
        self._graph = script.graph.copy()
        inline_calls(self._graph)
        constants = (node for node in _nodes(self._graph) if node.kind() == "prim::Constant")
        held = {node.output().debugName(): node.output().toIValue() for node in constants}
        self._scalars = {
            name: value.item()
            for name, value in held.items()
            if isinstance(value, Tensor) and value.ndim == 0
        }
        self._names: dict[tuple[Any, ...], tuple[nn.Module, str]] = {}
        for name, parameter in script.named_parameters():
            self._keep(name, nn.Parameter(parameter.detach(), requires_grad=parameter.requires_grad))
        for name, tensor in script.named_buffers():
            self._keep(name, tensor)

    def _keep(self, name: str, tensor: Tensor) -> None:
        *path, last = name.split(".")
        holder: nn.Module = self
        for part in path:
            if part not in holder._modules:
                holder.add_module(part, nn.Module())
            holder = holder.get_submodule(part)
        if isinstance(tensor, nn.Parameter):
            holder.register_parameter(last, tensor)
        else:
            holder.register_buffer(last, tensor)
        self._names.setdefault(_memory(tensor), (holder, last))

    def forward(self, *inputs: Tensor) -> Any:
        """Return the module's output."""
        names = [value.debugName() for value in self._graph.inputs()]
        values: dict[str, Any] = dict(zip(names, (self._script[0], *inputs), strict=True))
        (found,) = self._block(self._graph, values)
        return found

    def _block(self, block: Any, values: dict[str, Any]) -> list[Any]:
        for node in block.nodes():
            try:
                found = self._run(node, values)
            except UnknownOperationError:
                raise
            except Exception as error:
                raise UnknownOperationError(f"{node.kind()}{_place(node)}") from error
            outputs = [value.debugName() for value in node.outputs()]
            if outputs:
                values.update(zip(outputs, [found] if len(outputs) == 1 else found, strict=True))
        return [values[value.debugName()] for value in block.outputs()]

    def _run(self, node: Any, values: dict[str, Any]) -> Any:
        """Return a node's value, or a sequence if it does not have exactly one."""
        kind: str = node.kind()
        given = [values[value.debugName()] for value in node.inputs()]
        if kind == "prim::Constant":
            return self._own(node.output().toIValue())
        if kind == "prim::GetAttr":
            return self._own(getattr(given[0], node.s("name")))
        if kind == "prim::If":
            return self._branch(node, bool(given[0]), values)
        if kind == "prim::Loop":
            return self._loop(node, given, values)
        plain = _PLAIN.get(kind)
        if plain is not None:
            return plain(*given)
        names = [value.debugName() for value in node.inputs()]
        numbers = [self._scalars.get(name, value) for name, value in zip(names, given, strict=True)]
        if kind in _ON_NUMBERS and _is_of_numbers(node, numbers):
            return _ON_NUMBERS[kind](*numbers)
        if kind.startswith("prim::"):
            raise UnknownOperationError(f"{kind}{_place(node)}")
        return _called(node, given)

    def _own(self, value: Any) -> Any:
        """Return a value with the tensors of this module in place of the script's."""
        if isinstance(value, Tensor):
            held = self._names.get(_memory(value))
            return value if held is None else getattr(*held)
        if isinstance(value, list):
            return [self._own(each) for each in value]
        return value

    def _branch(self, node: Any, condition: bool, values: dict[str, Any]) -> Any:
        first, second = node.blocks()
        return _one_or_all(self._block(first if condition else second, values))

    def _loop(self, node: Any, given: list[Any], values: dict[str, Any]) -> Any:
        (block,) = node.blocks()
        most, goes_on, *carried = given
        names = [value.debugName() for value in block.inputs()]
        number = 0
        while goes_on and number < most:
            values.update(zip(names, (number, *carried), strict=True))
            goes_on, *carried = self._block(block, values)
            number += 1
        return _one_or_all(carried)


def operation_of_training(script: torch.jit.ScriptModule) -> str | None:
    """Return the name of an operation that was traced in training mode; None if there is none."""
    graph = script.graph.copy()
    inline_calls(graph)
    for node in _nodes(graph):
        schema = node.schema()
        if schema == "(no schema)":
            continue
        known = parse_schema(schema)
        given = {
            argument.name: None if value.type().kind() == "NoneType" else value.toIValue()
            for argument, value in zip(known.arguments, node.inputs(), strict=False)
            if value.node().kind() == "prim::Constant" or argument.name == "running_mean"
        }
        if "running_mean" in given:
            is_none = list(node.inputs())[3].type().kind() == "NoneType"
            given["running_mean"] = None if is_none else "kept"
        name = known.name.partition("::")[2]
        if trains(name, given):
            return name
    return None


def _nodes(block: Any) -> Iterator[Any]:
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from _nodes(inner)


def _memory(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype


def _place(node: Any) -> str:
    """Return an operation's place in the user's code, if it is known."""
    lines = [line for line in node.sourceRange().splitlines() if line.strip()]
    at = next((number for number, line in enumerate(lines) if set(line.strip()) <= set("~ <-HERE")), 0)
    return f" ({lines[at - 1].strip()[:60]})" if at else ""


def _called(node: Any, given: list[Any]) -> Any:
    """Return the result of a torch operation."""
    schema = parse_schema(node.schema())
    namespace, _, name = schema.name.partition("::")
    if schema.overload_name == "input" and name in _RECURRENT:
        return getattr(torch.ops.genolift, name)(*given)
    if name == "_convolution":  # in traces only, with extra cuDNN settings
        return torch.ops.aten.convolution.default(*given[:9])
    if name == "to" and schema.overload_name.startswith("prim"):
        return _moved(*given)
    packet = getattr(getattr(torch.ops, namespace), name)
    arguments, keywords = [], {}
    for argument, value in zip(schema.arguments, given, strict=True):
        told = _told(str(argument.real_type), value)
        if argument.kwarg_only:
            keywords[argument.name] = told
        else:
            arguments.append(told)
    return getattr(packet, schema.overload_name or "default")(*arguments, **keywords)


def _moved(x: Tensor, *given: Any) -> Tensor:
    """Return a tensor on a device and with a type, where given."""
    device = next((value for value in given if isinstance(value, torch.device)), x.device)
    number = next((value for value in given if type(value) is int), None)
    return x.to(device=device, dtype=x.dtype if number is None else _DTYPES[number])


def _told(kind: str, value: Any) -> Any:
    """Return the type or layout that TorchScript writes as a number."""
    if type(value) is not int:
        return value
    if "ScalarType" in kind:
        return _DTYPES[value]
    if "MemoryFormat" in kind:
        return _MEMORY_FORMATS[value]
    return torch.strided if "Layout" in kind else value


def _is_of_numbers(node: Any, given: list[Any]) -> bool:
    """Whether an operation is on plain numbers, or on tensors of which a trace made one from a number."""
    if not any(isinstance(value, Tensor) for value in given):
        return True
    taken = parse_schema(node.schema()).arguments
    return any(
        str(argument.type) == "Tensor" and isinstance(value, (int, float, torch.SymInt))
        for argument, value in zip(taken, given, strict=True)
    )


def _divided(a: Any, b: Any, rounding_mode: str | None = None) -> Any:
    if rounding_mode is None:
        return a / b
    return math.trunc(a / b) if rounding_mode == "trunc" else a // b


def _raised(message: object, *_: object) -> None:
    raise ValueError(message)


def _as_tensor(value: Any, dtype: Any = None, device: Any = None, *_: object) -> Tensor:
    return torch.tensor(value, dtype=None if dtype is None else _DTYPES[dtype], device=device)


def _with(value: list[Any], more: Any) -> list[Any]:
    value.append(more)
    return value


def _one_or_all(values: Any) -> Any:
    return values[0] if len(values) == 1 else values


def _same(value: Any, *_: object) -> Any:
    return value


_PLAIN: Mapping[str, Callable[..., Any]] = {
    "prim::ListConstruct": lambda *values: list(values),
    "prim::TupleConstruct": lambda *values: values,
    "prim::DictConstruct": lambda *values: dict(zip(values[::2], values[1::2], strict=True)),
    **dict.fromkeys(("prim::TupleUnpack", "prim::ListUnpack"), _one_or_all),
    "prim::TupleIndex": lambda values, number: values[number],
    "prim::RaiseException": _raised,
    "prim::Uninitialized": lambda: None,
    **dict.fromkeys(("prim::unchecked_cast", "prim::NumToTensor"), _same),
    **dict.fromkeys(("aten::ScalarImplicit", "aten::IntImplicit", "aten::FloatImplicit"), _same),
    **dict.fromkeys(("prim::Print", "aten::warn"), lambda *_: []),
    "prim::data": lambda x: x.detach(),
    "prim::dtype": lambda x: _DTYPES.index(x.dtype),
    "prim::device": lambda x: x.device,
    "prim::type": lambda device: device.type,
    "prim::layout": lambda x: 0,
    **dict.fromkeys(("prim::is_cuda", "prim::is_nested"), lambda x: False),
    **dict.fromkeys(("prim::requires_grad", "aten::is_grad_enabled"), lambda *_: True),  # as in eager code
    **dict.fromkeys(("aten::is_autocast_enabled", "aten::is_autocast_cpu_enabled"), lambda: False),
    "prim::min": min,
    "prim::max": max,
    "aten::size": lambda x, axis=None: list(x.shape) if axis is None else x.shape[axis],
    "aten::len": lambda x: x.shape[0] if isinstance(x, Tensor) else len(x),
    "aten::Int": lambda x: x if isinstance(x, torch.SymInt) else int(x),
    "aten::Float": float,
    "aten::Bool": bool,
    "aten::dim": lambda x: x.dim(),
    "aten::numel": lambda x: x.numel(),
    "aten::tensor": _as_tensor,
    "aten::append": _with,
    "aten::__getitem__": operator.getitem,
    "aten::_set_item": operator.setitem,
    "aten::__contains__": operator.contains,
    "aten::__is__": operator.is_,
    "aten::__isnot__": operator.is_not,
    "aten::__not__": operator.not_,
    "aten::__range_length": lambda low, high, step: max(0, -((low - high) // step)),
    "aten::__derive_index": lambda number, start, step: start + number * step,
    "aten::list": list,
    "aten::keys": list,
    "aten::format": lambda text, *values: text.format(*values),
}
"""Operations that do not depend on their arguments' types."""
_OF_OPERATOR = ("mul", "floordiv", "neg", "pow", "eq", "ne", "lt", "le", "gt", "ge")
_ON_NUMBERS: Mapping[str, Callable[..., Any]] = {
    **{f"aten::{name}": getattr(operator, name) for name in _OF_OPERATOR},
    **{f"aten::{name}": getattr(math, name) for name in ("fmod", "sqrt", "log", "exp", "floor", "ceil")},
    **{f"aten::{name}": getattr(builtins, name) for name in ("abs", "round", "min", "max", "str")},
    "aten::add": lambda a, b, alpha=1: a + b if isinstance(a, (list, str)) else a + b * alpha,
    "aten::sub": lambda a, b, alpha=1: a - b * alpha,
    "aten::div": _divided,
    "aten::floor_divide": operator.floordiv,
    "aten::remainder": operator.mod,
    "aten::__and__": operator.and_,
    "aten::__or__": operator.or_,
    "aten::slice": lambda values, *bounds: values[slice(*bounds)],
    "aten::copy": list,
}
"""Operations on numbers, texts and lists, done by Python: torch's own would fix symbolic sizes."""
