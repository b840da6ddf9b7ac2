"""The logos step: pictures of the motifs, and of the strongest sequences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from genolift.data.alphabet import BASES
from genolift.errors import InputError
from genolift.files.output_paths import check_outputs
from genolift.files.tables import read_table
from genolift.files.whole import whole_folder
from genolift.motifs.known import Matrix
from genolift.motifs.logos import (
    information_content,
    limits,
    logo_figure,
    reverse_complement,
    save,
    style,
    window_coordinates,
)
from genolift.results.one_run import check_files
from genolift.results.step_record import write_record
from genolift.results.store import open_contributions
from genolift.settings import sections

_Y_LABELS = {
    "cwm": "contribution",
    "hcwm": "hypothetical",
    "ppm": "bits",
    "contribution": "contribution",
}
_TITLES = {"cwm": "contributions (CWM)", "hcwm": "hypothetical contributions", "ppm": "frequencies (PPM)"}
_STRONGEST_STRETCH = 20  # bases
_MARGIN = 2  # bases of a motif's window shown on either side of the trimmed motif
_KIND = "logos"
_MOTIF_COLUMNS = ("motif", "name", "n_seqlets", "trim_start", "trim_end", "match1")
_PLACE_COLUMNS = ("key", "id", "chrom", "start", "end", "strand")
_REMEDY = "run genolift motifs again"
_INDEX = ["kind", "name", "orientation", "matrix", "png", "svg", "focus"]


@dataclass(frozen=True)
class LogoSummary:
    """What `draw_logos` drew: numbers of motifs, of sequences, and of pictures (each as PNG and as SVG)."""

    n_motifs: int
    n_sequences: int
    n_pictures: int


@dataclass(frozen=True)
class _Window:
    """A window around a sequence's strongest stretch, of so many bases: its ``score``, and where it lies;
    ``focus`` is where the stretch's middle lies in the window, as a share of its width.
    """

    score: float
    stretch: int
    start: int
    end: int
    focus: float


def draw_logos(
    settings: sections.Logos,
    *,
    matrices: Path,
    motifs: Path,
    contributions: Path,
    per_sequence: Path,
    out: Path,
    window: int = 100,
) -> LogoSummary:
    """Draw every motif in both orientations, and the strongest windows of the strongest sequences.

    Parameters
    ----------
    settings
        The config's section ``logos``: how many sequences to draw, of those whose contributions sum to the
        most, in absolute value, over any 20 bases.
    matrices, motifs
        ``motif_matrices.tsv`` and ``motifs.tsv``. A motif is drawn as CWM, hypothetical CWM and PPM in bits,
        as trimmed with two bases on either side; the axis counts the bases of its untrimmed window, from 1.
    contributions, per_sequence
        ``contributions.h5`` and ``per_sequence.tsv``.
    out
        The folder to make, ``logos/``, with ``index.tsv`` and ``logos.json``, what it was made from; one that
        an earlier run made is replaced. A sequence's name in the index is its key.
    window
        Bases to draw of each, around those 20.

    Raises
    ------
    InputError
        If a file is missing or of another run or kind, or ``out`` may not be written (see `check_outputs`).
    """
    check_outputs(folders=[(out, _KIND)], inputs=[matrices, motifs, contributions, per_sequence])
    made_from = check_files(contributions, {motifs: "motifs", matrices: "motifs", per_sequence: "aggregate"})
    table = read_table(motifs, _MOTIF_COLUMNS, remedy=_REMEDY)
    frames = _motif_frames(matrices, table)
    scored = read_table(per_sequence, _PLACE_COLUMNS, remedy="run genolift aggregate again")
    rows: list[tuple[str, ...]] = []
    letters = _letters(contributions)
    with whole_folder(out, _KIND) as folder, style():
        for _, motif in table.iterrows():
            drawn = {kind: frames[motif["motif"], kind] for kind in _TITLES}
            rows += _draw_motif(folder, motif, drawn, letters)
        strongest = _strongest_windows(contributions, per_sequence, scored, settings.number, window)
        for rank, (row, place, scores) in enumerate(strongest, start=1):
            rows.append(_draw_sequence(folder, rank, scored.iloc[row], place, scores, letters))
        pd.DataFrame(rows, columns=_INDEX).to_csv(folder / "index.tsv", sep="\t", index=False)
        written = {file.name: file for file in sorted(folder.iterdir())}
        write_record(folder / "logos.json", "logos", made_from, written)
    return LogoSummary(len(table), len(strongest), len(rows))


def _letters(contributions: Path) -> list[str]:
    """Return the letters to draw A C G T by: U for T where the model's alphabet has U."""
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
            yield (
                "motif",
                str(motif["motif"]),
                orientation,
                kind,
                *save(figure, folder, f"{motif['motif']}.{kind}.{orientation}"),
                "",
            )


def _draw_sequence(
    folder: Path, rank: int, place: pd.Series, window: _Window, scores: Matrix, letters: list[str]
) -> tuple[str, ...]:
    """Draw contributions, (base, position), of a window of a sequence, and return the index's row."""
    positions, where = window_coordinates(place, window.start, window.end)
    figure = logo_figure(
        pd.DataFrame(scores.T, index=positions, columns=letters),
        title=str(place["id"]),
        subtitle=f"number {rank} · contribution {window.score:+.3g} over the best {window.stretch} bases",
        y_label=_Y_LABELS["contribution"],
        x_label=where,
        inches_per_base=0.095,
    )
    files = save(figure, folder, f"sequence_{place['key']}")
    return "sequence", str(place["key"]), "forward", "contribution", *files, f"{window.focus:.3f}"


def _strongest_windows(
    contributions: Path, per_sequence: Path, scored: pd.DataFrame, most: int, width: int
) -> list[tuple[int, _Window, Matrix]]:
    """Return row, window and contributions, (base, position), of the strongest sequences, strongest first."""
    with open_contributions(contributions) as store:
        if [str(key) for key in store.key.tolist()] != scored["key"].tolist():
            raise InputError(
                f"has {len(scored)} sequences that are not the {store.n} of {contributions}",
                where=str(per_sequence),
                remedy="give the files of one run",
            )
        stretch, width = min(_STRONGEST_STRETCH, store.length), min(width, store.length)
        dataset = store["projected_shap/seq"]
        windows: list[_Window] = []
        for first in range(0, store.n, 256):
            track = np.nan_to_num(dataset[first : first + 256].sum(1, dtype=np.float64))
            sums = np.lib.stride_tricks.sliding_window_view(track, stretch, axis=1).sum(-1)
            best = np.abs(sums).argmax(1)
            starts = np.clip(best + stretch // 2 - width // 2, 0, store.length - width)
            peaks = sums[np.arange(len(sums)), best]
            windows += [
                _Window(float(peak), stretch, int(start), int(start) + width, float(focus))
                for peak, start, focus in zip(
                    peaks, starts, (best + stretch / 2 - starts) / width, strict=True
                )
            ]
        order = sorted(range(len(windows)), key=lambda row: -abs(windows[row].score))[:most]
        return [(row, windows[row], dataset[row][:, windows[row].start : windows[row].end]) for row in order]


def _motif_frames(path: Path, motifs: pd.DataFrame) -> dict[tuple[str, str], Matrix]:
    """Return each motif's matrices, (base, position), by its name and their kind."""
    matrices = read_table(path, ("motif", "kind", "position", *BASES), remedy=_REMEDY)
    found = {
        (str(motif), str(kind)): part[list(BASES)].to_numpy(dtype=float).T
        for (motif, kind), part in matrices.groupby(["motif", "kind"], sort=False)
    }
    for motif in motifs["motif"]:
        for kind in _TITLES:
            if (motif, kind) not in found:
                raise InputError(
                    f"has no {kind} of {motif}", where=str(path), remedy="give the files of one run"
                )
    return found
