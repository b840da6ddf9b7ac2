"""Functions compiled with numba, kept on disk between runs."""

from collections.abc import Callable
from typing import Any

import numba


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function with numba, kept on disk where any of numba's cache folders can be written to.

    Where none can, numba raises as the module is imported; then it is compiled anew in each run (seconds).
    The interpreter's lock is released while such a function runs.
    """

    def compile_it(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(cache=True, nogil=True, **options)(function)
        except RuntimeError:
            return numba.njit(nogil=True, **options)(function)

    return compile_it
