"""Room on disk for what a step writes in one order and reads in another, and memory has no room for."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genolift.files.whole import make_folder, write_errors


class Scratch:
    """A file without a name, in the folder of an output: it is gone when it is closed or its process ends.

    Bytes that were not written are zero, and take no room on most file systems.
    """

    def __init__(self, descriptor: int, output: Path) -> None:
        self._descriptor, self._output = descriptor, output

    def write(self, start: int, content: bytes | memoryview) -> None:
        """Write bytes at a place; a full disk is an `InputError` that names the output."""
        rest = memoryview(content)
        try:
            while len(rest):  # a disk that fills up accepts a part first
                written = os.pwrite(self._descriptor, rest, start)
                start, rest = start + written, rest[written:]
        except OSError:
            with write_errors(self._output):
                raise

    def read(self, start: int, size: int) -> bytes:
        """Return the bytes at a place, fewer if the file ends before."""
        parts = []
        while size and (part := os.pread(self._descriptor, size, start)):
            parts.append(part)
            start, size = start + len(part), size - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


@contextmanager
def scratch_beside(output: Path) -> Iterator[Scratch]:
    """Yield a scratch file in the folder of an output.

    Raises
    ------
    InputError
        If the folder cannot be made or written to.
    """
    folder = make_folder(output.parent)
    with write_errors(output):
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
    with file:
        yield Scratch(file.fileno(), output)
