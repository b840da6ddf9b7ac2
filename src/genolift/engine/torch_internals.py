"""What genolift relies on that torch, and the C library under it, do not promise.

Everything that is private to torch, patched in it or read off its error messages stands here and nowhere
else. tests/engine/test_torch_internals.py says in words which of it a torch release has changed.
"""

import ctypes
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch._C import _dispatch_get_all_op_names as every_operation
from torch._C import _dispatch_has_kernel_for_dispatch_key, parse_schema
from torch._C import _get_fp32_precision_getter as float32_precision
from torch._C import _jit_pass_inline as inline_calls
from torch._C import _set_fp32_precision_setter as set_float32_precision
from torch._decomp import get_decompositions
from torch._ops import OpOverload, OpOverloadPacket
from torch.autograd.graph import _engine_run_backward
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map_only, tree_unflatten

__all__ = [
    "OpOverload",
    "OpOverloadPacket",
    "every_operation",
    "float32_precision",
    "get_decompositions",
    "inline_calls",
    "parse_schema",
    "set_float32_precision",
    "tree_flatten",
    "tree_leaves",
    "tree_map_only",
    "tree_unflatten",
]

# Operations -------------------------------------------------------------------------------------------


def packet_name(operation: OpOverload) -> str:
    """Return "convolution" for ``aten.convolution.default``."""
    return operation._opname


def schema_of(target: Any) -> Any:
    """Return the schema of an operation of torch: its name, arguments and returns; None of anything else."""
    return getattr(target, "_schema", None)


def in_place(operation: Any) -> OpOverload | None:
    """Return the form of an operation that puts its result in its first argument: relu_ of relu."""
    if not isinstance(operation, OpOverload):
        return None
    packet = getattr(torch.ops.aten, f"{packet_name(operation)}_", None)
    found = getattr(packet, operation._overloadname, None)
    if found is None:
        return None
    takes, also = ([str(each.type) for each in schema_of(one).arguments] for one in (operation, found))
    return found if takes == also else None


def is_composed_of_others(full_name: str) -> bool:
    """Whether torch implements an operation ("aten::name.overload") by calling other operations."""
    return bool(_dispatch_has_kernel_for_dispatch_key(full_name, "CompositeImplicitAutograd"))


def recurrent_function(name: str) -> Callable[..., Any]:
    """Return the function that ``torch.nn`` calls for a recurrent layer, such as "lstm"."""
    function: Callable[..., Any] = getattr(torch._VF, name)
    return function


def gradients(result: Tensor, leaves: Sequence[Tensor], a: Tensor, *, again: bool) -> tuple[Tensor, ...]:
    """Return what `torch.autograd.grad` does of ``a``, of the result's shape; ``again`` to ask it again.

    torch's own function imports sympy for it, which takes 0.5 s where nothing was traced. It is asked for
    tensors of a subclass, which may have functions of their own.
    """
    if torch.overrides.has_torch_function((result, a, *leaves)):
        return torch.autograd.grad(result, list(leaves), a, retain_graph=again)
    found: tuple[Tensor, ...] = _engine_run_backward(
        (result,), (a,), again, False, tuple(leaves), False, accumulate_grad=False
    )
    return found


# Modules ----------------------------------------------------------------------------------------------


def before_compiling(module: nn.Module) -> nn.Module | None:
    """Return the module that ``torch.compile`` was given; None if ``module`` is not what it returned."""
    return getattr(module, "_orig_mod", None)


def hooks_of_all() -> dict[str, dict[int, Callable[..., Any]]]:
    """Return the forward hooks that were registered for all modules, by kind; empty where there are none."""
    hooks = vars(torch.nn.modules.module)
    return {name: dict(hooks[name]) for name in hooks if name.startswith("_global_forward") and hooks[name]}


def replace_tensors(module: nn.Module, replacement: Callable[[Tensor], Tensor]) -> None:
    """Replace all parameters and buffers. `Module.to` would make complex buffers real."""
    module._apply(replacement)


# Symbolic sizes ---------------------------------------------------------------------------------------


def formula(size: Any) -> Any:
    """Return a size as a sympy expression, which can be compared without fixing it; a number as it is."""
    return size if isinstance(size, int) else size.node.expr


def is_fixed(size: Any) -> bool:
    """Whether a size is a number. A symbolic one may turn out to be, when a later layer's weights fix it."""
    return isinstance(size, int) or bool(formula(size).is_Integer)


def is_known_from_values_alone(size: Any) -> bool:
    """Whether a symbolic size depends on values, as that of ``nonzero`` does: torch calls it u0, u1, ..."""
    return any(str(symbol).startswith("u") for symbol in formula(size).free_symbols)


# While a model is traced ------------------------------------------------------------------------------


@contextmanager
def _replaced(holder: Any, name: str, replacement: Any) -> Iterator[None]:
    """Replace an attribute for a time; where a release of torch has no such attribute, do nothing."""
    found = getattr(holder, name, None)
    if found is None:
        yield
        return
    setattr(holder, name, replacement)
    try:
        yield
    finally:
        setattr(holder, name, found)


def whole_traces() -> Any:
    """Keep, while a model is traced, the lines of the functions that its forward calls.

    torch keeps those of methods called ``forward`` only, and would name the line that calls a function in
    place of the function's own.
    """

    def from_forward_on(self: Any, summary: traceback.StackSummary) -> traceback.StackSummary:
        starts = [number for number, frame in enumerate(summary) if frame.name == "forward"]
        return traceback.StackSummary.from_list(summary[starts[0] :] if starts else [])

    return _replaced(torch.fx.proxy.TracerBase, "_filter_traceback_frames", from_forward_on)


def masks_as_they_are() -> Any:
    """Keep torch's transformers from reading a mask's values to find out whether it is causal."""

    def as_said(mask: Tensor | None, is_causal: bool | None = None, size: int | None = None) -> bool:
        return is_causal is True

    return _replaced(torch.nn.modules.transformer, "_detect_is_causal_mask", as_said)


@contextmanager
def no_autocast() -> Iterator[None]:
    """Ignore, in this thread, the autocast in a model's own forward."""
    kind: Any = torch.amp.autocast_mode.autocast
    enter, leave, here = kind.__enter__, kind.__exit__, threading.get_ident()

    def entered(self: Any) -> Any:
        return self if threading.get_ident() == here else enter(self)

    def left(self: Any, *error: Any) -> Any:
        return None if threading.get_ident() == here else leave(self, *error)

    with _replaced(kind, "__enter__", entered), _replaced(kind, "__exit__", left):
        yield


@contextmanager
def precision_left_alone() -> Iterator[None]:
    """Keep torch.export from touching the precision of products as it switches backends off for a time.

    It reads it in torch's older way, which raises where the user set it in the newer, and sets back more than
    it found.
    """

    def switching(name: str) -> Callable[..., tuple[bool]]:
        read, switch = (getattr(torch._C, f"_{verb}_{name}_enabled") for verb in ("get", "set"))

        def set_flags(enabled: bool, *more: Any) -> tuple[bool]:
            before = read()
            switch(enabled)
            return (before,)

        return set_flags

    cudnn, mkldnn = torch.backends.cudnn, torch.backends.mkldnn
    with (
        _replaced(cudnn, "set_flags", switching("cudnn")),
        _replaced(mkldnn, "set_flags", switching("mkldnn")),
    ):
        yield


# What only an error's message tells -------------------------------------------------------------------


def says_rows_are_fixed(error: BaseException) -> bool:
    """Whether torch.export could not leave the number of rows free."""
    return "Constraints violated" in str(error)


def says_generator(error: BaseException) -> bool:
    """Whether torch.export could not trace a ``torch.Generator``."""
    return "torch._C.Generator" in str(error)


def says_devices_differ(error: BaseException) -> bool:
    """Whether a model could not be run because its forward puts something on another device than the rest."""
    return "cuda" in str(error) or "device" in str(error)


_EXHAUSTED = (
    "can't allocate memory",  # torch, on the host
    "CUDA error: out of memory",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "unable to find an engine",  # cuDNN, where none has the room that it works in
)


def says_memory_is_exhausted(error: BaseException) -> bool:
    """Whether there was not enough memory, of the host or of a device."""
    return isinstance(error, torch.OutOfMemoryError) or any(each in str(error) for each in _EXHAUSTED)


# Memory of the host -----------------------------------------------------------------------------------

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_FROM_HEAP = 32 * 2**20
_KEPT_FREE = 512 * 2**20


def keep_freed_memory() -> None:
    """Let the C library keep up to 512 MiB of what each thread freed for its next allocations.

    By default it gives a batch's values back to the system, which hands them out again page by page, cleared:
    up to a quarter of the time of a batch (benchmarks/README.md). The C library itself raises both limits as
    larger blocks are freed (mallopt(3), M_MMAP_THRESHOLD), so they are left as they are set. A thread never
    holds more than its largest batch took, which a budget counts (budget.py). Does nothing where it is not
    glibc.
    """
    library = glibc()
    if library is not None:
        library.mallopt(_M_MMAP_THRESHOLD, _LARGEST_FROM_HEAP)
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT_FREE)


def give_back_freed_memory() -> None:
    """Give back to the system what was freed and kept for the next allocations (milliseconds)."""
    library = glibc()
    if library is not None:
        library.malloc_trim(0)


@cache
def glibc() -> Any:
    """Return the C library; None if it is another than glibc."""
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018 - raises where the library is another
    except (AttributeError, OSError, TypeError):
        return None
    return library
