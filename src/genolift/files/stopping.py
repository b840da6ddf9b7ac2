"""How signals stop a run: at once, and without anything incomplete under a final name.

A command exits inside the signal handler (`ended_by_signals`): an exception raised there could be lost by C
or C++ code that calls Python, or make it abort the process. When a Python caller's own handler raises
KeyboardInterrupt, `nothing_lost` and `signals_wait` make sure that it is not lost while a file is written.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from types import CodeType, FrameType
from typing import Any

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_PATIENCE = 10.0
"""Seconds after which the process is ended although its main thread is still in C code."""
_SOON = 0.02
"""Seconds after which a signal that could not be handled is sent again."""


class _Run:
    """The command that this process runs, and whether a signal may end it at the moment."""

    def __init__(self) -> None:
        self.is_on = False
        self.holds = 0
        self.stopped_by: int | None = None
        self.last_words: Callable[[int], None] = lambda signum: None

    def take(self, signum: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.stopped_by is None:
            self.stopped_by = signum
        if not self.holds:
            self.end()

    def end(self) -> None:
        assert self.stopped_by is not None
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, RuntimeError):  # the signal may have interrupted a write to it
                stream.flush()
        self.last_words(self.stopped_by)
        os._exit(128 + self.stopped_by)


_run = _Run()
_AGAIN = threading.Lock()
"""Held while deciding whether to send a signal again, which must not happen once its handler is gone."""


@contextmanager
def ended_by_signals(last_words: Callable[[int], None]) -> Iterator[None]:
    """End the process with exit code 128 + the signal if SIGINT, SIGTERM or SIGHUP arrives in the block.

    ``last_words`` is called with the signal first; nothing else runs, not even ``finally`` blocks. A signal
    that is ignored when the block begins (because of ``nohup``, or a shell's background job) stays ignored.
    If the main thread is in C code and does not return within ten seconds, another thread ends the process.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    _run.is_on, _run.stopped_by, _run.last_words = True, None, last_words
    before = {each: signal.getsignal(each) for each in SIGNALS}
    taken = {each: handler for each, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    try:
        with _watched():
            for each in taken:
                signal.signal(each, _run.take)
            yield
    finally:
        _run.is_on = False
        for each, handler in taken.items():
            signal.signal(each, handler)


@contextmanager
def not_ended() -> Iterator[None]:
    """Make a signal wait until the end of the block, whose steps belong together."""
    _run.holds += 1
    try:
        yield
    finally:
        _run.holds -= 1
        if not _run.holds and _run.is_on and _run.stopped_by is not None:
            _run.end()


@contextmanager
def _watched() -> Iterator[None]:
    """End the process from another thread if the main thread does not do it in time.

    That thread learns of a signal at once, whereas Python's handlers wait until C code returns.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    ended = threading.Event()

    def watch() -> None:
        while signals := os.read(reading, 1):
            while signals[0] in SIGNALS and not ended.wait(_PATIENCE):
                _run.stopped_by = _run.stopped_by or signals[0]
                if not _run.holds:
                    _run.end()

    thread = threading.Thread(target=watch, name="genolift-signals", daemon=True)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        signal.set_wakeup_fd(before)
        os.close(writing)
        thread.join()
        os.close(reading)


class _Fork:
    """Fork hooks that restore default signals in a worker, so that ending it does not end its parent's run.

    Signals are blocked during the fork.
    """

    def before(self) -> None:
        self.mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)

    def in_parent(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)

    def in_child(self) -> None:
        if _run.is_on:
            _run.is_on = False
            signal.set_wakeup_fd(-1)
            for each in SIGNALS:
                if signal.getsignal(each) == _run.take:
                    signal.signal(each, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)


_fork = _Fork()
os.register_at_fork(before=_fork.before, after_in_parent=_fork.in_parent, after_in_child=_fork.in_child)


class _Blocks:
    """The open blocks of `nothing_lost`, in all threads, and the exception that each of them lost."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.open: list[list[BaseException]] = []
        self.before: Callable[[Any], Any] = sys.__unraisablehook__

    def add(self, lost: list[BaseException]) -> None:
        with self.lock:
            if not self.open:
                self.before, sys.unraisablehook = sys.unraisablehook, self.keep
            self.open.append(lost)

    def remove(self, lost: list[BaseException]) -> None:
        with self.lock:
            self.open = [each for each in self.open if each is not lost]
            if not self.open and sys.unraisablehook == self.keep:
                sys.unraisablehook = self.before

    def keep(self, unraisable: Any) -> None:
        """Keep an exception that ends a program or reports a lack of memory; pass others on."""
        error = unraisable.exc_value
        if isinstance(error, (Exception, GeneratorExit, type(None))) and not isinstance(error, MemoryError):
            self.before(unraisable)
            return
        for each in self.open:
            each.append(error)


_blocks = _Blocks()


@contextmanager
def nothing_lost() -> Iterator[None]:
    """Raise, when the block ends, an exception that was raised in it but could not propagate.

    C code that calls Python code (HDF5 drivers, FreeType, destructors) cannot propagate exceptions: Python
    prints them, and the program goes on with that code's work undone. Those that end a program, such as
    KeyboardInterrupt, and MemoryError are raised here; other errors in destructors are still only printed.
    """
    lost: list[BaseException] = []
    _blocks.add(lost)
    try:
        yield
        if lost:
            raise lost[0]
    finally:
        _blocks.remove(lost)


@contextmanager
def signals_wait(callbacks: Collection[CodeType]) -> Iterator[None]:
    """Within the block, make signals wait while one of the ``callbacks`` runs, which C code calls.

    If a handler raised there, as Python's own does for SIGINT, the exception would be lost or the C code left
    half-way. A waiting signal is handled before the block ends.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # no other thread handles signals
        return
    waiting: list[int] = []
    handlers: dict[int, Any] = {}

    def handle(signum: int, frame: FrameType | None) -> None:
        if _is_in(frame, callbacks):
            waiting.append(signum)
            _try_again(signum, lambda: signum in waiting)
        else:
            waiting.clear()
            handlers[signum](signum, frame)

    try:
        for each in signal.valid_signals():
            handler = signal.getsignal(each)
            if callable(handler):
                handlers[each] = handler
                signal.signal(each, handle)
        yield
    finally:
        with _AGAIN:
            left = list(waiting)
            waiting.clear()
        for signum, handler in handlers.items():
            if signal.getsignal(signum) == handle:
                signal.signal(signum, handler)
        for signum in left:
            handlers[signum](signum, sys._getframe())


def _is_in(frame: FrameType | None, callbacks: Collection[CodeType]) -> bool:
    while frame is not None:
        if frame.f_code in callbacks:
            return True
        frame = frame.f_back
    return False


def _try_again(signum: int, still: Callable[[], bool]) -> None:
    """Make the main thread handle a signal again, soon, if it is ``still`` needed."""
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        with _AGAIN:
            if still():
                signal.pthread_kill(main, signum)

    timer = threading.Timer(_SOON, interrupt)
    timer.daemon = True
    timer.start()
