"""Pickles of protocol 3 to 5 rewritten in protocol 2, the only one that torch's restricted reader accepts.

Nothing is unpickled here: opcodes are copied or replaced one by one, and torch checks the result.
"""

import io
import mmap
import pickle
import pickletools
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from genolift.files.integrity import opened_archive

_PICKLES = 5
"""In torch.save's old format: a magic number, version, machine, the object, the names of its storages."""
_LONGEST = 2**32 - 1
"""The most bytes of a text in protocol 2."""


class NotInProtocol2Error(pickle.UnpicklingError):
    """A pickle that cannot be written in protocol 2, or is damaged."""


def in_protocol_2(path: Path) -> BinaryIO | None:
    """Return an in-memory copy of a torch.save file in protocol 2; None if it is in that already.

    Raises
    ------
    NotInProtocol2Error
        If a pickle cannot be written in protocol 2, or is damaged.
    """
    with path.open("rb") as file:
        start = file.read(2)
        if start != b"PK":
            return _old_file(file) if _is_later(start) else None
    with opened_archive(path, "model.path") as archive:
        return archive_in_protocol_2(archive)


def archive_in_protocol_2(archive: zipfile.ZipFile) -> BinaryIO | None:
    """Return what `in_protocol_2` returns, for an open archive."""
    pickles = {name for name in archive.namelist() if name.partition("/")[2] == "data.pkl"}
    if not any(_is_later(archive.read(name)) for name in pickles):
        return None
    copied = io.BytesIO()
    with zipfile.ZipFile(copied, "w") as copy:
        for name in dict.fromkeys(archive.namelist()):
            held = archive.read(name)
            copy.writestr(name, _translated(io.BytesIO(held), held) if name in pickles else held)
    copied.seek(0)
    return copied


def _is_later(start: bytes) -> bool:
    """Whether a pickle with this beginning has a protocol after 2."""
    return start[:1] == pickle.PROTO and start[1:2] > b"\x02"


def _old_file(file: BinaryIO) -> BinaryIO:
    """Return a copy of a file in torch.save's old format: consecutive pickles, then raw numbers."""
    copied = io.BytesIO()
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
        for _ in range(_PICKLES):
            if held.tell() == len(held):  # not a torch file; torch will say so
                break
            copied.write(_translated(held, held))
        copied.write(held[held.tell() :])
    copied.seek(0)
    return copied


def _translated(file: Any, held: Any) -> bytes:
    """Return the pickle at the position of ``file``, in protocol 2; the position is then after its end.

    Parameters
    ----------
    file
        The file to read.
    held
        The file's bytes.
    """
    writer = _Protocol2()
    try:
        for opcode, value, place in pickletools.genops(file):
            change = _CHANGES.get(opcode.name)
            if change is not None:
                change(writer, value)
            else:
                writer.write(held[place : file.tell()])
    except (ValueError, KeyError, IndexError) as error:
        raise NotInProtocol2Error(f"damaged: {error}") from error
    return writer.out.getvalue()


class _Protocol2:
    """A pickle being written. Texts wait until it is known whether two of them name a global."""

    def __init__(self) -> None:
        self.out = io.BytesIO()
        self.texts: dict[int, str] = {}  # by memo number
        self.numbers: set[int] = set()  # all memo numbers in use
        self.written: set[int] = set()  # memo numbers of texts that have been written
        self.waiting: list[tuple[str, int | None]] = []

    def write(self, opcodes: bytes) -> None:
        self.settle()
        self.out.write(opcodes)

    def settle(self) -> None:
        """Write the waiting texts, which are values."""
        for text, number in self.waiting:
            if number in self.written:
                self.out.write(_numbered(pickle.LONG_BINGET, number))
                continue
            self.out.write(_text(text))
            if number is not None:
                self.out.write(_numbered(pickle.LONG_BINPUT, number))
                self.written.add(number)
        self.waiting.clear()

    def protocol(self, _: int) -> None:
        self.write(pickle.PROTO + b"\x02")

    def text(self, text: str) -> None:
        self.waiting.append((text, None))

    def keep(self, number: int | None) -> None:
        """Memoize the latest value under a number, by default the next."""
        number = len(self.numbers) if number is None else number
        self.numbers.add(number)
        self.texts.pop(number, None)
        self.written.discard(number)
        if self.waiting and self.waiting[-1][1] is None:
            text, _ = self.waiting[-1]
            self.waiting[-1] = (text, number)
            self.texts[number] = text
        else:
            self.write(_numbered(pickle.LONG_BINPUT, number))

    def get(self, number: int) -> None:
        if number in self.texts:
            self.waiting.append((self.texts[number], number))
        else:
            self.write(_numbered(pickle.LONG_BINGET, number))

    def found(self, _: None) -> None:
        """Write the global named by the last two texts."""
        if len(self.waiting) < 2:
            raise NotInProtocol2Error("a name that is made up")
        module, name = (text for text, _ in self.waiting[-2:])
        if "\n" in module + name:
            raise NotInProtocol2Error("a name of two lines")
        del self.waiting[-2:]
        self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())

    def of_bytes(self, value: bytes) -> None:
        self.write(b"c_codecs\nencode\n" + _text(value.decode("latin1")) + _text("latin1") + _CALLED)

    def of_bytearray(self, value: bytes) -> None:
        self.write(b"c__builtin__\nbytearray\n" + _text(value.decode("latin1")) + _text("latin1") + _CALLED)

    def left_out(self, _: Any) -> None:
        """Write nothing: frames do not affect the content."""


_CALLED = pickle.TUPLE2 + pickle.REDUCE


def _text(text: str) -> bytes:
    encoded = text.encode("utf-8", "surrogatepass")
    if len(encoded) > _LONGEST:
        raise NotInProtocol2Error("a text of more than 4 GiB")
    return pickle.BINUNICODE + len(encoded).to_bytes(4, "little") + encoded


def _numbered(opcode: bytes, number: int | None) -> bytes:
    if number is None or not 0 <= number <= _LONGEST:
        raise NotInProtocol2Error(f"something kept under {number}")
    return opcode + number.to_bytes(4, "little")


def _refused(what: str) -> Callable[[_Protocol2, Any], None]:
    def refuse(_: _Protocol2, value: Any) -> None:
        raise NotInProtocol2Error(what)

    return refuse


_CHANGES: dict[str, Callable[[_Protocol2, Any], None]] = {
    "PROTO": _Protocol2.protocol,
    "FRAME": _Protocol2.left_out,
    **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"), _Protocol2.text),
    **dict.fromkeys(("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"), _Protocol2.keep),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Protocol2.get),
    "STACK_GLOBAL": _Protocol2.found,
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"), _Protocol2.of_bytes),
    "BYTEARRAY8": _Protocol2.of_bytearray,
    "ADDITEMS": _refused("a set"),
    "FROZENSET": _refused("a frozenset"),
    "NEWOBJ_EX": _refused("an object by keywords"),
    "NEXT_BUFFER": _refused("an object of bytes beside it"),
    "READONLY_BUFFER": _refused("an object of bytes beside it"),
}
"""The opcodes that protocol 2 lacks, and those of texts, by which protocol 4 names globals."""
