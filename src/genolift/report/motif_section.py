"""What the report says of motifs, and of seqlets where there is no motif."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup

from genolift.report import figures, words
from genolift.report.images import Logo, Logos
from genolift.report.results import MINUS, Results

_MOST_SEQLETS = 25


@dataclass(frozen=True)
class Match:
    """A motif of the database that Tomtom finds similar; the q-value as text."""

    name: str
    accession: str
    qvalue: str
    strand: str


@dataclass(frozen=True)
class MotifView:
    """A motif as the page shows it. ``number`` counts from 1; ``name`` is what it is called by, and ``known``
    whether that is its best match.
    """

    number: int
    accession: str
    name: str
    known: bool
    negative: bool
    consensus: str
    n_seqlets: int
    n_hits: int
    n_sequences: int
    contribution: float
    matches: tuple[Match, ...]
    best_qvalue: float
    logos: tuple[Logo, ...]
    positions: Markup | None
    reading: str

    @property
    def anchor(self) -> str:
        """The id of the motif's part of the page."""
        return f"motif-{self.number}"

    @property
    def sign(self) -> str:
        """``positive`` where the motif raises the output, ``negative`` where it lowers it."""
        return "negative" if self.negative else "positive"


@dataclass(frozen=True)
class SeqletView:
    """A seqlet as the page shows it, numbers as text."""

    where: str
    strand: str
    contribution: str
    match: str
    accession: str
    pvalue: str


@dataclass(frozen=True)
class SeqletsView:
    """The strongest seqlets that no motif holds, and what they are most like, in a sentence."""

    sentence: str
    seqlets: tuple[SeqletView, ...]


def motif_views(results: Results, logos: Logos) -> tuple[MotifView, ...]:
    """Return the motifs of ``motifs.tsv``, in its order: strongest first."""
    return tuple(
        _motif_view(number, row, results, logos)
        for number, (_, row) in enumerate(results.motifs.iterrows(), start=1)
    )


def seqlets_view(results: Results) -> SeqletsView:
    """Return the seqlets that no motif holds, the largest absolute contributions first."""
    loose = results.seqlets[results.seqlets["motif"] == ""]
    strongest = loose.iloc[(-loose["contribution"].abs()).argsort(kind="stable")]
    views = tuple(_seqlet_view(row) for _, row in strongest.head(_MOST_SEQLETS).iterrows())
    return SeqletsView(_matches_in_a_sentence(loose), views)


def _motif_view(number: int, row: pd.Series, results: Results, logos: Logos) -> MotifView:
    accession = str(row["motif"])
    hits = results.hits[results.hits["motif"] == accession]
    seqlets = results.seqlets[results.seqlets["motif"] == accession]
    matches = _matches(row)
    name = str(row["name"])
    negative = str(row["sign"]).lower().startswith(("neg", "-")) or accession.startswith("neg_")
    positions, reading = _positions(hits, results, name)
    return MotifView(
        number=number,
        accession=accession,
        name=name,
        known=name != accession,
        negative=negative,
        consensus=str(row["consensus"]),
        n_seqlets=_whole(row["n_seqlets"]),
        n_hits=_whole(row["n_hits"]),
        n_sequences=int(hits["key"].nunique()),
        contribution=float(seqlets["contribution"].mean()) if len(seqlets) else float("nan"),
        matches=matches,
        best_qvalue=float(row["match1_qvalue"]),
        logos=_logos(accession, name, logos),
        positions=positions,
        reading=reading,
    )


def _matches(row: pd.Series) -> tuple[Match, ...]:
    found = []
    for rank in ("match1", "match2", "match3"):
        if row[rank]:
            qvalue = words.figure(row[f"{rank}_qvalue"], 2)
            strand = str(row[f"{rank}_strand"]).replace(MINUS, "\N{MINUS SIGN}")
            name = str(row[f"{rank}_name"]) or str(row[rank])
            found.append(Match(name, str(row[rank]), qvalue, strand))
    return tuple(found)


def _logos(accession: str, name: str, logos: Logos) -> tuple[Logo, ...]:
    wanted = (
        ("forward", "cwm", "Contributions (CWM)", True),
        ("reverse", "cwm", "Contributions, reverse complement", True),
        ("forward", "hcwm", "Hypothetical contributions", True),
        ("forward", "ppm", "Frequencies (PPM), in bits", True),
        ("reverse", "hcwm", "Hypothetical contributions, reverse complement", False),
        ("reverse", "ppm", "Frequencies, reverse complement", False),
    )
    found = (
        logos.find(
            "motif",
            accession,
            orientation,
            matrix,
            text=f"{caption}: logo of {name}",
            caption=caption,
            in_the_page=in_the_page,
        )
        for orientation, matrix, caption, in_the_page in wanted
    )
    return tuple(logo for logo in found if logo)


def _positions(hits: pd.DataFrame, results: Results, name: str) -> tuple[Markup | None, str]:
    """Return where the hits lie in the sequences, as a plot and in a sentence."""
    if hits.empty:
        return None, "Fi-NeMo finds no occurrence of this motif in the sequences."
    in_windows = bool((results.sequences["chrom"] != "").any())
    origin = results.length / 2 if in_windows else -0.5  # the middle of the first base is 1
    centers = hits["center"] - origin
    reverse = (hits["strand"] == MINUS).to_numpy()
    label = "position from the window's centre (bp)" if in_windows else "base of the sequence, from 1"
    first, third = np.percentile(centers, [25, 75])
    middle = "from {} to {} bp from the centre" if in_windows else "between bases {} and {}"
    span = middle.format(
        *(
            f"{edge:+.0f}".replace("-", "\N{MINUS SIGN}") if in_windows else f"{edge:.0f}"
            for edge in (first, third)
        )
    )
    sequences = words.count(int(hits["key"].nunique()), "sequence")
    reading = (
        f"{words.count(len(hits), 'hit')} in {sequences}, {words.percent(float((~reverse).mean()))} on the "
        f"forward strand; the middle half lies {span}."
    )
    plot = figures.strand_histogram(
        centers[~reverse],
        centers[reverse],
        low=-origin,
        high=results.length - origin,
        description=f"Where the hits of {name} lie. {reading}",
        x_label=label,
    )
    return plot, reading


def _seqlet_view(row: pd.Series) -> SeqletView:
    genomic = words.place(str(row["chrom"]), row["genome_start"], row["genome_end"])
    return SeqletView(
        where=genomic or words.place(str(row["id"]), row["start"], row["end"]),
        strand=str(row["strand"]).replace(MINUS, "\N{MINUS SIGN}"),
        contribution=words.figure(row["contribution"]),
        match=str(row["match1_name"] or row["match1"]),
        accession=str(row["match1"]),
        pvalue=words.figure(row["match1_pvalue"], 2),
    )


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


def _whole(value: float) -> int:
    return 0 if np.isnan(value) else int(value)
