"""Changes inside zip archives, JSON, HDF5 and safetensors, with everything that a reader checks corrected.

Bytes changed at random are mostly caught by a checksum or a header; these changes get past them.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

from fuzz.mutations import BYTES, INTEGERS, WORDS, Change, near

_JSON_TEXTS = (
    '{"a": 1',
    "[]",
    "null",
    "NaN",
    "1e999",
    "[" * 5000,
    '{"a":' * 3000,
    '"\\ud800"',
    '{"a":1,"a":2}',
)


def change_zip(data: bytes, random: Random) -> bytes:
    """Change a member, its name or the number of members; checksums are right, unless one should be wrong."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    at, other = random.randrange(len(members)), random.randrange(len(members))
    name, content = members[at]
    match random.randrange(12):
        case 0:
            del members[at]
        case 1:
            members.insert(other, members[at])  # a duplicate name
        case 2:
            members.insert(other, (name, random.choice(BYTES)(content, random)))
        case 3:
            members[at] = (_renamed(name, random), content)
        case 4:
            members[at], members[other] = (name, members[other][1]), (members[other][0], content)
        case 5:
            return _zipped(
                members, random.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
            )
        case 6:
            return _with_wrong_checksums(_zipped(members), random, every=random.random() < 0.5)
        case 7:
            members.append((_renamed(name, random), random.randbytes(20)))
        case _:
            members[at] = (name, _change_member(name, content, random))
    return _zipped(members)


def _renamed(name: str, random: Random) -> str:
    return random.choice(
        (f"../{name}", f"/{name}", f"x/{name}", name.upper(), f"{name}\x1b[31m", name[:-1], "")
    )


def _change_member(name: str, content: bytes, random: Random) -> bytes:
    changes: list[Change] = [random.choice(BYTES)]
    if name.endswith(".json"):
        changes += [change_json] * 4
    if name.endswith(".h5"):
        changes += [change_hdf5, change_hdf5, change_hdf5_headers]
    if content.startswith(b"PK"):
        changes += [change_zip] * 2
    return random.choice(changes)(content, random)


def _zipped(members: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return buffer.getvalue()


def _with_wrong_checksums(data: bytes, random: Random, *, every: bool) -> bytes:
    """Change a byte of a member under its checksum, or write 0 as the checksum of every member."""
    changed = bytearray(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
    if not every:
        sized = [member for member in members if member.file_size]
        member = random.choice(sized)
        start = member.header_offset + 30 + len(member.filename.encode())
        changed[start + random.randrange(member.file_size)] ^= 1 << random.randrange(8)
        return bytes(changed)
    for member in members:
        changed[member.header_offset + 14 : member.header_offset + 18] = bytes(4)
    at = changed.find(b"PK\x01\x02")
    while at >= 0:
        changed[at + 16 : at + 20] = bytes(4)
        at = changed.find(b"PK\x01\x02", at + 4)
    return bytes(changed)


def change_json(data: bytes, random: Random) -> bytes:
    """Change one value at any depth; remove it or its key, or write it twice."""
    if random.random() < 0.05:
        return random.choice(_JSON_TEXTS).encode()
    told = json.loads(data)
    places = list(_places(told))
    if not places:
        return random.choice(_JSON_TEXTS).encode()
    holder, key = random.choice(places)
    match random.randrange(6):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[random.choice(WORDS)] = holder.pop(key)
        case 1 | 2:
            other, its_key = random.choice(places)
            holder[key] = json.loads(json.dumps(other[its_key]))
        case _:
            holder[key] = _value(holder[key], random)
    return json.dumps(told).encode()


def _places(value: Any) -> Any:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _value(value: Any, random: Random) -> Any:
    """Return another JSON value, often of the same type."""
    if type(value) in (int, float) and random.random() < 0.7:
        return random.choice((value + 1, -value, value * 1.5, *INTEGERS, 1e308, float("nan"), 10**400))
    if isinstance(value, str) and random.random() < 0.7:
        return random.choice((*WORDS, f"{value}x", value[:-1], value.upper(), *_JSON_TEXTS[:5]))
    deep: Any = []
    for _ in range(random.choice((1, 50, 900))):
        deep = [deep]
    return random.choice(
        (None, True, False, 0, -1, 1.5, "", "x", [], {}, [value], {"a": value}, [value] * 40, deep)
    )


def change_safetensors(data: bytes, random: Random) -> bytes:
    """Change the header's JSON and correct its length, or change only that length."""
    size = struct.unpack("<Q", data[:8])[0]
    header, body = data[8 : 8 + size], data[8 + size :]
    if random.random() < 0.2:
        return struct.pack("<Q", random.choice((size + 1, size - 1, *INTEGERS))) + header + body
    header = random.choice((change_json, change_json, random.choice(BYTES)))(header, random)
    return struct.pack("<Q", len(header)) + header + body


_SIGNATURES = (
    b"\x89HDF",
    b"OHDR",
    b"OCHK",
    b"TREE",
    b"HEAP",
    b"SNOD",
    b"GCOL",
    b"FRHP",
    b"FHDB",
    b"BTHD",
    b"BTLF",
)


def change_hdf5_headers(data: bytes, random: Random) -> bytes:
    """Change bytes after one of the signatures that begin HDF5's own structures."""
    places = []
    for signature in _SIGNATURES:
        at = data.find(signature)
        while at >= 0:
            places.append(at)
            at = data.find(signature, at + 1)
    return near(data, places or [0], random)


def change_hdf5(data: bytes, random: Random) -> bytes:
    """Change an attribute, a dataset or a link through the library, so that the file stays well-formed."""
    import h5py

    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        objects: list[Any] = [file]
        file.visititems(lambda _, each: objects.append(each))
        datasets = [each for each in objects if isinstance(each, h5py.Dataset)]
        with_attributes = [each for each in objects if len(each.attrs)]
        if with_attributes and random.random() < 0.35:
            _change_attribute(random.choice(with_attributes), random)
        elif datasets and random.random() < 0.9:
            _change_dataset(file, random.choice(datasets), random)
        else:
            _change_link(file, random.choice(objects[1:] or objects), random)
    return buffer.getvalue()


def _change_attribute(owner: Any, random: Random) -> None:
    import h5py
    import numpy as np

    key = random.choice(list(owner.attrs))
    value = owner.attrs[key]
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    text = text if isinstance(text, str) else ""
    if text.startswith("{") and random.random() < 0.6:
        owner.attrs[key] = change_json(text.encode(), random).decode("utf-8", "surrogateescape")
        return
    del owner.attrs[key]
    others: list[Any] = [
        *(
            h5py.Empty("f4"),
            np.arange(3),
            np.bytes_(b"\xff\xfe"),
            1.5,
            np.nan,
            -1,
            0,
            np.uint64(2**64 - 1),
            True,
        ),
        *(
            "",
            "x" * 3000,
            "two\nlines\x1b[31m",
            b"bytes",
            np.array(["a", "b"], dtype=object),
            np.complex64(1j),
        ),
        *(f"{text}x", np.int8(1), np.array([[1, 2], [3, 4]]), np.zeros(2, [("a", "i4"), ("b", "f4")])),
    ]
    if random.random() < 0.85:
        owner.attrs[key] = random.choice(others)


def _change_dataset(file: Any, dataset: Any, random: Random) -> None:
    import h5py
    import numpy as np

    name, attributes = dataset.name, dict(dataset.attrs)
    values = dataset[()]
    shape, dtype = dataset.shape, dataset.dtype
    if random.random() < 0.4 and dataset.size:
        _change_values(dataset, random)
        return
    del file[name]
    match random.randrange(12):
        case 0:
            return
        case 1:
            file.create_group(name)
        case 2:
            file[name] = h5py.Empty(dtype)
        case 3:
            huge = (2**40, *shape[1:]) if shape else (2**40,)
            file.create_dataset(name, huge, dtype, chunks=tuple(min(side, 16) for side in huge))
        case 4:
            file.create_dataset(name, shape, dtype, external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)])
        case 5:
            layout = h5py.VirtualLayout(shape, dtype)
            file.create_virtual_dataset(name, layout)
        case 6:
            file[name] = np.zeros(
                shape, random.choice(("i1", "u1", "i8", ">i8", "f2", "f8", ">f4", "?", "c8", "S3"))
            )
        case 7:
            file.create_dataset(
                name, data=["\x1b[31m"] * (shape[0] if shape else 1), dtype=h5py.string_dtype()
            )
        case 8:
            file[name] = values[None] if random.random() < 0.5 else np.ravel(values)[:1]
        case 9 if shape and shape[0]:
            file[name] = np.concatenate([values, values[:1]]) if random.random() < 0.5 else values[:-1]
        case 10 if dtype.kind in "iuf":
            file.create_dataset(
                name, data=values.astype(dtype.newbyteorder(">")), dtype=dtype.newbyteorder(">")
            )
        case _:  # the same values, stored in another way
            strings = dtype.kind == "O"
            chunks = tuple(max(1, side // 2) for side in shape) if all(shape) and shape else None
            file.create_dataset(
                name, data=values, dtype=dtype, chunks=chunks, fletcher32=bool(chunks) and not strings
            )
    if name in file:
        for key, value in attributes.items():
            file[name].attrs[key] = value


def _change_values(dataset: Any, random: Random) -> None:
    import numpy as np

    values = dataset[()]
    if dataset.dtype.kind == "O":
        flat = np.array(values, dtype=object).ravel()
        flat[random.randrange(len(flat))] = random.choice(
            (b"", b"\xff\xfe", b"a\tb", b"a\nb", b"\x1b[31mred", b"x" * 400, "\u202e".encode(), flat[0])
        )
        dataset[...] = flat.reshape(np.shape(values))
        return
    flat = np.atleast_1d(values).copy()
    rows = len(flat)
    match random.randrange(4):
        case 0 if rows > 1:
            one, other = random.randrange(rows), random.randrange(rows)
            flat[[one, other]] = flat[[other, one]]
        case 1 if rows > 1:
            flat[random.randrange(rows)] = flat[random.randrange(rows)]
        case _:
            whole = flat.reshape(-1)
            odd = [0, 1, 5, 127, -1, 2**40] + ([np.nan, np.inf, -1e30] if flat.dtype.kind == "f" else [])
            with np.errstate(all="ignore"):
                whole[random.randrange(len(whole))] = np.array(random.choice(odd)).astype(flat.dtype)
    dataset[...] = flat.reshape(np.shape(values))


def _change_link(file: Any, one: Any, random: Random) -> None:
    import h5py

    name = one.name
    if name == "/":
        return
    links: list[Callable[[], Any]] = [
        lambda: h5py.SoftLink("/nowhere"),
        lambda: h5py.SoftLink(name),
        lambda: h5py.ExternalLink("/etc/hostname", "/"),
        lambda: h5py.ExternalLink("elsewhere.h5", name),
    ]
    made = random.choice(links)()
    if random.random() < 0.3:
        file.move(name, f"{name}_")
        return
    del file[name]
    file[name] = made
