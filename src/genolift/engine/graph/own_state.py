"""torch's state while genolift computes: its own, whatever the caller's is.

`own_state`, which every public function enters, leaves what a thread has of its own: autocast, inference
mode, grad mode, default device. `process_settings` sets what is the whole process's, default dtype and the
precision of float32 products; calls that want the same share it, and others wait for them.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch

from genolift.engine.torch_internals import float32_precision, set_float32_precision

_AUTOCAST = ("cpu", "cuda", "mps", "xpu")


@contextmanager
def own_state() -> Iterator[None]:
    """Leave the caller's autocast, inference mode, grad mode and default device for the time of a call.

    As a decorator, ``@own_state()``, it does so for each call of a function.
    """
    with ExitStack() as left:
        for kind in _AUTOCAST:
            if torch.is_autocast_enabled(kind):
                left.enter_context(torch.autocast(kind, enabled=False))
        if torch.is_inference_mode_enabled():
            left.enter_context(torch.inference_mode(False))
        left.enter_context(torch.enable_grad())
        if torch.get_default_device().type != "cpu":
            left.enter_context(torch.device("cpu"))
        yield


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Compute in ``dtype`` what is made from whole numbers, or without saying in what.

    The default is the whole process's: where threads compute, it is set around them all.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def process_settings(dtype: torch.dtype, *, tf32: bool = False) -> Iterator[None]:
    """Make ``dtype`` the default and compute float32 products in full, or on a GPU in TF32.

    Threads that ask for the same go on side by side, and the last of them sets back what the first found; one
    that asks for something else waits for them. Within another call of its own thread only the dtype is set.
    """
    if getattr(_HERE, "settled", False):
        with default_dtype(dtype):
            yield
        return
    _PROCESS.enter(dtype, tf32)
    _HERE.settled = True
    try:
        yield
    finally:
        _HERE.settled = False
        _PROCESS.leave()


class _Process:
    """What is set for the whole process, and how many threads rely on it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._threads = 0
        self._settings: tuple[torch.dtype, bool] | None = None
        self._found = ExitStack()

    def enter(self, dtype: torch.dtype, tf32: bool) -> None:
        """Wait until the settings are free or the same, and set them."""
        with self._changed:
            self._changed.wait_for(lambda: self._threads == 0 or self._settings == (dtype, tf32))
            if self._threads == 0:
                with ExitStack() as found:  # all are set, or none
                    found.enter_context(default_dtype(dtype))
                    _set_float32_products(tf32, found)
                    self._found = found.pop_all()
                self._settings = dtype, tf32
            self._threads += 1

    def leave(self) -> None:
        """Set back what was found, if no other thread relies on the settings."""
        with self._changed:
            self._threads -= 1
            if self._threads == 0:
                self._found.close()
            self._changed.notify_all()


# What others follow where they have no setting of their own comes first.
_OF_ALL = ("generic", "all"), ("cuda", "all"), ("mkldnn", "all")
_OF_GPU = ("cuda", "matmul"), ("cuda", "conv"), ("cuda", "rnn")
_OF_CPU = ("mkldnn", "matmul"), ("mkldnn", "conv"), ("mkldnn", "rnn")


def _set_float32_products(tf32: bool, found: ExitStack) -> None:
    """Set how products of float32 are computed, and tell ``found`` how to set it back.

    torch has an older and a newer way to say it, and raises where what one has set is read by the other.
    """
    wanted: Any = "high" if tf32 else "highest"
    with suppress(RuntimeError):  # where the newer way was taken
        matmul: Any = torch.get_float32_matmul_precision()
        if matmul != wanted:
            found.callback(torch.set_float32_matmul_precision, matmul)
            torch.set_float32_matmul_precision(wanted)
    with suppress(RuntimeError):
        convolution = torch.backends.cudnn.allow_tf32
        if convolution != tf32:
            found.callback(setattr, torch.backends.cudnn, "allow_tf32", convolution)
            torch.backends.cudnn.allow_tf32 = tf32
    full = ("tf32",) if tf32 else ("ieee", "none")
    for backend, operation in _OF_GPU if tf32 else (*_OF_ALL, *_OF_GPU, *_OF_CPU):
        before = float32_precision(backend, operation)
        if before not in full:
            found.callback(set_float32_precision, backend, operation, before)
            set_float32_precision(backend, operation, full[0])


@contextmanager
def one_capture_at_a_time() -> Iterator[None]:
    """Wait until no other thread captures or tries a model: torch.export is for one thread at a time.

    Enter `process_settings` first where both are needed: two threads would else wait for each other.
    """
    with _CAPTURING:
        yield


_HERE = threading.local()
_PROCESS = _Process()
_CAPTURING = threading.RLock()


def _anew_in_a_child() -> None:
    """Forget, in a forked process, what threads that it does not have hold."""
    global _PROCESS, _CAPTURING
    _PROCESS, _CAPTURING, _HERE.settled = _Process(), threading.RLock(), False


os.register_at_fork(after_in_child=_anew_in_a_child)
