"""What the report says of the strongest sequences, each with its logo."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from genolift.errors import InputError
from genolift.report import words
from genolift.report.images import Logo, Logos
from genolift.report.results import MINUS, Results

_MOST_IN_THE_PAGE = 30
"""So many logos of sequences stand in the page itself, of up to 0.3 MB each; further ones are named."""


@dataclass(frozen=True)
class TopSequence:
    """A sequence that has a logo; numbers as text, ``place`` empty for FASTA input and ``output_sd`` (over
    models) for one model.
    """

    anchor: str
    id: str
    place: str
    strand: str
    output: str
    output_sd: str
    contribution_sum: str
    peak: str
    logo: Logo | None


def top_sequences(results: Results, logos: Logos) -> tuple[TopSequence, ...]:
    """Return every sequence that has a logo, in the order of the logos' index: strongest first.

    Raises
    ------
    InputError
        If the index names a sequence that is not of this analysis.
    """
    rows = results.scored.to_dict("records")
    names = logos.sequence_names()
    by_name = {str(row["key"]): row for row in rows}
    if not set(names) <= by_name.keys():
        by_name = {str(row["id"]): row for row in rows}
    found = []
    for number, name in enumerate(names, start=1):
        row = by_name.get(name)
        if row is None:
            raise InputError(
                f"sequence {name!r} is neither key nor id in per_sequence.tsv",
                where=str(results.folder / "logos" / "index.tsv"),
                remedy="run genolift logos again",
            )
        found.append(
            TopSequence(
                anchor=f"sequence-{number}",
                id=str(row["id"]),
                place=words.place(str(row["chrom"]), row["start"], row["end"]),
                strand=str(row["strand"]),
                output=words.figure(row["output"]),
                output_sd=words.figure(row["output_sd"]) if results.models else "",
                contribution_sum=words.figure(row["contribution_sum"]),
                peak=_peak(row, results.length),
                logo=logos.find(
                    "sequence",
                    name,
                    "forward",
                    "contribution",
                    text=f"Contributions along {row['id']}",
                    caption="",
                    in_the_page=number <= _MOST_IN_THE_PAGE,
                ),
            )
        )
    return tuple(found)


def _peak(row: Mapping[Hashable, Any], length: int) -> str:
    """Return the strongest base: its letter as the model read it, its place, and its contribution."""
    position = int(row["peak_position"])
    base = f"{row['peak_base']} ({words.figure(row['peak_contribution'])})"
    within = f"base {words.whole(position + 1)} of {words.whole(length)}"
    if not row["chrom"]:
        return f"{base}, {within}"
    turned = row["strand"] == MINUS
    start = int(row["end"]) - 1 - position if turned else int(row["start"]) + position
    place = words.place(str(row["chrom"]), start, start + 1)
    return f"{base} at {place}, {within} in the window{' along its minus strand' if turned else ''}"
