"""A made-up genome with its index, and windows on it as narrowPeak or as FASTA, of any number."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np

BASES = np.frombuffer(b"ACGT", np.uint8)
CHROMOSOMES = 5
LINE = 60


def write_genome(path: Path, bases: int, sites: Sequence[str] = (), every: int = 300) -> Path:
    """Write a genome of five chromosomes of equal length, upper case, and its .fai; return its path.

    One of ``sites`` is planted every so many bases.
    """
    random = np.random.default_rng(0)
    length = max(LINE, bases // CHROMOSOMES // LINE * LINE)
    index = []
    with path.open("wb") as file:
        for number in range(CHROMOSOMES):
            file.write(f">chr{number + 1}\n".encode())
            index.append(f"chr{number + 1}\t{length}\t{file.tell()}\t{LINE}\t{LINE + 1}\n")
            lines = np.full((length // LINE, LINE + 1), ord("\n"), np.uint8)
            letters = BASES[random.integers(0, 4, length)]
            for start in range(0, length - every, every) if sites else ():
                site = np.frombuffer(sites[random.integers(len(sites))].encode(), np.uint8)
                first = start + int(random.integers(every - len(site)))
                letters[first : first + len(site)] = site
            lines[:, :LINE] = letters.reshape(-1, LINE)
            file.write(lines.tobytes())
    path.with_name(f"{path.name}.fai").write_text("".join(index))
    return path


def write_peaks(path: Path, genome: Path, n: int, margin: int) -> Path:
    """Write ``n`` peaks as narrowPeak, their summits at least ``margin`` bases from a chromosome's ends."""
    index = [line.split("\t") for line in Path(f"{genome}.fai").read_text().splitlines()]
    random = np.random.default_rng(1)
    chrom = np.sort(random.integers(0, len(index), n))
    summit = random.integers(margin + 200, int(index[0][1]) - margin - 200, n)
    with path.open("w") as file:
        for number in np.lexsort((summit, chrom)).tolist():
            start = int(summit[number]) - 80
            place = f"{index[chrom[number]][0]}\t{start}\t{start + 200}\tpeak_{number}"
            file.write(f"{place}\t{number % 1000}\t.\t{number % 97}.5\t12.25\t9.5\t80\n")
    return path


def write_sequences(path: Path, n: int, length: int) -> Path:
    """Write ``n`` random sequences as FASTA compressed with gzip."""
    random = np.random.default_rng(2)
    with gzip.open(path, "wb", compresslevel=1) as file:
        for number in range(n):
            file.write(f">peak_{number}\n".encode() + BASES[random.integers(0, 4, length)].tobytes() + b"\n")
    return path
