"""Our own HDF5 files, from a small run of the steps: our readers, compared with plain h5py.

Also the arrays of a model's expected outputs (.npz), compared with numpy's reader.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from run_steps import study

from fuzz.container_changes import change_hdf5, change_hdf5_headers, change_zip
from fuzz.judging import difference
from fuzz.running import Format
from genolift.data.stored_sequences import read_sequences
from genolift.files.npz import read_npz
from genolift.references.store import open_references
from genolift.report.results import stated
from genolift.results.store import LAYOUT, open_contributions
from genolift.settings.motifs import Motifs
from genolift.steps.aggregate import aggregate
from genolift.steps.motifs import find_motifs

_CHANGES = (change_hdf5, change_hdf5, change_hdf5_headers)


def _run(folder: Path) -> Path:
    """Run the steps on a few windows, once; return the folder of their files."""
    if (folder / "motifs.h5").exists():
        return folder
    made = study(folder, n=6, windows=True)
    made.attribute()
    made.aggregate()
    find_motifs(
        Motifs(), contributions=folder / "contributions.h5", sequences=folder / "sequences.tsv", out=folder
    )
    return folder


def _file(name: str) -> Callable[[Path], Sequence[Path]]:
    return lambda folder: [_run(folder.parent / "steps") / name]


def _steps(path: Path) -> Path:
    """Return the folder of the run that made a case's file."""
    return path.parent.parent / "bases" / "steps"


def _by_h5py(path: Path, names: Sequence[str], attributes: Sequence[str] = ()) -> dict[str, Any]:
    with h5py.File(path, "r") as file:
        found = {name: _plain(file[name][()]) for name in names if name in file}
        return found | {name: _plain(file.attrs[name]) for name in attributes}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype.kind in "OS":
        return [_plain(each) for each in value.tolist()]
    return value


def _sequences(path: Path) -> Any:
    read = read_sequences(path)
    found = {"key": read.key, "id": read.id, "codes": read.codes, "chromosomes": read.chromosomes}
    if read.places is not None:
        found |= {"chrom": read.places.chrom, "strand": read.places.strand, "start": read.places.start}
    return found


def _sequences_by_h5py(path: Path) -> Any:
    found = _by_h5py(path, ("key", "id", "codes", "chrom", "strand", "start"), ("chromosomes",))
    return {**found, "chromosomes": json.loads(found["chromosomes"])}


def _references(path: Path) -> Any:
    with open_references(path) as read:
        found = {"kind": read.kind, "number": read.number, "seed": read.seed, "key": read.key[:]}
        found["provenance"] = read.provenance
        return found | ({"shared": read.shared_onehot()} if read.shared else {"codes": read.codes(0, read.n)})


def _references_by_h5py(path: Path) -> Any:
    found = _by_h5py(path, ("key", "codes", "shared"), ("kind", "number", "seed", "provenance"))
    return {**found, "provenance": json.loads(found["provenance"])}


def _contributions(path: Path) -> Any:
    with open_contributions(path) as read:
        blocks = list(read.blocks())
        found = {name: np.concatenate([block[name] for block in blocks]) for name in LAYOUT} if blocks else {}
        found["genolift/id"] = _plain(found["genolift/id"])
        return found | {"provenance": read.provenance, "chromosomes": read.chromosomes}


def _contributions_by_h5py(path: Path) -> Any:
    found = _by_h5py(path, tuple(LAYOUT), ("provenance", "chromosomes"))
    return found | {name: json.loads(found[name]) for name in ("provenance", "chromosomes")}


def _aggregated(path: Path) -> Any:
    """Return what aggregate makes from one shard."""
    out = path.parent / "aggregated"
    aggregate(shards=[path], sequences=_steps(path) / "sequences.tsv", out=out)
    return _by_h5py(out / "contributions.h5", tuple(LAYOUT))


def _shard_by_h5py(path: Path) -> Any:
    return _by_h5py(path, tuple(LAYOUT))


def _motifs(path: Path) -> Any:
    told, warnings, note = stated(path, "motifs")
    return {"note": note, "told": told, "warnings": warnings}


def _motifs_by_h5py(path: Path) -> Any:
    with h5py.File(path, "r") as file:
        names = [name for name in ("note", "provenance", "warnings") if name in file.attrs]
        found = {name: _plain(file.attrs[name]) for name in names}
    told, warnings = json.loads(found["provenance"]), json.loads(found.get("warnings", "[]"))
    return {"note": found.get("note", ""), "told": told, "warnings": warnings}


def _unchanged(read: Callable[[Path], Any], name: str) -> Callable[[Path], Any]:
    """Return a reader that refuses files that differ from what the steps wrote, as our digests should."""

    def read_unchanged(path: Path) -> Any:
        found, valid = read(path), read(_steps(path) / name)
        if changed := difference(found, valid):
            raise ValueError(f"a change is accepted: {changed}")
        return found

    return read_unchanged


def _saved_arrays(folder: Path) -> Sequence[Path]:
    random = np.random.default_rng(0)
    arrays: dict[str, Any] = {"dna": random.random((3, 20, 4), dtype=np.float32), "y0": random.random((3, 2))}
    arrays |= {"id": np.array(["one", "two", "three"]), "columns": np.asfortranarray(arrays["y0"])}
    np.savez(folder / "plain.npz", **arrays)
    np.savez_compressed(folder / "packed.npz", **arrays)
    return [folder / "plain.npz", folder / "packed.npz"]


def _arrays_of_numpy(path: Path) -> Any:
    with np.load(path, allow_pickle=False) as saved:
        return {name: saved[name] for name in saved.files}


STORED_FORMATS = (
    Format(
        *("npz", ".npz", lambda path: read_npz(path, "model.expect"), _arrays_of_numpy, _saved_arrays),
        changes=(change_zip,),
    ),
    *(
        Format(name, ".h5", read, other, _file(file), changes=_CHANGES)
        for name, file, read, other in (
            ("sequences.h5", "sequences.h5", _sequences, _unchanged(_sequences_by_h5py, "sequences.h5")),
            ("references.h5", "references.h5", _references, _unchanged(_references_by_h5py, "references.h5")),
            ("shard", "shard.h5", _aggregated, _unchanged(_shard_by_h5py, "shard.h5")),
            (
                *("contributions.h5", "contributions.h5", _contributions),
                _unchanged(_contributions_by_h5py, "contributions.h5"),
            ),
            ("motifs.h5", "motifs.h5", _motifs, _motifs_by_h5py),
        )
    ),
)
