"""TF-MoDISco: from contributions to seqlets and motifs.

The one place, with `modisco`, that calls the package ``modisco-lite``. Its arrays are (position, base); ours
are (base, position).
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from genolift.motifs.known import Matrix
from genolift.motifs.method import Method
from genolift.motifs.modisco import cache_compiled_code, numba_threads

_LOG = logging.getLogger("genolift")
_LARGEST_FRACTION = 0.2  # of all windows that may be seqlets
SIGNS = {"pos": 1, "neg": -1}


@dataclass(frozen=True)
class Motif:
    """A motif: TF-MoDISco's ``name``, matrices (base, position) by kind, and the trimmed range.

    ``seqlets`` are TF-MoDISco's, with ``example_idx``, ``start``, ``end`` and ``is_revcomp``.
    """

    name: str
    matrices: Mapping[str, Matrix]
    trim: tuple[int, int]
    seqlets: Sequence[Any]

    def trimmed(self, kind: str) -> Matrix:
        """Return its trimmed matrix of a kind: ``ppm``, ``cwm`` or ``hcwm``."""
        return self.matrices[kind][:, slice(*self.trim)]

    @property
    def strength(self) -> float:
        """The absolute contribution of all its seqlets, within the trimmed motif."""
        return float(np.abs(self.trimmed("cwm")).sum()) * len(self.seqlets)


@dataclass(frozen=True)
class Discovered:
    """TF-MoDISco's results: its ``seqlets`` and ``patterns`` by sign, ``pos`` and ``neg``; and the share of
    the strongest position below which a motif's ends are trimmed.
    """

    seqlets: Mapping[str, list[Any]]
    patterns: Mapping[str, list[Any]]
    trim_fraction: float

    @property
    def motifs(self) -> list[Motif]:
        """The patterns as motifs, strongest first."""
        return sorted(_motifs(self.patterns, self.trim_fraction), key=lambda motif: -motif.strength)


def discover(
    onehot: NDArray[np.int8],
    hypothetical: NDArray[np.float32],
    method: Method,
    *,
    threads: int = 1,
) -> Discovered:
    """Return the seqlets and patterns of one-hot sequences and their hypothetical contributions.

    Both are (sequence, base, position). With too few seqlets for a pattern, or none, there are no patterns;
    nothing is raised. Results do not depend on ``threads``.
    """
    cache_compiled_code()
    tracks, seqlets = _seqlets(onehot, hypothetical, method)
    with numba_threads(threads):
        patterns = {sign: _patterns(seqlets[sign], tracks, sign, method) for sign in SIGNS}
    return Discovered(seqlets, patterns, method.trim_fraction)


def _seqlets(
    onehot: NDArray[np.int8], hypothetical: NDArray[np.float32], method: Method
) -> tuple[Any, dict[str, list[Any]]]:
    """Return TF-MoDISco's tracks and its seqlets by sign, in sequence order.

    Of more than `Method.max_seqlets` of a sign the strongest are taken, and of equal ones the first.
    """
    from modiscolite import core

    # It sums seqlets by compiled code only if all three are float32.
    letters, hypothetical = (
        np.ascontiguousarray(values.transpose(0, 2, 1), np.float32) for values in (onehot, hypothetical)
    )
    track = letters * hypothetical
    tracks = core.TrackSet(one_hot=letters, contrib_scores=track, hypothetical_contribs=hypothetical)
    found: dict[str, list[Any]] = {sign: [] for sign in SIGNS}
    if track.shape[1] < method.seqlet_width or not track.any():
        return tracks, found
    placed, threshold = _place_seqlets(track.sum(2, dtype=np.float64), method)
    scores: dict[str, list[float]] = {sign: [] for sign in SIGNS}
    core_of_seqlet = slice(method.seqlet_flank, -method.seqlet_flank)
    for seqlet in tracks.create_seqlets(placed):
        score = seqlet.contrib_scores[core_of_seqlet].sum(dtype=np.float64)
        if abs(score) > threshold:
            sign = "pos" if score > 0 else "neg"
            found[sign].append(seqlet)
            scores[sign].append(abs(score))
    for sign, seqlets in found.items():
        if len(seqlets) > method.max_seqlets:
            _LOG.info("using the strongest %d of %d %s seqlets", method.max_seqlets, len(seqlets), sign)
            strongest = np.argsort(-np.array(scores[sign]), kind="stable")[: method.max_seqlets]
            found[sign] = [seqlets[at] for at in np.sort(strongest)]
    return tracks, found


def _place_seqlets(track: NDArray[np.float64], method: Method) -> tuple[list[Any], float]:
    """Return TF-MoDISco's seqlets on contributions (sequence, position), and the score threshold."""
    from modiscolite import extract_seqlets

    core, flank = method.seqlet_core, method.seqlet_flank
    sizes = {"window_size": core, "flank": flank, "suppress": core // 2 + flank}
    try:
        with np.errstate(all="ignore"):
            return extract_seqlets.extract_seqlets(
                track,
                **sizes,
                target_fdr=method.seqlet_fdr,
                min_passing_windows_frac=0.03,
                max_passing_windows_frac=_LARGEST_FRACTION,
                weak_threshold_for_counting_sign=0.8,
            )
    except (ZeroDivisionError, IndexError, ValueError) as error:
        # Its null is a Laplace distribution around the mode of window scores, sampled on both sides of 0.
        # With few windows, or windows of one sign, a side is empty: "division by zero", "index -1 is out of
        # bounds", or scikit-learn's "Sample weights must contain ...".
        _LOG.info("no null distribution for seqlets (%s): taking the strongest windows", error)
    sums = np.lib.stride_tricks.sliding_window_view(track, core, axis=1).sum(-1)
    threshold = np.quantile(np.abs(sums), 1 - _LARGEST_FRACTION)
    strong = np.where(np.abs(sums) >= max(threshold, np.finfo(float).tiny), np.abs(sums), -np.inf)
    strong[:, :flank] = strong[:, -flank:] = -np.inf
    placed = extract_seqlets._iterative_extract_seqlets(strong, **sizes)
    return placed, 0.0


def _patterns(seqlets: list[Any], tracks: Any, sign: str, method: Method) -> list[Any]:
    """Return TF-MoDISco's patterns for seqlets of one sign, largest first; none if there are too few."""
    from modiscolite import tfmodisco

    if len(seqlets) < max(2, method.min_seqlets) or len(seqlets) <= method.min_metacluster:
        return []
    try:
        # With few seqlets correlations between their neighbours are undefined; they are then set aside.
        with np.errstate(all="ignore"):
            return (
                tfmodisco.seqlets_to_patterns(
                    seqlets=list(seqlets),
                    track_set=tracks,
                    track_signs=SIGNS[sign],
                    trim_to_window_size=method.trim_width,
                    initial_flank_to_add=method.initial_flank,
                    final_flank_to_add=method.final_flank,
                    nearest_neighbors_to_compute=method.neighbors,
                    n_leiden_runs=method.leiden_runs,
                    final_min_cluster_size=method.min_seqlets,
                )
                or []
            )
    except ValueError as error:
        # The clustering's error if that has set all seqlets aside; any other ValueError is a bug.
        if not str(error).startswith("need at least one array to concatenate"):
            raise
        return []


def trim(cwm: Matrix, fraction: float) -> tuple[int, int]:
    """Return start and end, 0-based half-open, of a CWM, (base, position), without its weak ends.

    A position is weak if its absolute contribution is below ``fraction`` of the largest, as in TF-MoDISco's
    report. A CWM of zeros is not trimmed.
    """
    sizes = np.abs(cwm).sum(0)
    kept = np.flatnonzero(sizes >= fraction * sizes.max())
    return int(kept[0]), int(kept[-1]) + 1


def _motifs(patterns: Mapping[str, Sequence[Any]], trim_fraction: float) -> Iterator[Motif]:
    for sign, found in patterns.items():
        for number, pattern in enumerate(found):
            counts = np.asarray(pattern.sequence, np.float64).T
            matrices = {
                "ppm": counts / np.maximum(counts.sum(0, keepdims=True), 1e-9),
                "cwm": np.asarray(pattern.contrib_scores, np.float64).T,
                "hcwm": np.asarray(pattern.hypothetical_contribs, np.float64).T,
            }
            kept = trim(matrices["cwm"], trim_fraction)
            yield Motif(f"{sign}_patterns.pattern_{number}", matrices, kept, pattern.seqlets)


def save_patterns(
    path: Path, found: Discovered, *, width: int, note: str, provenance: Mapping[str, Any]
) -> None:
    """Write ``motifs.h5`` in TF-MoDISco's own layout, and our two attributes next to ``window_size``."""
    from modiscolite import io

    # In memory first: on a full disk the HDF5 library crashes the interpreter (see `hdf5_writing`).
    buffer = BytesIO()
    io.save_hdf5(buffer, found.patterns["pos"] or None, found.patterns["neg"] or None, width)
    with h5py.File(buffer, "a") as file:
        file.attrs["note"] = note
        file.attrs["provenance"] = json.dumps(provenance, sort_keys=True)
    path.write_bytes(buffer.getvalue())
