"""How many windows an analysis will have, estimated from the beginnings and sizes of its files."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from genolift.settings.sections import Sequences

_SAMPLE = 2**16
"""Bytes that are read of a file."""
_GZIP = b"\x1f\x8b"
_UNPACKED = 4.5
"""Bases in a byte of a compressed genome, at most."""
_NO_INTERVAL = (b"#", b"track", b"browser")


def estimated_windows(source: Sequences, length: int | None) -> float:
    """Return about how many windows, or records, a source has, those that will be dropped too.

    ``length`` is that of a window in bases, where it is known. A file that is not there has none.
    """
    if source.fasta is not None:
        return estimated_records(source.fasta)
    if source.bed is not None:
        lines, share = _beginning(source.bed)
        return sum(bool(line.strip()) and not line.startswith(_NO_INTERVAL) for line in lines) / share
    stride = (source.tile.stride if source.tile is not None else None) or length
    return 1e6 * megabases(str(source.genome)) / stride if stride else 0


def estimated_records(fasta: str) -> float:
    """Return about how many records a FASTA has."""
    lines, share = _beginning(fasta)
    return sum(line.startswith(b">") for line in lines) / share


def megabases(fasta: str) -> float:
    """Return about how many million bases a FASTA has, by its index or at most by its size."""
    index = Path(f"{fasta}.fai")
    try:
        lengths = [int(line.split("\t")[1]) for line in index.read_text(encoding="utf-8").splitlines()]
        return sum(lengths) / 1e6
    except (OSError, ValueError, IndexError):
        pass
    try:
        return Path(fasta).stat().st_size / 1e6 * (_UNPACKED if fasta.endswith((".gz", ".bgz")) else 1)
    except OSError:
        return 0


def estimated_rows(table: Path) -> tuple[float, int]:
    """Return about how many rows a table of ours has, and the last ``length`` that it says; 0 for none."""
    (header, *rows), share = _beginning(table)
    names = header.rstrip(b"\n").split(b"\t")
    lengths = [row.split(b"\t")[names.index(b"length")] for row in rows] if b"length" in names else []
    return len(rows) / share, next((int(each) for each in reversed(lengths) if each.isdigit()), 0)


def _beginning(path: str | os.PathLike[str]) -> tuple[list[bytes], float]:
    """Return the first lines of a file that are whole, one at least, and their share of the file."""
    try:
        size = Path(path).stat().st_size
        with Path(path).open("rb") as file:
            start = file.read(_SAMPLE)
        text = _unpacked(start) if start.startswith(_GZIP) else start
    except (OSError, zlib.error):
        return [b""], 1.0
    share = min(1.0, len(start) / max(1, size))
    lines = text.splitlines(keepends=True) or [b""]
    if share < 1 and len(lines) > 1:
        share *= 1 - len(lines.pop()) / len(text)
    return lines, share


def _unpacked(start: bytes) -> bytes:
    """Return the text of the beginning of a gzip file, whose members may be many, as in BGZF."""
    parts = []
    while start.startswith(_GZIP):
        member = zlib.decompressobj(31)
        parts.append(member.decompress(start))
        start = member.unused_data
    return b"".join(parts)
