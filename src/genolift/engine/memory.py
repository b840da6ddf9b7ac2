"""Memory of the host between batches. Knows nothing of what is computed."""

from __future__ import annotations

import ctypes
from functools import cache

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_MAPPED = 32 * 2**20
_KEPT_FREE = 512 * 2**20


@cache
def keep_freed_memory() -> None:
    """Let the C library keep up to 512 MiB of freed memory for the process's next allocations.

    By default it gives a batch's values back to the system, which hands them out again page by page, cleared:
    up to a quarter of the time of a batch (benchmarks/README.md). The C library itself raises both limits as
    larger blocks are freed (mallopt(3), M_MMAP_THRESHOLD), so they are left as they are set. Does nothing
    where it is not glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
        ctypes.CDLL(None).gnu_get_libc_version  # noqa: B018 - raises where the library is another
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGEST_MAPPED)
    mallopt(_M_TRIM_THRESHOLD, _KEPT_FREE)
