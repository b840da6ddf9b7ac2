"""Whether two outputs have the same values, ignoring times in the formats that contain them."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pyBigWig

from genolift.files.output_paths import UNFINISHED

_TIMES = {"seconds", "seconds_per_sequence", "cost", "date"}


def difference(one: Path, other: Path) -> str:
    """Return where two files or folders differ, or nothing if they are equal."""
    if one.is_dir() or other.is_dir():
        names, others = ({path.relative_to(each) for path in files_in(each)} for each in (one, other))
        if names != others:
            return f"{one.name} has other files: {sorted(map(str, names ^ others))}"
        return next((found for name in sorted(names) if (found := difference(one / name, other / name))), "")
    if not (one.is_file() and other.is_file()):
        return f"{one} or {other} is not there"
    if one.stem == "compare":  # the figure of a comparison, which shows times
        return ""
    try:
        compare = _COMPARED.get(one.suffix, _bytes)
        return "" if compare(one, other) else f"{one} differs from {other}"
    except Exception as error:
        return f"{one} cannot be read ({type(error).__name__}: {error})"


def files_in(folder: Path) -> list[Path]:
    """Return the files of a folder, except those that a killed process has left unfinished."""
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(UNFINISHED)]


def _bytes(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


def _without_times(said: Any) -> Any:
    if isinstance(said, dict):
        return {key: _without_times(value) for key, value in said.items() if key not in _TIMES}
    return [_without_times(value) for value in said] if isinstance(said, list) else said


def _json(one: Path, other: Path) -> bool:
    said, others = (_without_times(json.loads(path.read_text())) for path in (one, other))
    return bool(said == others)


def _hdf5(one: Path, other: Path) -> bool:
    with h5py.File(one) as file, h5py.File(other) as others:
        return _everything(file) == _everything(others)


def _everything(file: h5py.File) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        for key, value in item.attrs.items():
            if key == "digest":  # it covers times too; what it covers is compared itself
                continue
            if key == "provenance":
                value = _without_times(json.loads(value))
            found[f"{name}@{key}"] = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
        if isinstance(item, h5py.Dataset):
            values = np.asarray(item[()])
            held = values.tolist() if values.dtype == object else values.tobytes()
            found[name] = (str(item.dtype), item.shape, held)

    add("", file)
    file.visititems(add)
    return found


def _parquet(one: Path, other: Path) -> bool:
    return bool(pq.read_table(one).equals(pq.read_table(other)))


def _bigwig(one: Path, other: Path) -> bool:
    with pyBigWig.open(str(one)) as track, pyBigWig.open(str(other)) as others:
        same = track.chroms() == others.chroms()
        return same and all(track.intervals(chrom) == others.intervals(chrom) for chrom in track.chroms())


def _table(one: Path, other: Path) -> bool:
    frames = [pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False) for path in (one, other)]
    frame, others = (each.drop(columns=[name for name in each if name in _TIMES]) for each in frames)
    return bool(frame.equals(others))


def _page(one: Path, other: Path) -> bool:
    page, others = (re.sub(r"\d+(\.\d+)? s\b|\d{4}-\d\d-\d\d", "", path.read_text()) for path in (one, other))
    return page == others


def _program(one: Path, other: Path) -> bool:
    with zipfile.ZipFile(one) as archive, zipfile.ZipFile(other) as others:
        weights = [name for name in archive.namelist() if "/weights/" in name]
        same = archive.namelist() == others.namelist() and archive.testzip() is None
        return same and all(archive.read(name) == others.read(name) for name in weights)


_COMPARED: dict[str, Callable[[Path, Path], bool]] = {
    ".h5": _hdf5,
    ".json": _json,
    ".parquet": _parquet,
    ".bw": _bigwig,
    ".tsv": _table,
    ".html": _page,
    ".pt2": _program,
    ".svg": lambda one, other: True,  # logos are compared as PNG
}
