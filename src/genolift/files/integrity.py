"""Whether a model's file is as it was written: its SHA-256 where the user says it, a zip archive's checksums.

torch looks at no checksum of an archive that it reads. Other forms than archives have none.
"""

from __future__ import annotations

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

from genolift.errors import InputError, refused_as
from genolift.files.whole import sha256

_LOG = logging.getLogger("genolift")
_BLOCK = 2**20
_UNPACKED_BYTES, _UNPACKED_SHARE = 2**28, 100
"""What an archive may unpack to: this many bytes, or this many times its own size; weights hardly shrink."""
MOST_JSON_BYTES = 2**26
"""Of the JSON in a model's file, which takes some 20 times as much memory; a large model has 2**24."""
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    OverflowError,
    MemoryError,
    struct_error,
)
"""What reading a damaged zip archive may raise."""


def check_file(path: Path, where: str, digest: str | None = None) -> None:
    """Check a model's file.

    Parameters
    ----------
    where
        The config's key, for errors.
    digest
        The SHA-256 that the user says that it has.

    Raises
    ------
    InputError
        If it has another SHA-256, or it is a zip archive of which a record's checksum is wrong, or that is
        damaged otherwise or unpacks to more than any model.
    """
    if digest is not None:
        check_sha256_of(sha256(path), digest, f"{where}: {path}")
    if is_archive(path):
        with _damage(path, where), zipfile.ZipFile(path) as archive:
            _check_sizes(archive, path, where)
            _check_records(archive, path, where)


def check_sha256_of(found: str, digest: str, where: str) -> None:
    """Raise `InputError` if a model has another SHA-256 than the user says."""
    if found != digest.lower():
        raise InputError(
            f"has the SHA-256 {found}, not {digest.lower()}",
            where=where,
            remedy="copy the file again, or give model.sha256 of this one",
        )


def is_archive(path: Path) -> bool:
    """Whether a file is a zip archive, by how it begins: the end of any other may look like an archive's."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


@contextmanager
def opened_archive(path: Path, where: str) -> Iterator[zipfile.ZipFile]:
    """Yield a zip archive whose records are read whatever their checksums, which `check_file` has looked at.

    Raises
    ------
    InputError
        If its list of records is damaged.
    """
    with _damage(path, where):
        archive = zipfile.ZipFile(path)
    with archive:
        for record in archive.infolist():
            _take_any_checksum(record)
        yield archive


def json_in(archive: zipfile.ZipFile, name: str) -> Any:
    """Return what a record of an archive holds as JSON.

    Raises
    ------
    ValueError
        If it is none, is deeper than any model's, or longer than `MOST_JSON_BYTES`.
    """
    if (size := archive.getinfo(name).file_size) > MOST_JSON_BYTES:
        raise ValueError(f"{name} has {size / 2**20:.0f} MiB, more than any model's")
    return parsed_json(archive.read(name))


def parsed_json(text: str | bytes) -> Any:
    """Return JSON that a model's file holds; errors as of `json_in`."""
    if len(text) > MOST_JSON_BYTES:
        raise ValueError(f"its JSON has {len(text) / 2**20:.0f} MiB, more than any model's")
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("its JSON is nested deeper than any model's") from error


def _damage(path: Path, where: str) -> AbstractContextManager[None]:
    def refusal(why: str) -> InputError:
        what = f"is no whole zip archive ({why[:120]})"
        return InputError(what, where=f"{where}: {path}", remedy="copy it again")

    return refused_as(refusal, DAMAGE)


def unpacked_bytes(archive: zipfile.ZipFile, path: Path) -> int:
    """Return how many bytes an archive unpacks to.

    Raises
    ------
    zipfile.BadZipFile
        If its records overlap, by which a small file unpacks to any size.
    """
    records = archive.infolist()
    if sum(record.compress_size for record in records) > path.stat().st_size:
        raise zipfile.BadZipFile("its records overlap")
    return sum(record.file_size for record in records)


def _check_sizes(archive: zipfile.ZipFile, path: Path, where: str) -> None:
    size, unpacked = path.stat().st_size, unpacked_bytes(archive, path)
    if unpacked > max(_UNPACKED_BYTES, _UNPACKED_SHARE * size):
        raise InputError(
            f"unpacks from {size / 2**20:.1f} MiB to {unpacked / 2**20:.0f} MiB, as no model does",
            where=f"{where}: {path}",
            remedy="get the file from where you trust it",
        )


def _check_records(archive: zipfile.ZipFile, path: Path, where: str) -> None:
    records = [record for record in archive.infolist() if record.file_size]
    wrong = [record for record in records if _checksum(archive, record) != record.CRC]
    if not wrong:
        return
    if not any(record.CRC for record in records):  # torch.serialization.set_crc32_options(False)
        _LOG.warning(
            "%s: %s: was written without checksums, so that damage to it is not seen; to have it seen, set "
            "model.sha256",
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
    _take_any_checksum(unchecked)  # zipfile would stop at the first that is wrong
    with archive.open(unchecked) as file:
        while block := file.read(_BLOCK):
            crc = zlib.crc32(block, crc)
    return crc


def _take_any_checksum(record: zipfile.ZipInfo) -> None:
    record.CRC = None  # type: ignore[assignment]  # what zipfile then compares with nothing
