"""What the report says about the strongest sequences, each with its logo."""

from collections.abc import Mapping
from typing import Any

from genolift.errors import InputError
from genolift.report import words
from genolift.report.hits import MINUS
from genolift.report.images import Logos
from genolift.report.results import Results

_MOST_IN_THE_PAGE = 30
"""So many logos of sequences are in the page itself, up to 0.3 MB each; of further ones the file is named."""


def top_sequences(results: Results, logos: Logos) -> list[dict[str, Any]]:
    """Return the rows of ``per_sequence.tsv`` that have a logo, in the order of the logos' index, strongest
    first, each with its ``anchor`` in the page, ``place``, strongest base (``peak``) and ``logo``.

    Raises
    ------
    InputError
        If the index names a sequence that is not in this analysis.
    """
    names = logos.sequence_names()
    rows: dict[str, Any] = {str(row["key"]): row for row in results.strongest.to_dict("records")}
    found = []
    for number, name in enumerate(names, start=1):
        if name not in rows:
            raise InputError(
                f"sequence {name!r} is no key in per_sequence.tsv",
                where=str(results.folder / "logos" / "index.tsv"),
                remedy="run genolift logos again",
            )
        row = rows[name]
        logo = logos.find(
            ("sequence", name, "forward", "contribution"),
            text=f"Contributions along {row['id']}",
            caption="",
            in_the_page=number <= _MOST_IN_THE_PAGE,
        )
        place = words.place(row["chrom"], row["start"], row["end"])
        peak = _peak(row, results.head.length)
        found.append(dict(row, anchor=f"sequence-{number}", place=place, peak=peak, logo=logo))
    return found


def _peak(row: Mapping[Any, Any], length: int) -> str:
    """Return the strongest base: its letter as the model read it, its contribution, and its place."""
    position = int(row["peak_position"])
    base = f"{row['peak_base']} ({words.figure(row['peak_contribution'])})"
    within = f"base {words.whole(position + 1)} of {words.whole(length)}"
    if not row["chrom"]:
        return f"{base}, {within}"
    turned = row["strand"] == MINUS
    start = int(row["end"]) - 1 - position if turned else int(row["start"]) + position
    place = words.place(row["chrom"], start, start + 1)
    return f"{base} at {place}, {within} in the window{' along its minus strand' if turned else ''}"
