"""What a report says of itself for programs: which files it was made from, and what a list shows of it."""

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from genolift.files.whole import sha256

FORMAT, VERSION = "genolift-report", 1
_META = re.compile(rf'<meta name="{FORMAT}" content="([^"]*)">')
_HEAD_BYTES = 2**18
"""Of a page, in which the record stands."""
_RECORDS = ("aggregate.json", "motifs.json", "logos/logos.json")
"""The steps' own records, which have the digests of the files that they wrote."""


class ShownMotif(BaseModel):
    """A motif in a list of reports: its name, its place in the report, and its logo's path from there."""

    name: str
    sign: Literal["positive", "negative"]
    anchor: str
    logo: str


class Shown(BaseModel):
    """What a list shows of a report; of the motifs the first, the strongest."""

    title: str
    target: str
    sequences: int
    quality: str
    motifs: list[ShownMotif]
    number_of_motifs: int


@dataclass(frozen=True)
class Record:
    """The record of a report: the digests of what it was made from, None if a file was missing, and more."""

    made_from: Mapping[str, str] | None
    shown: Shown


def made_from(folder: Path) -> dict[str, str] | None:
    """Return what tells an analysis's present files from those of another run; None if a file is missing.

    That is the digest that ``contributions.h5`` has of itself and those of the steps' records, so that no
    large file is read.
    """
    import h5py  # a dry run, which imports this module, needs none

    try:
        with h5py.File(folder / "contributions.h5") as file:
            digests = {"contributions.h5": str(file.attrs["digest"])}
        return digests | {name: sha256(folder / name) for name in _RECORDS}
    except (OSError, KeyError):
        return None


def record(folder: Path, shown: Shown) -> str:
    """Return the text of the record of the page of an analysis folder, which `read_record` reads."""
    told = {"format": FORMAT, "version": VERSION, "made_from": made_from(folder), "shown": shown.model_dump()}
    return json.dumps(told)


def read_record(page: Path) -> Record | None:
    """Return the record of a page; None if there is no page, or it is no report."""
    try:
        with page.open("rb") as file:
            found = _META.search(file.read(_HEAD_BYTES).decode("utf-8", "replace"))
        told = json.loads(html.unescape(found[1])) if found else {}
        if (told["format"], told["version"]) != (FORMAT, VERSION):
            return None
        return Record(told["made_from"], Shown.model_validate(told["shown"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
