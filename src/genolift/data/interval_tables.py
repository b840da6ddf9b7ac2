"""Tables of intervals that are not BED: recognised by their header or first row, and read or refused.

Most of them count bases from 1, whereas BED counts from 0: read as BED, they would give windows that are off
by one, or by more if their summit is lost.
"""

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from genolift.errors import InputError

_WHOLE = re.compile(r"-?[0-9]+")
_REGION = re.compile(r"[^:\s]+:[0-9,]+-[0-9,]+")
_GFF_STRANDS = ("+", "-", ".", "?")
_HOMER_STRANDS = ("+", "-", ".", "0", "1")
_SAM_HEADER = ("@HD", "@SQ", "@RG", "@PG", "@CO")


@dataclass(frozen=True)
class Layout:
    """Which column of a table is which, counted from 0; None if it has none.

    ``first`` is the number of a chromosome's first base. With 1 the end is the last base's number, with 0 the
    one after it, as in BED. ``summit`` is a position, counted like the start. ``skipped`` columns come before
    all these, and ``columns`` is the number of names in the header, if there is one.
    """

    called: str
    chrom: int = 0
    start: int = 1
    end: int = 2
    name: int | None = 3
    strand: int | None = 5
    summit: int | None = None
    first: int = 0
    skipped: int = 0
    columns: int | None = None

    @property
    def is_bed(self) -> bool:
        """Whether the columns, except those skipped, are BED's."""
        return self.first == 0


BED = Layout("BED")
_UCSC = Layout("a UCSC table, whose first column is its bin", skipped=1)
# featureCounts' SAF is the same but for its header; both count from 1 and include the end
# (http://homer.ucsd.edu/homer/ngs/formats.html, the Subread users' guide).
_NAME_FIRST = Layout(
    "a table of HOMER's or SAF (name, chromosome, start, end, strand), which counts from 1",
    name=0,
    chrom=1,
    start=2,
    end=3,
    strand=4,
    first=1,
)


def layout_of_header(fields: Sequence[str], path: str | os.PathLike[str]) -> Layout | None:
    """Return the layout of a table with this header line; None if no known table has it.

    Raises
    ------
    InputError
        For a table that cannot be read correctly.
    """
    names = [field.strip('"').lstrip("#").strip().lower() for field in fields]
    name = names.index("name") if "name" in names else None
    match names:
        case ["chr", "start", "end", "length", "abs_summit", *_]:
            called = "the table of MACS (_peaks.xls), which counts from 1"
            layout = Layout(called, name=name, strand=None, summit=4, first=1)
        case ["chr", "start", "end", "length", "pileup", *_]:
            called = "the table of MACS (_peaks.xls), which counts from 1"
            layout = Layout(called, name=name, strand=None, first=1)
        case ["chr", "start", "end", "length", "summit", "tags", *_]:
            raise InputError(
                "is the table of MACS 1, whose summits are offsets",
                where=str(path),
                remedy="give the _summits.bed that MACS wrote beside it",
            )
        case [peak, "chr", "start", "end", "strand", *_] if peak.startswith("peakid") or peak == "geneid":
            layout = _NAME_FIRST
        case ["seqnames", "start", "end", "width", "strand", *_]:
            called = "a table of R's GRanges, which counts from 1"
            layout = Layout(called, name=name, strand=4, first=1)
        case ["bin", "chrom", "chromstart", "chromend", *_]:
            layout = _UCSC
        case _:
            return None
    return replace(layout, columns=len(fields))


def check_comment(line: str, path: str | os.PathLike[str]) -> None:
    """Raise `InputError` for a comment line with which other formats than BED begin."""
    if line.startswith(("##fileformat=VCF", "#CHROM\tPOS\t")):
        raise _other(_VCF, path)
    if line.startswith("##gff-version"):
        raise _other(_GFF, path)


def layout_of_row(fields: Sequence[str], line: str, path: str | os.PathLike[str], number: int) -> Layout:
    """Return the layout of a table without a known header by its first row; `BED` unless it shows another.

    Raises
    ------
    InputError
        If it is known not to be BED or intervals, with a command that converts it to BED.
    """
    where = f"{path}:{number}"
    if line.startswith(">"):
        raise InputError(
            "is FASTA, not intervals", where=where, remedy="give it as sequences.fasta (--fasta)"
        )
    if fields[0] in _SAM_HEADER:
        raise _other(_PICARD, path)
    if any(len(text) > 1 and text[0] == text[-1] == '"' for text in fields[:4]):
        raise _quoted(where)
    if len(fields) == 1 and _REGION.fullmatch(fields[0]):
        awk = '{gsub(",", ""); print $1, $2 - 1, $3}'
        raise InputError(
            "is a region as chr:start-end, which counts from 1",
            where=where,
            remedy=_made_by(awk, path, separator="[:-]"),
        )
    if len(fields) < 3 or (_is_whole(fields[1]) and _is_whole(fields[2]) and not _has_bin(fields)):
        return BED
    if _has_bin(fields):
        return _UCSC
    if len(fields) >= 8 and _is_whole(fields[3]) and _is_whole(fields[4]) and fields[6] in _GFF_STRANDS:
        raise _other(_GFF, path)
    if len(fields) >= 5 and _is_whole(fields[2]) and _is_whole(fields[3]) and fields[4] in _HOMER_STRANDS:
        return _NAME_FIRST
    if len(fields) >= 8 and _is_whole(fields[1]) and re.fullmatch("[ACGTNacgtn]+", fields[3]):
        raise _other(_VCF, path)
    if not any(re.match(r"[-+.]?[0-9]", text) for text in fields[1:3]):
        raise InputError(
            f"is not an interval: column 2 is {fields[1]!r}",
            where=where,
            remedy="if it is a header, start it with '#', and if the starts are counted from 1, as in tables "
            "of R and in GFF, subtract 1 from each",
        )
    return BED


def _is_whole(text: str) -> bool:
    return bool(_WHOLE.fullmatch(text))


def _has_bin(fields: Sequence[str]) -> bool:
    """Whether the first column is the bin of the interval in columns 3 and 4, as in UCSC's tables
    (http://genomewiki.ucsc.edu/index.php/Bin_indexing_system).
    """
    if len(fields) < 4 or not all(_is_whole(fields[at]) and len(fields[at]) < 12 for at in (0, 2, 3)):
        return False
    start, end = int(fields[2]), int(fields[3]) - 1
    if not 0 <= start <= end:
        return False
    for level, offset in enumerate((585, 73, 9, 1, 0)):
        shift = 17 + 3 * level
        if start >> shift == end >> shift:
            return int(fields[0]) == offset + (start >> shift)
    return False


def _made_by(awk: str, path: str | os.PathLike[str], *, separator: str = r"\t") -> str:
    """Return the remedy that converts a file to BED with awk."""
    file = Path(path)
    source = f"gunzip -c {shlex.quote(str(file))} | " if file.suffix in (".gz", ".bgz") else ""
    given = "" if source else f" {shlex.quote(str(file))}"
    out = shlex.quote(f"{file.name}.bed")
    return f"convert it to BED: {source}awk -F'{separator}' -v OFS='\\t' '{awk}'{given} > {out}"


_CONVERTED = {
    "VCF, which counts from 1": "!/^#/ {print $1, $2 - 1, $2 - 1 + length($4), $3}",
    "GFF or GTF, which counts from 1": '!/^#/ && NF > 7 {print $1, $4 - 1, $5, ".", 0, $7}',
    "an interval list of Picard's, which counts from 1 (or SAM)": "!/^@/ {print $1, $2 - 1, $3, $5, 0, $4}",
}
"""Formats, and the awk program that converts each to BED."""
_VCF, _GFF, _PICARD = _CONVERTED


def _other(form: str, path: str | os.PathLike[str]) -> InputError:
    genes = ' (for genes only: $3 == "gene" instead of !/^#/)' if form == _GFF else ""
    return InputError(f"is {form}", where=str(path), remedy=_made_by(_CONVERTED[form], path) + genes)


def _quoted(where: str) -> InputError:
    return InputError(
        "has text in quotes, as R's write.table does, and does not say whether it counts from 1",
        where=where,
        remedy='in R write the ranges with rtracklayer::export(ranges, "peaks.bed"), or a table with '
        'write.table(table, "peaks.bed", quote = FALSE, sep = "\\t", row.names = FALSE, col.names = FALSE), '
        "its starts counted from 0",
    )
