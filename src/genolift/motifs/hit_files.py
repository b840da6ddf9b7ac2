"""The files of hits: sites on the genome as BED, and the hits of every window as Fi-NeMo writes them."""

import gzip
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genolift.files.sorted_records import sorted_records
from genolift.motifs.hits import SoughtMotifs
from genolift.motifs.sites import Records
from genolift.motifs.windows import Windows

HIT_FILE = [
    *("chrom", "start", "end", "name", "score", "strand"),
    *("motif", "similarity", "coefficient", "importance", "windows", "key"),
]
"""The columns of ``hits.bed.gz``; ``hits_by_window.bed.gz`` has all but ``windows``."""
FINEMO_FILE = [
    *("chr", "start", "end", "start_untrimmed", "end_untrimmed", "motif_name"),
    *("hit_coefficient", "hit_coefficient_global", "hit_similarity", "hit_correlation"),
    *("hit_importance", "hit_importance_sq", "strand", "peak_name", "peak_id"),
]
"""The columns of ``hits_by_window.tsv.gz``: those of ``hits.tsv`` of Fi-NeMo 0.41."""
_AT_A_TIME = 20_000


@dataclass(frozen=True)
class HitFiles:
    """Writes hits of ``sought`` motifs in ``windows``; ``called`` has each motif's name and TF-MoDISco's."""

    windows: Windows
    sought: SoughtMotifs
    called: Sequence[tuple[str, str]]

    def write_sites(self, path: Path, found: Iterable[Records]) -> NDArray[np.int64]:
        """Write ``hits.bed.gz``, BGZF (SAM specification, section 4.1), sorted by chromosome, start and end.

        Return how many of the hits, which are ``found`` some at a time, each motif has, int64 (motif,).

        The first six columns are BED's, the others in `HIT_FILE`; the score is the similarity times 1000,
        ``coefficient`` and ``importance`` are Fi-NeMo's ``hit_coefficient_global`` and ``hit_importance``.
        For sequences from FASTA the chromosome is the id.
        """
        from Bio import bgzf

        counts = np.zeros(len(self.called), np.int64)
        with sorted_records(6) as by_place:
            for hits in found:
                counts += np.bincount(hits["motif"], minlength=len(counts))
                by_place.add(hits, *self._order(hits))
            with bgzf.BgzfWriter(str(path), "wb") as file:
                for hits in by_place.read(_AT_A_TIME):
                    file.write(_lines(self._bed(hits)[HIT_FILE]))
        return counts

    @contextmanager
    def by_window(self, bed: Path, table: Path) -> Iterator[Callable[[Records], None]]:
        """Write ``hits_by_window.bed.gz`` and ``.tsv.gz``, by a function of the next windows' hits.

        The first is as `write_sites` writes it, but in the order of the windows. The second has Fi-NeMo's own
        columns (its documentation, "Output files"), by which its tools read it: ``motif_name`` is
        TF-MoDISco's name, ``peak_id`` the sequence's row in ``contributions.h5``, and coordinates are 0-based
        half-open.
        """
        from Bio import bgzf

        by_window = [name for name in HIT_FILE if name != "windows"]
        with (
            bgzf.BgzfWriter(str(bed), "wb") as places,
            table.open("wb") as raw,
            gzip.GzipFile("", "wb", 6, raw, mtime=0) as rows,
        ):
            rows.write(("\t".join(FINEMO_FILE) + "\n").encode())

            def write(hits: Records) -> None:
                places.write(_lines(self._bed(hits)[by_window]))
                rows.write(_lines(self._of_finemo(hits)))

            yield write

    def _bed(self, hits: Records) -> pd.DataFrame:
        """Return hits in the columns of `HIT_FILE`, in another order."""
        return self._located(hits).assign(
            name=[self.called[motif][0] for motif in hits["motif"]],
            score=np.round(1000 * hits["similarity"].astype(float)).astype(int),
            motif=[self.called[motif][1] for motif in hits["motif"]],
            similarity=_texts(hits["similarity"]),
            coefficient=_texts(hits["coefficient_global"]),
            importance=_texts(hits["importance"]),
            windows=hits["windows"],
            key=self.windows.store.key[hits["row"]],
        )

    def _of_finemo(self, hits: Records) -> pd.DataFrame:
        """Return hits in the columns of `FINEMO_FILE`."""
        whole = self._located(hits, whole=True)
        table = self._located(hits).rename(columns={"chrom": "chr"})
        table = table.assign(
            start_untrimmed=whole["start"],
            end_untrimmed=whole["end"],
            motif_name=[self.called[motif][1] for motif in hits["motif"]],
            hit_coefficient=_texts(hits["coefficient"]),
            hit_coefficient_global=_texts(hits["coefficient_global"]),
            hit_similarity=_texts(hits["similarity"]),
            hit_correlation=_texts(hits["similarity"]),
            hit_importance=_texts(hits["importance"]),
            hit_importance_sq=_texts(hits["importance_sq"]),
            peak_name=self.windows.names(hits["row"]),
            peak_id=hits["row"],
        )
        return table[FINEMO_FILE]

    def _order(self, hits: Records) -> list[NDArray[np.integer]]:
        """Return what ``hits.bed.gz`` is sorted by: chromosome, place, strand, motif and window."""
        row, located = hits["row"], self._located(hits)
        start, end = (located[name].to_numpy(np.int64) for name in ("start", "end"))
        reverse = (located["strand"] == "-").to_numpy(bool).astype(np.int8)
        return [self.windows.reference_order[row], start, end, reverse, hits["motif"], row]

    def _located(self, hits: Records, *, whole: bool = False) -> pd.DataFrame:
        """Return where hits are, or the whole CWMs, with the ends that are trimmed; see `Windows.located`."""
        start, width = hits["start"].astype(np.int64), self.sought.widths[hits["motif"]]
        if whole:
            start, width = self.sought.untrimmed(hits), np.full(len(hits), self.sought.width)
        strand = np.where(hits["reverse"], "-", "+")
        return self.windows.located(hits["row"], start, start + width, strand)


def _texts(values: NDArray[np.float32]) -> list[str]:
    return [f"{value:.5g}" for value in values.tolist()]


def _lines(table: pd.DataFrame) -> bytes:
    lines = ("\t".join(map(str, line)) + "\n" for line in table.itertuples(index=False, name=None))
    return "".join(lines).encode()
