"""What a step made its files from, as JSON next to them, since tables and pictures have no room for it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from genolift.errors import InputError, Refusal, refused_as
from genolift.files.plain_values import as_json
from genolift.files.whole import existing_file, sha256

FORMAT, VERSION = "genolift-step", 1


@dataclass(frozen=True)
class StepRecord:
    """The record of what a step read and wrote in a folder.

    Attributes
    ----------
    path
        Of the record.
    step
        The subcommand that wrote it, to run again if something is wrong.
    made_from
        For each file that it read, by name: an HDF5 file's own digest, else the SHA-256.
    files
        The SHA-256 of each file that it wrote, by its path from the folder.
    """

    path: Path
    step: str
    made_from: Mapping[str, str]
    files: Mapping[str, str]

    def check_made_from(self, found: Mapping[str, str]) -> None:
        """Raise `InputError` if the step read other files than those with the digests ``found``, by name."""
        for name, digest in found.items():
            if self.made_from.get(name) != digest:
                raise InputError(
                    f"genolift {self.step} was run on another {name} than the present one",
                    where=str(self.path),
                    remedy=f"run genolift {self.step} again",
                )

    def check_files(self, names: Iterable[str]) -> None:
        """Raise `InputError` if a file is missing or was changed since the step wrote it."""
        for name in names:
            file = existing_file(self.path.parent / name)
            if self.files.get(name) != sha256(file):
                raise InputError(
                    f"is not the file that genolift {self.step} wrote with {self.path.name}",
                    where=str(file),
                    remedy=f"run genolift {self.step} again",
                )


def write_record(path: Path, step: str, made_from: Mapping[str, str], files: Mapping[str, Path]) -> None:
    """Write a step's record to ``path`` once its files, given by their final names, are written."""
    told = {
        "format": FORMAT,
        "version": VERSION,
        "step": step,
        "made_from": dict(made_from),
        "files": {name: sha256(file) for name, file in files.items()},
    }
    path.write_text(as_json(told), encoding="utf-8")


def read_record(folder: Path, step: str) -> StepRecord:
    """Return a step's record, from ``STEP.json`` in the folder of its files.

    Raises
    ------
    InputError
        If the record is missing or is something else.
    """
    remedy = f"run genolift {step} again"
    path = folder / f"{step}.json"
    if not path.is_file():
        raise InputError(f"is missing; genolift {step} writes it", where=str(path), remedy=remedy)
    damage = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
    with refused_as(Refusal("cannot be read", path, remedy), damage):
        told = json.loads(existing_file(path).read_text(encoding="utf-8"))
        if (told["format"], told["version"], told["step"]) != (FORMAT, VERSION, step):
            raise ValueError(f"its format is not {FORMAT} version {VERSION} of {step}")
        read = [
            {str(name): str(digest) for name, digest in told[key].items()} for key in ("made_from", "files")
        ]
    return StepRecord(path, step, *read)
