"""The logos step: matrices and contributions to pictures.

The one place that calls logomaker. A figure is a function of a DataFrame;
matplotlib's state is as it was afterwards.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genolift.data.alphabet import BASES
from genolift.errors import InputError
from genolift.files.output_paths import check_outputs
from genolift.files.whole import existing_file, whole_folder
from genolift.motifs.known import Matrix
from genolift.results.one_run import check_files
from genolift.results.step_record import write_record
from genolift.results.store import open_contributions

# The field's A green, C blue, G orange and T red, in shades that differ in lightness too. Through Machado,
# Oliveira and Fernandes' (2009) matrices of red and green blindness the nearest two, A and T, are 21 CIELAB
# units apart, and all others 40 or more.
COLORS = {"A": "#2ca25f", "C": "#2b5fc1", "G": "#f2a516", "T": "#b2182b", "U": "#b2182b"}
_INK, _QUIET = "#333333", "#8a8a8a"
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
_RIGHT = 0.15  # inches to the right of a logo's axes
_INDEX = ["kind", "name", "orientation", "matrix", "png", "svg", "focus"]
_STYLE = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "svg.fonttype": "path",
    "svg.hashsalt": "genolift",
    "text.color": _INK,
    "axes.edgecolor": _QUIET,
    "axes.labelcolor": _INK,
    "xtick.color": _QUIET,
    "ytick.color": _QUIET,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
}


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
    *,
    matrices: Path,
    motifs: Path,
    contributions: Path,
    per_sequence: Path,
    out: Path,
    n_sequences: int = 10,
    window: int = 100,
) -> LogoSummary:
    """Draw every motif in both orientations, and the strongest windows of the strongest sequences.

    Parameters
    ----------
    matrices, motifs
        ``motif_matrices.tsv`` and ``motifs.tsv``. A motif is drawn as CWM, hypothetical CWM and PPM in bits,
        as trimmed with two bases on either side; the axis counts the bases of its untrimmed window, from 1.
    contributions, per_sequence
        ``contributions.h5`` and ``per_sequence.tsv``.
    out
        The folder to make, ``logos/``, with ``index.tsv`` and ``logos.json``, what it was made from; one that
        an earlier run made is replaced. A sequence's name in the index is its key.
    n_sequences
        Sequences to draw: those whose contributions sum to the most, in absolute value, over any 20 bases.
    window
        Bases to draw of each, around those 20.

    Raises
    ------
    InputError
        If a file is missing or is of another run or kind, an argument is out of its range, or ``out`` may not
        be written (see `check_outputs`).
    """
    for name, value, least in (("n_sequences", n_sequences, 0), ("window", window, 1)):
        if value < least:
            raise InputError(f"{value} is less than {least}", where=name, remedy=f"give {least} or more")
    check_outputs(folders=[(out, _KIND)], inputs=[matrices, motifs, contributions, per_sequence])
    made_from = check_files(contributions, {motifs: "motifs", matrices: "motifs", per_sequence: "aggregate"})
    table = _read_table(motifs, ["motif", "name", "n_seqlets", "trim_start", "trim_end", "match1"])
    frames = _motif_frames(_read_table(matrices, ["motif", "kind", "position", *BASES]), table, matrices)
    scored = _read_table(per_sequence, ["key", "id", "chrom", "start", "end", "strand"])
    rows: list[tuple[str, ...]] = []
    letters = _letters(contributions)
    with whole_folder(out, _KIND) as folder, style():
        for _, motif in table.iterrows():
            drawn = {kind: frames[motif["motif"], kind] for kind in _TITLES}
            rows += _draw_motif(folder, motif, drawn, letters)
        strongest = _strongest_windows(contributions, per_sequence, scored, n_sequences, window)
        for rank, (row, place, scores) in enumerate(strongest, start=1):
            rows.append(_draw_sequence(folder, rank, scored.iloc[row], place, scores, letters))
        pd.DataFrame(rows, columns=_INDEX).to_csv(folder / "index.tsv", sep="\t", index=False)
        written = {file.name: file for file in sorted(folder.iterdir())}
        write_record(folder / "logos.json", "logos", made_from, written)
    return LogoSummary(len(table), len(strongest), len(rows))


def reverse_complement(matrix: Matrix) -> Matrix:
    """Return the reverse complement of a matrix, (base, position), bases A C G T."""
    return matrix[::-1, ::-1]


def information_content(ppm: Matrix) -> Matrix:
    """Return the heights in bits, (base, position), of a PPM's letters against equal frequencies.

    A position's height is 2 bits less its entropy, and is divided among its letters by their frequency
    (Schneider and Stephens 1990); no correction for small samples is made.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        surprise = np.where(ppm > 0, ppm * np.log2(ppm), 0.0)
    return ppm * np.maximum(2 + surprise.sum(0, keepdims=True), 0.0)


def logo_figure(
    frame: pd.DataFrame,
    *,
    title: str = "",
    subtitle: str = "",
    y_label: str = "",
    x_label: str = "",
    y_limits: tuple[float, float] | None = None,
    inches_per_base: float = 0.2,
) -> Any:
    """Return a matplotlib Figure of the logo of ``frame``: heights by position (rows) and base (columns).

    The rows' index are the coordinates on the axis, one apart, rising or falling. Letters of negative height
    hang below the axis, upright. To have `draw_logos`' type and lines, draw and save within `style`.
    """
    from logomaker import Logo
    from matplotlib.figure import Figure

    n, labels = len(frame), frame.index.to_numpy()
    low, high = y_limits or limits([frame.to_numpy(float).T])
    left, right, above, below = 0.75, _RIGHT, 0.5 if title else 0.12, 0.52 if x_label else 0.3
    width, height = left + right + max(inches_per_base * n, 3.3), above + below + 1.15
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((left / width, below / height, 1 - (left + right) / width, 1.15 / height))
    heights = frame.set_axis(range(n), axis="index").astype(float)
    # Letters too low to see are left out: they would make the file several times as large.
    heights = heights.where(heights.abs() > (high - low) / 200, 0.0)
    if heights.to_numpy().any():
        glyphs: dict[str, Any] = {
            "font_name": "DejaVu Sans",
            "font_weight": "bold",
            "vpad": 0.02,
            "width": 0.95,
        }
        Logo(heights, ax=axes, color_scheme=COLORS, flip_below=False, baseline_width=0.6, **glyphs)
    else:
        axes.axhline(0, color="black", linewidth=0.6)
    axes.set_xlim(-0.6, n - 0.4)
    axes.set_ylim(low, high)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    ticks = _ticks(labels, inches_per_base)
    axes.set_xticks(ticks, [f"{labels[at]:,}" for at in ticks])
    axes.tick_params(axis="x", length=2, pad=2)
    axes.tick_params(axis="y", length=2, pad=2)
    axes.locator_params(axis="y", nbins=4)
    axes.set_xlabel(x_label, labelpad=3)
    axes.set_ylabel(y_label, labelpad=4)
    axes.yaxis.set_label_coords(-0.46 / (width - left - right), 0.5)
    put: dict[str, Any] = {"x": left / width, "va": "center", "parse_math": False}
    if title:
        figure.text(y=1 - 0.2 / height, s=title, size=11, weight="bold", **put)
        figure.text(y=1 - 0.38 / height, s=subtitle, size=8.5, color="#5c5c5c", **put)
    return figure


def limits(heights: Sequence[Matrix]) -> tuple[float, float]:
    """Return the lowest and highest stack of letters of matrices (base, position), and a little air."""
    high = max(float(np.maximum(one, 0).sum(0).max(initial=0)) for one in heights)
    low = min(float(np.minimum(one, 0).sum(0).min(initial=0)) for one in heights)
    if high == low:
        return -1.0, 1.0
    air = 0.05 * (high - low)
    return (low - air if low < 0 else 0.0), (high + air if high > 0 else 0.0)


def _ticks(labels: NDArray[np.int64], inches_per_base: float) -> list[int]:
    """Return the indices of round coordinates, as many as have room for their labels."""
    width = 0.07 * max(len(f"{label:,}") for label in labels)
    room = (width + 0.18) / inches_per_base  # bases that a label takes
    step = next(step for step in (1, 2, 5, 10, 20, 25, 50, 100, 10**9) if step >= room)
    last = len(labels) - 1 - (width / 2 - _RIGHT) / inches_per_base  # a later label would be cut off
    return [at for at, label in enumerate(labels) if label % step == 0 and at <= last]


@contextmanager
def style() -> Iterator[None]:
    """Draw with the type and lines of `draw_logos`, and leave matplotlib's settings as they were."""
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]  # its keys are a Literal of all there are
        yield


def _save(figure: Any, folder: Path, stem: str) -> tuple[str, str]:
    """Write a figure as PNG and as SVG, and return the files' names."""
    png, svg = f"{stem}.png", f"{stem}.svg"
    figure.savefig(folder / png, format="png", dpi=150, metadata={"Software": None})
    figure.savefig(folder / svg, format="svg", metadata={"Date": None, "Creator": None})
    text = (folder / svg).read_text("utf-8")
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'(?<= d=")[^"]+', _short_path, text)
    (folder / svg).write_text(re.sub(r"\s*\n\s*", "\n", text), "utf-8")
    return png, svg


def _short_path(path: re.Match[str]) -> str:
    """Return an SVG path with one decimal of a point, not six, and on one line: half as long."""
    words = (f"{float(word):.1f}" if "." in word else word for word in path.group().split())
    return " ".join(words)


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
                *_save(figure, folder, f"{motif['motif']}.{kind}.{orientation}"),
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
    files = _save(figure, folder, f"sequence_{place['key']}")
    return "sequence", str(place["key"]), "forward", "contribution", *files, f"{window.focus:.3f}"


def window_coordinates(place: pd.Series, start: int, end: int) -> tuple[NDArray[np.int64], str]:
    """Return the coordinate of each base of a stretch of a sequence, and the axis' label.

    Coordinates are the genome's, as browsers count them from 1, where ``place``, a row of
    ``per_sequence.tsv``, has them, and then fall along a sequence that is the reverse complement of its
    window; else the sequence's bases are counted from 1. ``start`` and ``end`` are 0-based half-open.
    """
    positions = np.arange(start, end)
    if not place["chrom"]:
        return positions + 1, "base of the sequence, from 1"
    if place["strand"] == "-":
        return int(place["end"]) - positions, f"position on {place['chrom']}, along the minus strand"
    return int(place["start"]) + 1 + positions, f"position on {place['chrom']}"


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


def _read_table(path: str | os.PathLike[str], columns: Sequence[str]) -> pd.DataFrame:
    """Return a tab-separated file as text, having checked that it has the columns."""
    file = existing_file(path)
    try:
        frame = pd.read_csv(file, sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE)
    except (ValueError, UnicodeError) as error:
        raise InputError(f"is no table ({error})", where=str(file), remedy="make it anew") from error
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise InputError(f"has no column {missing[0]!r}", where=str(file), remedy="make it anew")
    return frame


def _motif_frames(matrices: pd.DataFrame, motifs: pd.DataFrame, path: Path) -> dict[tuple[str, str], Matrix]:
    """Return each motif's matrices, (base, position), by its name and their kind."""
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
