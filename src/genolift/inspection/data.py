"""What a user's own sequences say for a config to start from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from genolift.data.fasta import read_fasta
from genolift.data.genome_index import StaleIndexError, indexed_genome
from genolift.data.intervals import read_intervals
from genolift.data.stored_sequences import read_sequences, read_source
from genolift.files.whole import existing_file

# The length in bases of a long chromosome of a genome that many use. No two genomes share one.
_GENOMES = {
    248_956_422: ("vertebrates", "Homo sapiens (hg38)"),
    249_250_621: ("vertebrates", "Homo sapiens (hg19)"),
    248_387_328: ("vertebrates", "Homo sapiens (T2T-CHM13)"),
    195_471_971: ("vertebrates", "Mus musculus (mm10)"),
    195_154_279: ("vertebrates", "Mus musculus (mm39)"),
    23_513_712: ("insects", "Drosophila melanogaster (dm6)"),
    15_072_434: ("nematodes", "Caenorhabditis elegans (ce11)"),
    1_531_933: ("fungi", "Saccharomyces cerevisiae (sacCer3)"),
    5_579_133: ("fungi", "Schizosaccharomyces pombe"),
    30_427_671: ("plants", "Arabidopsis thaliana (TAIR10)"),
}


@dataclass(frozen=True)
class Data:
    """The files of the sequences, or of windows on a genome, and what is known about them."""

    fasta: str | None = None
    bed: str | None = None
    genome: str | None = None
    length: int | None = None
    """Bases of every sequence or interval; None if they differ or are not known."""
    lengths: str = ""
    """The shortest and longest in words, if they differ."""
    group: str | None = None
    """JASPAR's taxonomic group, if the genome's chromosomes leave no doubt about it."""
    organism: str = ""


def data_of_store(path: Path) -> Data:
    """Return what ``sequences.h5`` says about itself and the files that it was made from.

    Raises
    ------
    InputError
        If it is missing or damaged.
    """
    stored = read_sequences(path)
    group, organism = _organism(stored.chromosomes)
    return Data(**read_source(path), length=stored.codes.shape[1], lengths="", group=group, organism=organism)


def data_of_files(fasta: Path | None, bed: Path | None, genome: Path | None) -> Data:
    """Return what the files of sequences, of intervals and of a genome say.

    Raises
    ------
    InputError
        If one is missing or cannot be read.
    """
    if bed is not None:
        length, lengths = _lengths(each.end - each.start for each in read_intervals(bed).intervals)
    elif fasta is not None:
        length, lengths = _lengths(len(record.letters) for record in read_fasta(fasta))
    else:
        length, lengths = None, ""
    group, organism = _organism(_chromosomes(genome)) if genome is not None else (None, "")
    given = {"fasta": fasta, "bed": bed, "genome": genome}
    paths = {name: None if path is None else str(path) for name, path in given.items()}
    return Data(**paths, length=length, lengths=lengths, group=group, organism=organism)


def _lengths(lengths: Iterable[int]) -> tuple[int | None, str]:
    found = sorted(set(lengths))
    if len(found) < 2:
        return (found[0] if found else None), ""
    return None, f"{found[0]:,} to {found[-1]:,}"


def _chromosomes(genome: Path) -> Mapping[str, int]:
    """Return the lengths of a genome's chromosomes if it has an index; the genome is not read."""
    existing_file(genome, where="--genome")
    try:
        with indexed_genome(genome) as indexed:
            return {} if indexed is None else indexed.lengths
    except StaleIndexError:
        return {}


def _organism(chromosomes: Mapping[str, int]) -> tuple[str | None, str]:
    found = {_GENOMES[length] for length in chromosomes.values() if length in _GENOMES}
    return found.pop() if len(found) == 1 else (None, "")
