"""Random changes to bytes and to lines of text, independent of the format."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from functools import cache
from random import Random

Change = Callable[[bytes, Random], bytes]

INTEGERS = (
    *(0, 1, 2, 3, 4, 7, 8, 16, 64, 100, 127, 128, 255, 256, 1000, 32767, 32768, 65535, 65536, 10**6),
    *(2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**46, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1),
)
WORDS = (
    *("0", "-1", "1", "-0", "+5", "007", "1.0", "1e3", "1e999", "nan", "NaN", "inf", "-inf", "NA", ".", "-"),
    *("9223372036854775807", "9223372036854775808", "99999999999999999999999", "0x10", "1_000", "²", "٣"),
    *(
        "",
        " ",
        "\t",
        "\t\t",
        "#",
        ">",
        "'",
        '"',
        "\\",
        "\0",
        "\x1b[31m",
        "\x85",
        "\u2028",
        "\u202e",
        "\ufeff",
    ),
    *(
        "é",
        "日本",
        "\ud7ff",
        "\r",
        "\v",
        "\f",
        "\x1c",
        "\xa0",
        "A" * 300,
        "chr1",
        "track",
        "MOTIF",
        "true",
        "null",
    ),
    *(
        "summit=5",
        "N",
        "u",
        "*",
        "~",
        "[",
        "{",
        "&a",
        "*a",
        "!!python/object:os.system",
        "---",
        "...",
        "%",
        "|",
    ),
)
ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp037")
_LARGEST = 2**22
"""Bytes of a case: a larger one shows nothing new and takes as long as many."""


def flip_bits(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 8))):
        if changed:
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def set_bytes(data: bytes, random: Random) -> bytes:
    start, stop = _range(data, random, 16)
    filling = random.choice((b"\0", b"\xff", b"\n", random.randbytes(1)))
    return data[:start] + filling * (stop - start) + data[stop:]


def truncate(data: bytes, random: Random) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] if random.random() < 0.8 else data[at:]


def delete_range(data: bytes, random: Random) -> bytes:
    start, stop = _range(data, random, 64)
    return data[:start] + data[stop:]


def duplicate_range(data: bytes, random: Random) -> bytes:
    start, stop = _range(data, random, 256)
    return data[:stop] + data[start:stop] * random.choice((1, 1, 2, 50)) + data[stop:]


def move_range(data: bytes, random: Random) -> bytes:
    start, stop = _range(data, random, 256)
    rest = data[:start] + data[stop:]
    at = random.randrange(len(rest) + 1)
    return rest[:at] + data[start:stop] + rest[at:]


def insert_random(data: bytes, random: Random) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + random.randbytes(random.choice((1, 2, 4, 16))) + data[at:]


def insert_word(data: bytes, random: Random) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + random.choice(WORDS).encode() + data[at + random.choice((0, 0, 1, 4)) :]


def interesting_integer(data: bytes, random: Random) -> bytes:
    """Write an integer over 1, 2, 4 or 8 bytes, in either byte order."""
    size = random.choice((1, 2, 4, 8))
    if len(data) < size:
        return data
    value = random.choice(INTEGERS) & ((1 << 8 * size) - 1)
    at = random.randrange(len(data) - size + 1)
    return data[:at] + value.to_bytes(size, random.choice(("little", "big"))) + data[at + size :]


BYTES: tuple[Change, ...] = (
    *(flip_bits, flip_bits, set_bytes, truncate, delete_range, duplicate_range, move_range, insert_random),
    *(insert_word, interesting_integer, interesting_integer),
)


def near(data: bytes, places: Sequence[int], random: Random) -> bytes:
    """Change bytes within the 64 after one of ``places``: headers and lengths."""
    start = random.choice(places) if places else 0
    part = random.choice((flip_bits, set_bytes, interesting_integer))(data[start : start + 64], random)
    return data[:start] + part + data[start + 64 :]


def spliced(data: bytes, other: bytes, random: Random) -> bytes:
    """Return the beginning of one file and the end of another."""
    return data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other) + 1) :]


def _range(data: bytes, random: Random, longest: int) -> tuple[int, int]:
    start = random.randrange(len(data) + 1)
    return start, min(len(data), start + random.randint(1, longest))


def change_lines(data: bytes, random: Random) -> bytes:
    """Delete, repeat, swap or change lines, or the words of one."""
    lines = data.split(b"\n")
    at, other = random.randrange(len(lines)), random.randrange(len(lines))
    match random.randrange(7):
        case 0:
            del lines[at]
        case 1:
            lines.insert(other, lines[at])
        case 2:
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            lines[at] = b""
        case 4:
            lines[at] = lines[at] + random.choice(WORDS).encode()
        case _:
            lines[at] = _change_words(lines[at], random)
    return b"\n".join(lines)


def _change_words(line: bytes, random: Random) -> bytes:
    between = next((each for each in (b"\t", b" ") if each in line), b" ")
    words = line.split(between)
    at, other = random.randrange(len(words)), random.randrange(len(words))
    match random.randrange(5):
        case 0:
            del words[at]
        case 1:
            words.insert(other, words[at])
        case 2:
            words[at], words[other] = words[other], words[at]
        case _:
            words[at] = random.choice(WORDS).encode()
    return random.choice((between, between, between, b" ", b"\t", b"  ")).join(words)


def change_encoding(data: bytes, random: Random) -> bytes:
    """Write the text with other line ends, in another encoding, or compressed."""
    match random.randrange(6):
        case 0:
            return data.replace(b"\n", b"\r\n")
        case 1:
            return data.replace(b"\n", b"\r")
        case 2:
            return gzip.compress(data, mtime=0)
        case 3:
            return flip_bits(gzip.compress(data, mtime=0), random)
        case 4:
            return gzip.compress(data[: len(data) // 2], mtime=0) + gzip.compress(
                data[len(data) // 2 :], mtime=0
            )
    if random.random() < 0.02:
        return gzip.compress(data, mtime=0) + _bomb()
    return data.decode("utf-8", "replace").encode(random.choice(ENCODINGS), "replace")


@cache
def _bomb() -> bytes:
    """Return 3 MB that unpack to 3 GB in one line."""
    return gzip.compress(b"A" * 2**26, mtime=0) * 48


TEXT: tuple[Change, ...] = (change_lines, change_lines, change_lines, change_encoding)


def changed(data: bytes, others: Sequence[bytes], structured: Sequence[Change], random: Random) -> bytes:
    """Return ``data`` after one to four changes, half of them specific to its format."""
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        choice = random.random()
        if structured and choice < 0.55:
            changed = _tried(random.choice(structured), data, random)
        elif others and choice > 0.96:
            changed = spliced(data, random.choice(others), random)
        else:
            changed = random.choice(BYTES)(data, random)
        data = changed if len(changed) <= _LARGEST else data
    return data


def _tried(change: Change, data: bytes, random: Random) -> bytes:
    """Return a change that needs a whole file, or a byte-level one if earlier changes have broken it."""
    try:
        return change(data, random)
    except Exception:
        return random.choice(BYTES)(data, random)
