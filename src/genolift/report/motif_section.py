"""What the report says about motifs, or about seqlets if there is no motif."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from genolift.motifs.method import settings_told
from genolift.motifs.tables import match_columns
from genolift.report import figures, words
from genolift.report.hits import MINUS
from genolift.report.images import Logo, Logos
from genolift.report.results import Results
from genolift.settings.motifs import Motifs

_MOST_SEQLETS = 25
_LOGOS = (
    ("forward", "cwm", "Contributions (CWM)", True),
    ("reverse", "cwm", "Contributions, reverse complement", True),
    ("forward", "hcwm", "Hypothetical contributions", True),
    ("forward", "ppm", "Frequencies (PPM), in bits", True),
    ("reverse", "hcwm", "Hypothetical contributions, reverse complement", False),
    ("reverse", "ppm", "Frequencies, reverse complement", False),
)
"""Orientation, matrix and caption of a motif's logos, and whether the page shows or only names them."""
_MEANINGS = {name: (field.description or "").replace("`", "") for name, field in Motifs.model_fields.items()}


def motif_views(results: Results, logos: Logos) -> list[dict[str, Any]]:
    """Return the rows of ``motifs.tsv``, strongest first, with what else the page shows of each motif.

    That is its ``number``, from 1, and ``anchor`` in the page; ``known``, whether it has its best match's
    name; ``sign`` (a positive motif raises the output, a negative one lowers it); ``contribution``, the mean
    of its seqlets'; ``matches`` and ``logos``; and where its hits are, as a plot, ``positions``, and as a
    sentence, ``reading``.
    """
    rows = results.motifs.to_dict("records")
    return [_motif_view(number, row, results, logos) for number, row in enumerate(rows, start=1)]


def method_view(told: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return how motifs were looked for: the ``preset``, each of the ``settings`` with that of the tools' own
    commands, and those that differ as a ``sentence``; None if the provenance does not tell.
    """
    found = settings_told(told)
    if not found:
        return None
    rows = [
        {"name": each.name, "value": _setting(each.value), "tools": _setting(each.tools)}
        | {"differs": each.value != each.tools, "meaning": _MEANINGS[each.name]}
        for each in found
    ]
    different = [f"{row['name']} {row['value']} ({row['tools']})" for row in rows if row["differs"]]
    if different:
        sentence = f"Other than in the commands of TF-MoDISco and Fi-NeMo: {', '.join(different)}."
    else:
        sentence = "All are those of the commands of TF-MoDISco and Fi-NeMo."
    return {"preset": told["motifs_preset"], "settings": rows, "sentence": sentence}


def _setting(value: Any) -> str:
    return "all" if value is None else f"{value:,}"


def seqlets_view(results: Results) -> dict[str, Any]:
    """Return the seqlets in no motif, the largest absolute contributions first, and their best matches as a
    sentence.
    """
    loose = results.seqlets[results.seqlets["motif"] == ""]
    strongest = loose.iloc[(-loose["contribution"].abs()).argsort(kind="stable")]
    rows = strongest.head(_MOST_SEQLETS).to_dict("records")
    return {"seqlets": rows, "sentence": _matches_in_a_sentence(loose)}


def _motif_view(number: int, row: Mapping[Any, Any], results: Results, logos: Logos) -> dict[str, Any]:
    motif, name = row["motif"], row["name"]
    hits = results.hits[results.hits["motif"] == motif]
    seqlets = results.seqlets[results.seqlets["motif"] == motif]
    positions, reading = _positions(hits, results, name)
    matches = [
        {"name": row[f"{rank}_name"] or row[rank], "accession": row[rank]}
        | {end: row[f"{rank}_{end}"] for end in ("qvalue", "strand")}
        for rank in match_columns(len(row))
        if row.get(rank)
    ]
    return {
        **row,
        "number": number,
        "anchor": f"motif-{number}",
        "known": name != motif,
        "sign": "negative" if motif.startswith("neg_") else "positive",
        "contribution": seqlets["contribution"].mean(),
        "matches": matches,
        "logos": _logos(motif, name, logos),
        "positions": positions,
        "reading": reading,
    }


def _logos(motif: str, name: str, logos: Logos) -> list[Logo]:
    found = []
    for orientation, matrix, caption, in_the_page in _LOGOS:
        shown = {"text": f"{caption}: logo of {name}", "caption": caption}
        found.append(logos.find(("motif", motif, orientation, matrix), **shown, in_the_page=in_the_page))
    return [logo for logo in found if logo]


def _positions(hits: pd.DataFrame, results: Results, name: str) -> tuple[Markup | None, str]:
    """Return where the hits are in the sequences, as a plot and as a sentence."""
    if hits.empty:
        return None, "Fi-NeMo finds no occurrence of this motif in the sequences."
    in_windows = results.on_genome
    origin = results.head.length / 2 if in_windows else -0.5  # the middle of the first base is 1
    centers = hits["center"] - origin
    reverse = (hits["strand"] == MINUS).to_numpy()
    label = "position from the window's centre (bp)" if in_windows else "base of the sequence, from 1"
    first, third = np.percentile(centers, [25, 75])
    if in_windows:
        span = words.minus(f"from {first:+.0f} to {third:+.0f} bp from the centre")
    else:
        span = f"between bases {first:.0f} and {third:.0f}"
    sequences = words.count(int(hits["key"].nunique()), "sequence")
    reading = (
        f"{words.count(len(hits), 'hit')} in {sequences}, {words.percent(float((~reverse).mean()))} on the "
        f"forward strand; the middle half lies {span}."
    )
    plot = figures.strand_histogram(
        centers[~reverse],
        centers[reverse],
        low=-origin,
        high=results.head.length - origin,
        description=f"Where the hits of {name} lie. {reading}",
        x_label=label,
    )
    return plot, reading


def _matches_in_a_sentence(loose: pd.DataFrame) -> str:
    if loose.empty:
        return "There are no seqlets either: no stretch of the sequences contributes more than chance would."
    names = loose["match1_name"].where(loose["match1_name"] != "", loose["match1"])
    counts = names[names != ""].value_counts()
    if counts.empty:
        return f"None of {words.count(len(loose), 'seqlet')} is like a motif of the database."
    shown = [
        f"{number} {'matches' if number == 1 else 'match'} {name}" for name, number in counts.head(4).items()
    ]
    of_all = f" of {words.count(len(loose), 'seqlet')} match"
    first = f"{shown[0].replace(' match', of_all, 1)} best"
    rest = f"; then {words.listed(shown[1:])}" if len(shown) > 1 else ""
    others = len(counts) - 4
    more = f", and {words.count(others, 'other motif')} the rest" if others > 0 else ""
    return f"{first}{rest}{more}."
