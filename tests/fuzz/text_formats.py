"""FASTA, BED, MEME and YAML: our readers, compared with Biopython, pandas and PyYAML's C parser."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from Bio.SeqIO.FastaIO import SimpleFastaParser
from genome_letters import read_windows
from pydantic import ByteSize

from fuzz import grammars
from fuzz.intervals_of_pandas import intervals_of_pandas, text_of
from fuzz.judging import difference
from fuzz.mutations import TEXT
from fuzz.running import Format
from genolift.data.fasta import codes_of_letters, read_fasta
from genolift.data.intervals import read_intervals
from genolift.motifs.databases import read_meme
from genolift.settings.config import resolve_config
from genolift.settings.reading import read_yaml

_FASTA = ">one words\nACGTacgtNN\nRYSW\n>two\n>three\nTTTTGGGG\n"
_GENOME = ">chr1 words\nACGTACGTAC\nGGGTTTAAAC\nACGT\n>chr2\nTTTTTTTTTT\nCCCCC\n"
_PEAKS = "".join(
    f"chr{1 + n % 2}\t{n}\t{n + 9}\tpeak{n}\t{n}\t{'+-.'[n % 3]}\t1.5\t2.5\t-1\t{n}\n" for n in range(8)
)


def _written(texts: Mapping[str, str]) -> Any:
    def write(folder: Path) -> list[Path]:
        for name, text in texts.items():
            (folder / name).write_text(text, "utf-8")
        return [folder / name for name in texts]

    return write


# FASTA


def _fasta(path: Path) -> Any:
    return [
        (record.name, codes_of_letters(record.letters, where=f"{path}:{record.line}", rna=True))
        for record in read_fasta(path)
    ]


_CODES = {**{letter: code for code, letter in enumerate("ACGT")}, "U": 3} | dict.fromkeys("NRYSWKMBDHV", 4)


def _fasta_of_biopython(path: Path) -> Any:
    return [
        (
            title.split()[0],
            np.array([_CODES[letter] for letter in "".join(letters.split()).upper()], dtype=np.uint8),
        )
        for title, letters in SimpleFastaParser(io.StringIO(text_of(path)))
    ]


_PLACES = [
    (f"chr{n % 3 + 1}", start, start + size)
    for n in range(3)
    for start in range(-1, 24, 3)
    for size in (1, 7)
]


def _indexed(path: Path) -> Path:
    genome = path.with_suffix("")
    genome.write_text(_GENOME)
    path.touch()
    return genome


def _windows(path: Path) -> Any:
    letters, lengths = read_windows(_indexed(path), _PLACES)
    return [one and one.upper() for one in letters], dict(lengths)


def _windows_of_biopython(path: Path) -> Any:
    genome = {title.split()[0]: letters for title, letters in SimpleFastaParser(io.StringIO(_GENOME))}
    lengths = {name: len(letters) for name, letters in genome.items()}
    inside = [chrom in genome and start >= 0 and end <= lengths[chrom] for chrom, start, end in _PLACES]
    letters = [
        genome[chrom][start:end].encode() if there else None
        for (chrom, start, end), there in zip(_PLACES, inside, strict=True)
    ]
    return letters, lengths


_INDEX = "chr1\t24\t12\t10\t11\nchr2\t15\t45\t10\t11\n"

# BED


def _intervals(path: Path) -> Any:
    return [
        (each.chrom, each.start, each.end, each.name, each.strand, each.summit)
        for each in read_intervals(path).intervals
    ]


# MEME


def _motifs(path: Path) -> Any:
    return [(each.accession, each.name, each.ppm.round(6)) for each in read_meme(path).motifs]


def _motifs_by_pattern(path: Path) -> Any:
    """Read motifs by the format's description: a MOTIF line, a heading, and ``w`` rows of numbers."""
    blocks = re.split(r"(?m)^[^\S\n]*MOTIF(?=\s)", text_of(path))[1:]
    found = []
    for block in blocks:
        names = block.split("\n")[0].split()
        _, heading, after = re.split(r"(?m)^[^\S\n]*(letter-probability[^\n]*)\n", block + "\n")[:3]
        rows = re.match(r"((?:\s*[-+]?\.?\d[^\n]*\n)*)", after)[1]  # type: ignore[index]
        matrix = np.array(
            [[float(word) for word in row.split()] for row in rows.split("\n") if row.strip()]
        ).T
        promised = re.search(r"w=\s*(\d+)", heading)
        if matrix.shape[0] != 4 or (promised and int(promised[1]) != matrix.shape[1]):
            raise ValueError(f"a matrix of {matrix.shape} under {heading}")
        found.append((names[0], names[1] if len(names) > 1 else names[0], (matrix / matrix.sum(0)).round(6)))
    return found


def _difference_of_motifs(ours: Sequence[Any], theirs: Sequence[Any]) -> str:
    if [each[:2] for each in ours] != [each[:2] for each in theirs]:
        return f"names: {[each[:2] for each in ours]}, not {[each[:2] for each in theirs]}"
    for (name, _, one), (_, _, other) in zip(ours, theirs, strict=True):
        if one.shape != other.shape or not np.allclose(one, other, atol=2e-6, rtol=0):
            return f"matrix: of {name!r}, {one.tolist()}, not {other.tolist()}"
    return ""


_MEME = """MEME version 4

ALPHABET= ACGT

strands: + -

Background letter frequencies
A 0.25 C 0.25 G 0.25 T 0.25

MOTIF MA0001.1 first
letter-probability matrix: alength= 4 w= 3 nsites= 20 E= 0
 0.1  0.2  0.3  0.4
 1.0  0.0  0.0  0.0
 0.25 0.25 0.25 0.25
URL http://example.org/1

MOTIF second
letter-probability matrix: alength= 4 w= 2 nsites= 7 E= 1e-3
0.000000 0.500000 0.500000 0.000000
0.970000 0.010000 0.010000 0.010000
"""

# YAML


def _yaml(path: Path) -> Any:
    return read_yaml(path)


def _yaml_of_libyaml(path: Path) -> Any:
    return yaml.load(text_of(path), Loader=yaml.CSafeLoader)


def _config(path: Path) -> Any:
    for name in ("model.pt", "model.py", "seqs.fa", "peaks.bed"):
        (path.parent / name).touch()
    with chdir(path.parent):
        config = resolve_config(read_yaml(path), str(path))
    return dict(config.analyses)


def _given(path: Path) -> Any:
    return _yaml_of_libyaml(path)


def _difference_of_settings(ours: Mapping[str, Any], theirs: Mapping[Any, Any]) -> str:
    """Return a value of a config that did not arrive in the analyses made from it."""
    analyses = {str(name): value or {} for name, value in theirs["analyses"].items()}
    if set(analyses) != set(ours):
        return f"analyses: {list(ours)}, not {list(analyses)}"
    for name, own in analyses.items():
        defaults = theirs.get("defaults") or {}
        for section in ("sequences", "references", "attribution", "motifs", "logos", "report"):
            given = {**(defaults.get(section) or {}), **(own.get(section) or {})}
            for key, value in given.items():
                made = getattr(getattr(ours[name], section), key)
                if not _is_same_setting(made, value):
                    return f"{section}.{key}: {made!r}, not {value!r}"
        for key in ("target", "rule", "keep_final_activation"):
            value = own.get(key, defaults.get(key))
            if value is not None and not _is_same_setting(getattr(ours[name], key), value):
                return f"{key}: {getattr(ours[name], key)!r}, not {value!r}"
    return ""


def _is_same_setting(made: Any, given: Any) -> bool:
    if given is None:
        return True  # as if it were missing
    if isinstance(made, ByteSize) and isinstance(given, str):
        return made == _bytes(given)
    if isinstance(made, float) and isinstance(given, str):
        return made == float(given)
    if isinstance(made, tuple):
        return list(made) == given
    return bool(made == given) and isinstance(made, bool) == isinstance(given, bool)


def _bytes(amount: str) -> int:
    """Return the bytes of an amount such as 2G (2 * 1000**3) or 1.5 GiB (1.5 * 1024**3)."""
    number, prefix, binary = re.fullmatch("([0-9.]+) ?([KMGT]?)(I?)B?", amount.upper()).groups()  # type: ignore[union-attr]
    return int(float(number) * (1024 if binary else 1000) ** " KMGT".index(prefix or " "))


_CONFIG = """# words
results: results/x
defaults:
  references: {kind: dinucleotide_shuffle, number: 5}
  attribution:
    shards: 2
    tolerance: 1e-3
analyses:
  first:
    model: {path: model.pt, class: "model.py:Small"}
    sequences:
      fasta: seqs.fa
      length: 30
    target: 0
  second:
    model: {path: model.pt, class: "model.py:Small"}
    sequences: &windows
      bed: peaks.bed
      genome: seqs.fa
      length: 30
    references: {seed: 7}
    motifs: {window: 30, max_seqlets: 100}
    report: {title: "Peaks: those of May"}
"""


TEXT_FORMATS = tuple(
    Format(name, suffix, read, other, _written({"valid": text}), grammar, TEXT, compared)
    for name, suffix, read, other, text, grammar, compared in (
        ("fasta", ".fa", _fasta, _fasta_of_biopython, _FASTA, grammars.FASTA, difference),
        ("fai", ".fa.fai", _windows, _windows_of_biopython, _INDEX, None, difference),
        ("bed", ".bed", _intervals, intervals_of_pandas, _PEAKS, grammars.BED, difference),
        ("narrowpeak", ".bed", _intervals, intervals_of_pandas, _PEAKS, grammars.NARROW_PEAK, difference),
        ("meme", ".meme", _motifs, _motifs_by_pattern, _MEME, grammars.MEME, _difference_of_motifs),
        ("yaml", ".yaml", _yaml, _yaml_of_libyaml, _CONFIG, grammars.YAML, difference),
        ("config", ".yaml", _config, _given, _CONFIG, grammars.CONFIG, _difference_of_settings),
    )
)
