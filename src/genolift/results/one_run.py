"""Whether an analysis's files come from one run, by the digests of what each was made from."""

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike

from genolift.data.stored_sequences import check_table
from genolift.errors import InputError, Refusal, refused_as
from genolift.files.whole import existing_file, sha256
from genolift.references.store import open_references
from genolift.results.step_record import read_record
from genolift.results.store import Contributions, open_contributions
from genolift.settings.several_targets import for_all_targets

_LOG = logging.getLogger("genolift")
_PER_BASE = "per_base.parquet"
_AGGREGATE = "run genolift aggregate again"
_DRAWN = ("per_sequence.tsv", "motifs.tsv", "motif_matrices.tsv")
"""What the logos step reads in addition to contributions.h5."""


def check_keys(found: ArrayLike, expected: ArrayLike, path: Path, of: str) -> None:
    """Raise `InputError` unless the keys in a file are the expected ones, those ``of`` another file."""
    if not np.array_equal(found, expected):
        raise InputError(
            f"has {np.size(found)} sequences that are not the {np.size(expected)} {of}",
            where=str(path),
            remedy="give the files of one run, or run the steps again from genolift attribute on",
        )


def check_files(contributions: Path, files: Mapping[Path, str]) -> dict[str, str]:
    """Check that files, given with the step that wrote each, are unchanged and belong to these contributions.

    Returns
    -------
    dict
        The digests of ``contributions.h5`` and of each file, by name.

    Raises
    ------
    InputError
        For the first file that does not.
    """
    with open_contributions(contributions) as store:
        made_from = {"contributions.h5": store.digest}
    for path, step in files.items():
        record = read_record(existing_file(path).parent, step)
        record.check_made_from({"contributions.h5": made_from["contributions.h5"]})
        record.check_files([path.name])
        made_from[path.name] = record.files[path.name]
    return made_from


def check_folder(folder: Path, contributions: Contributions) -> None:
    """Check an analysis folder against its open ``contributions.h5``, except for each model's own files.

    The report checks those. What ``per_base.parquet``, if it is there, was made from is in its metadata.

    Raises
    ------
    InputError
        For the first file that was changed after it was written or belongs to another run, naming the step
        to run again.
    """
    table = for_all_targets(folder, "sequences.tsv")
    check_table(table, contributions.provenance, str(folder / "contributions.h5"))
    _check_references(folder, contributions)
    here = {"contributions.h5": contributions.digest, "sequences.tsv": sha256(table)}
    drawn = {"contributions.h5": contributions.digest}
    for step in ("aggregate", "motifs"):
        record = read_record(folder, step)
        record.check_made_from(here)
        record.check_files(record.files)
        drawn |= {name: record.files[name] for name in _DRAWN if name in record.files}
    if (folder / _PER_BASE).exists():
        _check_per_base(folder / _PER_BASE, contributions)
    logos = read_record(folder / "logos", "logos")
    logos.check_made_from(drawn)
    logos.check_files(logos.files)


def _check_references(folder: Path, contributions: Contributions) -> None:
    """Check ``references.h5``, of which there need be none if the references were made again.

    One of an earlier run may be left then, and has to be the same, by the digest of each sequence with its
    references.
    """
    file, told = for_all_targets(folder, "references.h5"), contributions.provenance
    stored = told.get("references_stored", True)
    if not stored and not file.exists():
        return
    if not _are_those(file, contributions, stored=stored):
        again = "run genolift attribute and all steps after it again"
        raise InputError(
            f"is not what {folder / 'contributions.h5'} was computed with",
            where=str(file),
            remedy=again if stored else "remove it: references were made again, and none were stored",
        )


def _are_those(file: Path, contributions: Contributions, *, stored: bool) -> bool:
    """Whether references are those that contributions were computed with."""
    with open_references(file) as references:
        if stored:
            return references.digest == contributions.provenance.get("references_digest")
        of_rows = contributions["genolift/reference_digest"][:]
        return np.array_equal(references.reference_digest[:], of_rows)


def remove_other_references(folder: Path, contributions: Contributions) -> None:
    """Remove the references of an earlier run, where those of ``contributions`` were made again: nothing
    writes them any more. What is no file of references stays.
    """
    file = for_all_targets(folder, "references.h5")
    if contributions.provenance.get("references_stored", True) or not file.exists():
        return
    with suppress(InputError):
        if not _are_those(file, contributions, stored=False):
            file.unlink(missing_ok=True)  # another target may have done it
            _LOG.info("%s: removed, since it is of other references than these, which are not stored", file)


def _check_per_base(path: Path, contributions: Contributions) -> None:
    damage = (OSError, ValueError, KeyError, TypeError, pa.ArrowException)
    with refused_as(Refusal("is not a complete table of bases", path, _AGGREGATE), damage):
        told = json.loads((pq.read_schema(existing_file(path)).metadata or {})[b"genolift"])
        digest = told["made_from"]["contributions.h5"]
    if digest != contributions.digest:
        what = "belongs to another run than contributions.h5"
        raise InputError(what, where=str(path), remedy=_AGGREGATE)
