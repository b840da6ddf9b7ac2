"""Logos from ``logos/`` as data URIs, so that the page needs no other file."""

import base64
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from genolift.errors import InputError

# With 30 motifs of four logos each, and 10 sequences, the page stays under 12 MB (base64 adds a third).
_LARGEST_SVG_BYTES = {"motif": 80_000, "sequence": 250_000}
_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}


@dataclass(frozen=True)
class Logo:
    """A picture: ``uri`` is its data URI, empty if it is not in the page itself; ``file`` its path in the
    analysis folder; ``text`` describes it; ``focus`` is where on its width to look first, 0 to 1.
    """

    uri: str
    file: str
    text: str
    caption: str
    focus: float = 0.5


class Logos:
    """The logos of an analysis, by what they show.

    Parameters
    ----------
    folder
        ``logos/``, which the index's paths are relative to.
    index
        ``logos/index.tsv``.
    """

    def __init__(self, folder: Path, index: pd.DataFrame) -> None:
        self._folder = folder
        columns = index[["kind", "name", "orientation", "matrix"]]
        files = zip(index["svg"], index["png"], index["focus"].fillna(0.5), strict=True)
        self._files = dict(zip(columns.itertuples(index=False, name=None), files, strict=True))

    def sequence_names(self) -> list[str]:
        """Return the names of the sequences that have a logo, in the index's order."""
        return list(dict.fromkeys(name for kind, name, _, _ in self._files if kind == "sequence"))

    def find(
        self, shows: tuple[str, str, str, str], *, text: str, caption: str, in_the_page: bool = True
    ) -> Logo | None:
        """Return the logo that ``shows`` this (kind, name, orientation, matrix); None if the index has none.

        It is the SVG, or the PNG if the SVG is large; if it is not to be in the page, only its file is named.

        Raises
        ------
        InputError
            If the index names a file that does not exist.
        """
        svg, png, focus = self._files.get(shows, ("", "", 0.5))
        found = [self._folder / file for file in (svg, png) if file]
        if not found:
            return None
        for file in found:
            if not file.is_file():
                raise InputError(
                    f"there is no {file}, which the index names",
                    where=str(self._folder / "index.tsv"),
                    remedy="run genolift logos again",
                )
        chosen = found[0]
        file_name = f"{self._folder.name}/{chosen.name}"
        if not in_the_page:
            return Logo("", file_name, text, caption, focus)
        if chosen.suffix == ".svg" and chosen.stat().st_size > _LARGEST_SVG_BYTES.get(shows[0], 0):
            chosen = min(found, key=lambda file: file.stat().st_size)
        payload = base64.b64encode(chosen.read_bytes()).decode("ascii")
        return Logo(f"data:{_TYPES[chosen.suffix]};base64,{payload}", file_name, text, caption, focus)
