"""The commands that make what is attributed: encode, check and reference."""

from __future__ import annotations

from pathlib import Path

from genolift.cli.command import command
from genolift.errors import InputError
from genolift.settings.model import ONE_MODEL
from genolift.settings.sections import EXPLAINED, EXTRAS, Settings
from genolift.settings.types import Database


@command("sequences", "model", "models", "extra_channels")
def encode(settings: Settings, table: Path, out: Path) -> None:
    """Turn FASTA, or BED/narrowPeak windows on a genome, into a table and a store of sequences.

    Parameters
    ----------
    table
        sequences.tsv to write
    out
        sequences.h5 to write

    Example
    -------
    genolift encode --bed peaks.narrowPeak --genome genome.fa.gz --length 1000
    --table sequences.tsv --out sequences.h5
    """
    from genolift.steps.encode import encode_analysis

    summary = encode_analysis(settings, table=table, store=out)
    print(f"{summary.n_kept} of {summary.n_records} sequences of {summary.length} bp kept: {out}")


@command("sequences", "model", "models", *EXTRAS, *EXPLAINED)
def check(settings: Settings, out: Path, database: Database | None = None) -> None:
    """Run a model on the first two sequences and read the known motifs, to say what is wrong before anything
    long is begun.

    Parameters
    ----------
    out
        what was run, JSON
    database
        the known motifs to read too: jaspar:GROUP or a MEME file; by default none

    Example
    -------
    genolift check --fasta sequences.fa --model weights.pt --model-class model.py:Model --out check.json
    """
    from genolift.results.agreement import agreement_in_words
    from genolift.steps.check import check_analysis

    if not any(spec.path for spec in settings.models.values()):
        raise InputError("there is no model", where="model", remedy="give its file (--model), or --models")
    summary = check_analysis(settings, out=out, database=database)
    models = f"{summary.n_models} models run" if summary.n_models > 1 else "the model runs"
    known = summary.database
    read = "" if known is None else f", and {len(known.motifs)} known motifs were read ({known.source})"
    agree = "".join(
        f", {'and' if name == ONE_MODEL else name} {agreement_in_words(found)}"
        for name, found in summary.agreements.items()
    )
    print(f"{models} on {summary.n_sequences} sequences of {summary.length} bp{agree}{read}: {out}")


@command("references", "model.alphabet")
def reference(settings: Settings, sequences: Path, out: Path) -> None:
    """Make what each sequence is compared with.

    Parameters
    ----------
    sequences
        sequences.h5
    out
        references.h5 to write

    Example
    -------
    genolift reference --sequences sequences.h5 --number 20 --seed 0 --out references.h5
    """
    from genolift.steps.reference import write_references

    rna = settings.rna_alphabet is not None
    summary = write_references(settings.references, sequences=sequences, out=out, rna=rna)
    shared = "shared by" if summary.shared else "for each of"
    print(f"{summary.number} references, {summary.kind}, {shared} {summary.n_sequences} sequences: {out}")
