"""HDF5 files are read only within their own bytes: links that lead out, or excessive sizes, give one line."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5d, h5p, h5s, h5t
from refusals import refused_by
from run_steps import Study, study

from genolift.data.stored_sequences import read_sequences
from genolift.errors import InputError
from genolift.files.hdf5 import opened_hdf5
from genolift.references.store import open_references
from genolift.report.results import stated
from genolift.results.store import open_contributions
from genolift.steps.aggregate import aggregate

STORES = ("sequences.h5", "references.h5", "shard.h5", "contributions.h5")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Study:
    made = study(tmp_path_factory.mktemp("study"), n=12, r=2)
    made.attribute()
    made.aggregate()
    return made


@pytest.fixture
def own(done: Study, tmp_path: Path) -> Study:
    """A copy of the study that a test may damage."""
    return Study(Path(shutil.copytree(done.folder, tmp_path / "own")))


def read(made: Study, name: str) -> Any:
    """Read all of a store, as its step does."""
    path = made.folder / name
    if name == "sequences.h5":
        return read_sequences(path)
    if name == "references.h5":
        with open_references(path) as references:
            return references.codes(0, references.n)
    if name == "shard.h5":
        return aggregate(shards=[path], sequences=made.folder / "sequences.tsv", out=made.folder / "again")
    with open_contributions(path) as contributions:
        return list(contributions.blocks())


def refused(made: Study, name: str) -> str:
    message = refused_by(lambda: read(made, name))
    assert str(made.folder / name) in message
    return message


def where(name: str) -> str:
    """A dataset of a store."""
    return {"sequences.h5": "codes", "references.h5": "codes"}.get(name, "raw/seq")


def external_link(file: h5py.File, name: str) -> None:
    file.move(name, f"{name}_moved")
    file[name] = h5py.ExternalLink("elsewhere.h5", "/x")


def soft_link(file: h5py.File, name: str) -> None:
    file.move(name, f"{name}_moved")
    file[name] = h5py.SoftLink(f"/{name}_moved")


def external_storage(file: h5py.File, name: str) -> None:
    shape, dtype = file[name].shape, file[name].dtype
    del file[name]
    file.create_dataset(name, shape, dtype, external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def virtual(file: h5py.File, name: str) -> None:
    shape, dtype = file[name].shape, file[name].dtype
    del file[name]
    layout = h5py.VirtualLayout(shape, dtype)
    layout[:] = h5py.VirtualSource("elsewhere.h5", "x", shape)
    file.create_virtual_dataset(name, layout)


def enormous(file: h5py.File, name: str) -> None:
    """64 TiB to which nothing was ever written, a legal file of some kilobytes."""
    shape, dtype = file[name].shape, file[name].dtype
    del file[name]
    chunks = (1, *shape[1:])
    file.create_dataset(name, (2**46 // dtype.itemsize, *shape[1:]), dtype, chunks=chunks)


def huge_chunk(file: h5py.File, name: str) -> None:
    dtype = file[name].dtype
    del file[name]
    file.create_dataset(name, (2**29,), dtype, chunks=(2**29,), compression="gzip")


def other_filter(file: h5py.File, name: str) -> None:
    """A filter that needs a library from elsewhere; without data, since none is here to write it."""
    shape = file[name].shape
    del file[name]
    settings = h5p.create(h5p.DATASET_CREATE)
    settings.set_chunk(shape)
    settings.set_filter(32015, h5py.h5z.FLAG_OPTIONAL)
    h5d.create(file.id, name.encode(), h5t.NATIVE_UINT8, h5s.create_simple(shape), settings)


def group_in_itself(file: h5py.File, name: str) -> None:
    inner = file.create_group("one/two")
    inner["three"] = file["one"]


def deep_groups(file: h5py.File, name: str) -> None:
    file.create_group("/".join("g" * 100))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (external_link, "is a link to somewhere else"),
        (soft_link, "is a link to somewhere else"),
        (external_storage, "has its values in another file"),
        (virtual, "is a virtual dataset, whose values are in other files"),
        (enormous, "declares"),
        (huge_chunk, "has chunks of over 268435456 bytes"),
        (other_filter, "is compressed by HDF5's filter 32015"),
        (group_in_itself, "is a group that is linked twice"),
        (deep_groups, "is nested in more than 64 groups"),
    ],
)
def test_what_leads_out_of_a_file_or_is_too_large_for_it_is_refused(
    own: Study, change: Callable[[h5py.File, str], None], said: str
) -> None:
    for name in STORES:
        with h5py.File(own.folder / name, "r+") as file:
            change(file, where(name))
        assert said in refused(own, name)


def test_keys_of_two_axes_are_refused(own: Study) -> None:
    with h5py.File(own.folder / "references.h5", "r+") as file:
        keys = file["key"][:]
        del file["key"]
        file["key"] = keys[None]
    assert "its references do not match its keys" in refused(own, "references.h5")


def test_what_a_report_reads_of_a_file_is_refused_alike(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "motifs.h5", "w") as file:
        file.attrs["provenance"] = "{}"
        file["pos_patterns"] = h5py.ExternalLink("elsewhere.h5", "/x")
    with pytest.raises(InputError, match=r"motifs\.h5: cannot be read as HDF5 \(/pos_patterns is a link"):
        stated(tmp_path / "motifs.h5", "motifs")
    with h5py.File(tmp_path / "motifs.h5", "w") as file:
        file.attrs["provenance"] = "[" * 100_000
    with pytest.raises(InputError, match=r"motifs\.h5: cannot be read as HDF5"):
        stated(tmp_path / "motifs.h5", "motifs")
    with h5py.File(tmp_path / "motifs.h5", "w") as file:
        file.attrs.update(provenance="{}", note=5)
    with pytest.raises(InputError, match=r"motifs\.h5: cannot be read as HDF5 \(its note is not text"):
        stated(tmp_path / "motifs.h5", "motifs")


def test_what_compresses_best_is_read_and_a_file_cut_off_is_not(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "zeros.h5", "w") as file:
        file.create_dataset("zeros", (2**27,), np.uint8, chunks=(2**26,), compression="gzip", fletcher32=True)
        file["zeros"][:] = 0
        file["empty"] = h5py.Empty("f4")
        file.create_dataset("none", (0, 3), np.float32)

    def refusal(why: object) -> InputError:
        return InputError(str(why))

    with opened_hdf5(tmp_path / "zeros.h5", refusal) as file:
        assert file["zeros"].shape == (2**27,)
    whole = (tmp_path / "zeros.h5").read_bytes()
    (tmp_path / "zeros.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="truncated"), opened_hdf5(tmp_path / "zeros.h5", refusal):
        pass


def test_every_dataset_of_ours_has_checksums_and_a_flipped_bit_is_found(own: Study) -> None:
    for name in STORES:
        path, chunks = own.folder / name, []
        with h5py.File(path) as file:
            datasets: list[h5py.Dataset] = []
            file.visititems(lambda _, found, into=datasets: into.append(found))
            for dataset in datasets:
                if isinstance(dataset, h5py.Dataset):
                    assert dataset.fletcher32, dataset.name
                    chunks.append(dataset.id.get_chunk_info(0))
        whole = path.read_bytes()
        for chunk in chunks:
            at = chunk.byte_offset + chunk.size // 2
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
            refused(own, name)


@pytest.mark.parametrize("name", STORES)
@pytest.mark.parametrize("value", ["x", "[" * 5000, "null", 3, 1e300, np.arange(4), b"\xff\xfe", "[]"])
def test_an_attribute_of_another_kind_is_refused(own: Study, name: str, value: Any) -> None:
    with h5py.File(own.folder / name) as file:
        attributes = list(file.attrs)
    whole = (own.folder / name).read_bytes()
    assert "digest" in attributes
    for attribute in attributes:
        (own.folder / name).write_bytes(whole)
        with h5py.File(own.folder / name, "r+") as file:
            file.attrs[attribute] = value
        refused(own, name)


def test_flipped_bytes_are_refused_in_one_line_or_change_nothing(own: Study) -> None:
    """Only an `InputError` is ever raised, wherever the bytes are."""
    expected = {name: str(read(own, name)) for name in STORES}
    chance = random.Random(0)
    for name in STORES:
        path = own.folder / name
        whole = path.read_bytes()
        heap = whole.find(b"GCOL")
        for _ in range(40):
            data = bytearray(whole)
            for _ in range(chance.choice([1, 1, 8])):
                at = chance.randrange(len(data))
                if not heap <= at < heap + 4096:  # text of attributes, where a flip may hang HDF5 itself
                    data[at] ^= 1 << chance.randrange(8)
            path.write_bytes(data)
            with suppress(InputError):
                assert str(read(own, name)) == expected[name]
