"""Progress of long work: a bar on a terminal, plain lines in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def shown_progress(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function of (done, total) that shows progress on standard error."""
    if sys.stderr.isatty():
        with tqdm(desc=what, unit=unit) as bar:

            def on_terminal(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            yield on_terminal
        return
    last = time.monotonic()
    started = last

    def in_log(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _SECONDS_BETWEEN_LINES or done == 0:
            return
        last = now
        left = (now - started) * (total - done) / done
        print(f"{what}: {done} of {total} {unit}s, about {left:.0f} s left", file=sys.stderr, flush=True)

    yield in_log
