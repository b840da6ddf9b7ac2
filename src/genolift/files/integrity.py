"""Whether a model's file is undamaged, by a SHA-256 that the user gives and a zip archive's own checksums.

torch ignores the checksums of the archives that it reads. Other formats have none.
"""

import copy
import json
import logging
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from struct import error as struct_error
from typing import Any

from genolift.errors import InputError, Refusal, refused_as
from genolift.files.whole import sha256

_LOG = logging.getLogger("genolift")
_BLOCK = 2**20
_UNPACKED_BYTES, _UNPACKED_SHARE = 2**28, 100
"""The largest expansion of an archive: to this many bytes or times its size; weights hardly compress."""
MOST_JSON_BYTES = 2**26
"""Parsed, JSON takes some 20 times as much memory; a large model's has 2**24 bytes."""
DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct_error, NotImplementedError),
    *(OSError, EOFError, RuntimeError, ValueError, OverflowError, MemoryError),
)
"""What reading a damaged zip archive may raise."""


def check_file(path: Path, where: str, digest: str | None = None) -> None:
    """Check a model's file.

    Parameters
    ----------
    where
        The config's key, for errors.
    digest
        The SHA-256 that the user says it has.

    Raises
    ------
    InputError
        If it has another SHA-256, or is a zip archive that is damaged, has a record with a wrong checksum,
        or expands to more than any model would.
    """
    if digest is not None:
        check_sha256_of(sha256(path), digest, f"{where}: {path}")
    if is_archive(path):
        with _damage(path, where), zipfile.ZipFile(path) as archive:
            size, unpacked = path.stat().st_size, unpacked_bytes(archive, path)
            if unpacked > max(_UNPACKED_BYTES, _UNPACKED_SHARE * size):
                raise InputError(
                    f"unpacks from {size / 2**20:.1f} MiB to {unpacked / 2**20:.0f} MiB, more than any model "
                    "would",
                    where=f"{where}: {path}",
                    remedy="get the file from a source that you trust",
                )
            _check_records(archive, path, where)


def check_sha256_of(found: str, digest: str, where: str) -> None:
    """Raise `InputError` if a model's SHA-256 is not the one that the user gave."""
    if found != digest.lower():
        raise InputError(
            f"has the SHA-256 {found}, not {digest.lower()}",
            where=where,
            remedy="copy the file again, or give model.sha256 of this one",
        )


def is_archive(path: Path) -> bool:
    """Whether a file is a zip archive, by its first bytes: any file's end may look like an archive's."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


@contextmanager
def opened_archive(path: Path, where: str) -> Iterator[zipfile.ZipFile]:
    """Yield a zip archive to read without checking checksums again, as `check_file` has checked them.

    Raises
    ------
    InputError
        If its directory is damaged.
    """
    with _damage(path, where):
        archive = zipfile.ZipFile(path)
    with archive:
        for record in archive.infolist():
            _take_any_checksum(record)
        yield archive


def json_in(archive: zipfile.ZipFile, name: str) -> Any:
    """Return the JSON value in a record of an archive.

    Raises
    ------
    ValueError
        If it is not JSON, is nested deeper than any model's, or is longer than `MOST_JSON_BYTES`.
    """
    if (size := archive.getinfo(name).file_size) > MOST_JSON_BYTES:
        raise ValueError(f"{name} has {size / 2**20:.0f} MiB, more than any model's")
    return parsed_json(archive.read(name))


def parsed_json(text: str | bytes) -> Any:
    """Return the value of JSON from a model's file; errors as in `json_in`."""
    if len(text) > MOST_JSON_BYTES:
        raise ValueError(f"its JSON has {len(text) / 2**20:.0f} MiB, more than any model's")
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("its JSON is nested deeper than any model's") from error


def _damage(path: Path, where: str) -> AbstractContextManager[None]:
    refusal = Refusal("is not a complete zip archive", f"{where}: {path}", "copy it again")
    return refused_as(refusal, DAMAGE)


def unpacked_bytes(archive: zipfile.ZipFile, path: Path) -> int:
    """Return how many bytes an archive expands to.

    Raises
    ------
    zipfile.BadZipFile
        If its records overlap, so that a small file could expand to any size.
    """
    records = archive.infolist()
    if sum(record.compress_size for record in records) > path.stat().st_size:
        raise zipfile.BadZipFile("its records overlap")
    return sum(record.file_size for record in records)


def _check_records(archive: zipfile.ZipFile, path: Path, where: str) -> None:
    records = [record for record in archive.infolist() if record.file_size]
    wrong = [record for record in records if _checksum(archive, record) != record.CRC]
    if not wrong:
        return
    if not any(record.CRC for record in records):  # torch.serialization.set_crc32_options(False)
        _LOG.warning(
            "%s: %s: was written without checksums, so damage to it would go unnoticed; set model.sha256 to "
            "have it checked",
            *(where, path),
        )
        return
    raise InputError(
        f"is damaged: the checksum of {wrong[0].filename} is wrong"
        + (f", and of {len(wrong) - 1} more records" if len(wrong) > 1 else ""),
        where=f"{where}: {path}",
        remedy="copy it again",
    )


def _checksum(archive: zipfile.ZipFile, record: zipfile.ZipInfo) -> int:
    unchecked, crc = copy.copy(record), 0
    _take_any_checksum(unchecked)  # else zipfile would stop at the first wrong one
    with archive.open(unchecked) as file:
        while block := file.read(_BLOCK):
            crc = zlib.crc32(block, crc)
    return crc


def _take_any_checksum(record: zipfile.ZipInfo) -> None:
    record.CRC = None  # type: ignore[assignment]  # so zipfile compares nothing
