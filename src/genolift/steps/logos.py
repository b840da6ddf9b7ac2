"""The logos step: pictures of the motifs, and of the strongest sequences."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from genolift.data.alphabet import BASES
from genolift.errors import InputError
from genolift.files.output_paths import check_outputs
from genolift.files.whole import whole_folder
from genolift.motifs.known import Matrix
from genolift.motifs.logos import (
    INDEX,
    information_content,
    limits,
    logo_figure,
    reverse_complement,
    save,
    style,
    window_coordinates,
)
from genolift.motifs.tables import MATRICES, MOTIFS
from genolift.results.one_run import check_files
from genolift.results.step_record import write_record
from genolift.results.store import open_contributions
from genolift.results.tables import PER_SEQUENCE, read_some
from genolift.settings import sections

_Y_LABELS = {"cwm": "contribution", "hcwm": "hypothetical", "ppm": "bits"}
_TITLES = {"cwm": "contributions (CWM)", "hcwm": "hypothetical contributions", "ppm": "frequencies (PPM)"}
_STRONGEST_STRETCH = 20  # bases
_MARGIN = 2  # bases of a motif's window shown on either side of the trimmed motif
_KIND = "logos"
_PLACE_COLUMNS = ("key", "id", "chrom", "start", "end", "strand")
_MOTIF_COLUMNS = ("motif", "name", "n_seqlets", "trim_start", "trim_end", "match1")


@dataclass(frozen=True)
class LogoSummary:
    """What `draw_logos` drew: numbers of motifs, of sequences, and of pictures (each as PNG and as SVG)."""

    n_motifs: int
    n_sequences: int
    n_pictures: int

    def __str__(self) -> str:
        return f"{self.n_pictures} logos of {self.n_motifs} motifs and {self.n_sequences} sequences"


def draw_logos(settings: sections.Logos, *, results: Path, out: Path, window: int = 100) -> LogoSummary:
    """Draw every motif in both orientations, and the strongest windows of the strongest sequences.

    Parameters
    ----------
    settings
        The config's section ``logos``: how many sequences to draw, those with the largest absolute sum of
        contributions over any 20 bases.
    results
        The analysis's folder, with ``contributions.h5``, ``per_sequence.tsv``, ``motifs.tsv`` and
        ``motif_matrices.tsv``. A motif is drawn as CWM, hypothetical CWM and PPM in bits, as trimmed with two
        bases on either side; the axis counts the bases of its untrimmed window, from 1.
    out
        The folder to make, ``logos/``, with ``index.tsv`` and ``logos.json``, its provenance; that of an
        earlier run is replaced. A sequence's name in the index is its key.
    window
        Bases of each sequence to draw, around those 20.

    Raises
    ------
    InputError
        If a file is missing or of another run or kind, or ``out`` may not be written (see `check_outputs`).
    """
    contributions = results / "contributions.h5"
    matrices, motifs, per_sequence = (results / table.name for table in (MATRICES, MOTIFS, PER_SEQUENCE))
    check_outputs(folders=[(out, _KIND)], inputs=[matrices, motifs, contributions, per_sequence])
    made_from = check_files(contributions, {motifs: "motifs", matrices: "motifs", per_sequence: "aggregate"})
    table = MOTIFS.read(motifs, _MOTIF_COLUMNS)
    frames = _motif_frames(matrices, table)
    rows: list[tuple[str, ...]] = []
    letters = _letters(contributions)
    with whole_folder(out, _KIND) as folder, style():
        for _, motif in table.iterrows():
            drawn = {kind: frames[motif["motif"], kind] for kind in _TITLES}
            rows += _draw_motif(folder, motif, drawn, letters)
        strongest = _strongest_windows(contributions, per_sequence, settings.number, window)
        for rank, (place, chosen, scores) in enumerate(strongest, start=1):
            rows.append(_draw_sequence(folder, rank, place, chosen, scores, letters))
        INDEX.write(folder / INDEX.name, pd.DataFrame(rows, columns=list(INDEX.columns)))
        written = {file.name: file for file in sorted(folder.iterdir())}
        write_record(folder / "logos.json", "logos", made_from, written)
    return LogoSummary(len(table), len(strongest), len(rows))


def _letters(contributions: Path) -> list[str]:
    """Return the letters for A C G T, with U for T if the model's alphabet has U."""
    with open_contributions(contributions) as store:
        alphabet = str(store.provenance.get("model_alphabet", BASES)).upper()
    return list(BASES.replace("T", "U") if "U" in alphabet else BASES)


def _draw_motif(
    folder: Path, motif: pd.Series, matrices: Mapping[str, Matrix], letters: list[str]
) -> Iterator[tuple[str, ...]]:
    """Draw a motif's matrices in both orientations, and yield the index's rows."""
    name, accession = str(motif["name"]), str(motif["match1"])
    known = name != motif["motif"] and accession != name
    title = f"{name} ({accession})" if known else name
    width = matrices["cwm"].shape[1]
    first = max(int(motif["trim_start"]) - _MARGIN, 0)
    last = min(int(motif["trim_end"]) + _MARGIN, width)
    for kind, matrix in matrices.items():
        heights = information_content(matrix) if kind == "ppm" else matrix
        heights = heights[:, first:last]
        low, high = (0.0, 2.0) if kind == "ppm" else limits([heights])
        for orientation in ("forward", "reverse"):
            turned = orientation == "reverse"
            shown = reverse_complement(heights) if turned else heights
            positions = np.arange(first + 1, last + 1)[:: -1 if turned else 1]
            way = ", reverse complement" if turned else ""
            figure = logo_figure(
                pd.DataFrame(shown.T, index=positions, columns=letters),
                title=title,
                subtitle=f"{_TITLES[kind]}{way} · {int(motif['n_seqlets']):,} seqlets",
                y_label=_Y_LABELS[kind],
                x_label="base of the motif's window, from 1",
                y_limits=(low, high),
                inches_per_base=0.26,
            )
            files = save(figure, folder, f"{motif['motif']}.{kind}.{orientation}")
            yield "motif", str(motif["motif"]), orientation, kind, *files, ""


def _draw_sequence(
    folder: Path, rank: int, place: pd.Series, window: Any, scores: Matrix, letters: list[str]
) -> tuple[str, ...]:
    """Draw contributions, (base, position), of a window of a sequence, and return the index's row."""
    positions, where = window_coordinates(place, window.start, window.end)
    bases = min(_STRONGEST_STRETCH, scores.shape[1])
    figure = logo_figure(
        pd.DataFrame(scores.T, index=positions, columns=letters),
        title=str(place["id"]),
        subtitle=f"number {rank} · contribution {window.score:+.3g} over the best {bases} bases",
        y_label="contribution",
        x_label=where,
        inches_per_base=0.095,
    )
    files = save(figure, folder, f"sequence_{place['key']}")
    return "sequence", str(place["key"]), "forward", "contribution", *files, f"{window.focus:.3f}"


def _strongest_windows(
    contributions: Path, per_sequence: Path, most: int, width: int
) -> list[tuple[pd.Series, Any, Matrix]]:
    """Return the strongest sequences, strongest first: each one's place, window and contributions.

    A place is its row of ``per_sequence.tsv``. A window, ``start`` to ``end``, is around the stretch with the
    strongest sum of contributions, ``score``; ``focus`` is the middle of that stretch, as a share of the
    window's width. Contributions are (base, position).
    """
    with open_contributions(contributions) as store:
        stretch, width = min(_STRONGEST_STRETCH, store.length), min(width, store.length)
        dataset = store["projected_shap/seq"]
        windows = pd.DataFrame()
        for rows in store.slices():
            track = np.nan_to_num(dataset[rows].sum(1, dtype=np.float64))
            sums = np.lib.stride_tricks.sliding_window_view(track, stretch, axis=1).sum(-1)
            best = np.abs(sums).argmax(1)
            start = np.clip(best + stretch // 2 - width // 2, 0, store.length - width)
            focus = (best + stretch / 2 - start) / width
            score = sums[np.arange(len(sums)), best]
            index = pd.RangeIndex(rows.start, rows.start + len(sums))
            columns = {"score": score, "start": start, "end": start + width, "focus": focus}
            found = pd.DataFrame(columns, index=index)
            every = pd.concat([windows, found])  # those of lower rows first, so that a tie goes to them
            windows = every.loc[every["score"].abs().sort_values(ascending=False, kind="stable").index[:most]]
        keys = store.key[windows.index]
        of = f"of {contributions}"
        _, rows_of_keys = read_some(
            PER_SEQUENCE, per_sequence, store.key, of, rows=keys.astype(str), shown=_PLACE_COLUMNS
        )
        places = rows_of_keys.set_index("key", drop=False).loc[keys]
        chosen: list[Any] = list(windows.itertuples())
        return [
            (place, each, dataset[each.Index][:, each.start : each.end])
            for (_, place), each in zip(places.iterrows(), chosen, strict=True)
        ]


def _motif_frames(path: Path, motifs: pd.DataFrame) -> dict[tuple[str, str], Matrix]:
    """Return each motif's matrices, (base, position), by its name and their kind."""
    matrices = MATRICES.read(path)
    found = {
        (str(motif), str(kind)): part[list(BASES)].to_numpy().T
        for (motif, kind), part in matrices.groupby(["motif", "kind"], sort=False)
    }
    for motif in motifs["motif"]:
        for kind in _TITLES:
            if (motif, kind) not in found:
                raise InputError(
                    f"has no {kind} of {motif}", where=str(path), remedy="give the files of one run"
                )
    return found
