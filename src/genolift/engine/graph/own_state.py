"""torch's state while genolift computes: its own, whatever the caller's is.

`own_state`, which every public function enters, leaves what a thread has of its own: autocast, inference
mode, grad mode, default device. `process_settings` sets what is the whole process's, default dtype and the
precision of float32 products; calls that want the same share it, and others wait for them.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import product

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
def process_settings(
    dtype: torch.dtype, device: torch.device | None = None, *, tf32: bool = False
) -> Iterator[None]:
    """Make ``dtype`` the default and compute float32 products in full, or on a GPU in TF32.

    What only a GPU follows is set where ``device`` is one. Threads that ask for the same go on side by side,
    and the last of them sets back what the first found; one that asks for something else waits for them.
    Within another call of its own thread only the dtype is set.
    """
    if getattr(_HERE, "settled", False):
        with default_dtype(dtype):
            yield
        return
    gpu = device is not None and device.type == "cuda"
    _PROCESS.enter((dtype, gpu, gpu and tf32))
    _HERE.settled = True
    try:
        yield
    finally:
        _HERE.settled = False
        _PROCESS.leave()


_Settings = tuple[torch.dtype, bool, bool]
"""The default dtype, whether a GPU computes, and whether in TF32."""


class _Process:
    """What is set for the whole process, and how many threads rely on it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._threads = 0
        self._settings: _Settings | None = None
        self._found = ExitStack()

    def enter(self, settings: _Settings) -> None:
        """Wait until the settings are free or the same, and set them."""
        with self._changed:
            self._changed.wait_for(lambda: self._threads == 0 or self._settings == settings)
            if self._threads == 0:
                with ExitStack() as found:  # all are set, or none
                    found.enter_context(default_dtype(settings[0]))
                    _set_float32_products(found, gpu=settings[1], tf32=settings[2])
                    self._found = found.pop_all()
                self._settings = settings
            self._threads += 1

    def leave(self) -> None:
        """Set back what was found, if no other thread relies on the settings."""
        with self._changed:
            self._threads -= 1
            if self._threads == 0:
                self._found.close()
            self._changed.notify_all()


_OPERATIONS = "matmul", "conv", "rnn"


def _set_float32_products(found: ExitStack, *, gpu: bool, tf32: bool) -> None:
    """Set how products of float32 are computed, and tell ``found`` how to set it back.

    Of a CPU, that is oneDNN's settings; nothing of a GPU's is touched there.
    """
    backends = ("mkldnn", "cuda") if gpu else ("mkldnn",)
    for backend, operation in product(backends, _OPERATIONS):
        before = float32_precision(backend, operation)
        if gpu or before not in ("ieee", "none"):
            # What follows the backend's own setting, or that of all, is set back to follow it; cuDNN's are
            # "tf32" where nothing is set.
            cudnn = backend == "cuda" and operation != "matmul"
            follows = not cudnn and before == float32_precision(backend, "all")
            found.callback(set_float32_precision, backend, operation, "none" if follows else before)
            set_float32_precision(backend, operation, "ieee")
    if gpu:
        _set_as_of_old(found, tf32)
        for operation in _OPERATIONS:
            set_float32_precision("mkldnn", operation, "ieee")
            set_float32_precision("cuda", operation, "tf32" if tf32 else "ieee")


def _set_as_of_old(found: ExitStack, tf32: bool) -> None:
    """Set the precision of products in torch's older way too, while the newer says "ieee" of all.

    CUDA's part of torch still reads it, and raises where the two disagree, as where the user set but one.
    """
    found.callback(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision())
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    try:
        before = torch.backends.cudnn.allow_tf32
    except RuntimeError:  # it is true, which disagrees with "ieee"
        before = True
    found.callback(setattr, torch.backends.cudnn, "allow_tf32", before)
    torch.backends.cudnn.allow_tf32 = tf32


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
