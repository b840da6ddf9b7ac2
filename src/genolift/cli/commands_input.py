"""Subcommands that make what is attributed: encode and reference. Exit nowhere."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genolift.cli.model_flags import (
    add_input_flag,
    add_model_flags,
    add_rule_flags,
    held_spec,
    lengths_of_models,
    model_spec,
    models_of,
    specs_of_models,
)
from genolift.cli.subcommand import add_command
from genolift.errors import InputError
from genolift.files.output_paths import check_outputs
from genolift.settings import values
from genolift.settings.model import ONE_MODEL, is_rna

if TYPE_CHECKING:
    from genolift.settings.sections import Sequences


def add_encode(commands: Any) -> None:
    """Add ``genolift encode``."""

    def run(a: argparse.Namespace) -> None:
        from genolift.steps.encode import encode, with_length

        source = _source(a)
        if source.length is None and (a.model is not None or a.models):
            files = [file for spec in specs_of_models(a).values() for file in spec.files]
            check_outputs([a.table, a.out], inputs=files)
            source = with_length(source, lengths_of_models(a))
        summary = encode(source, table=a.table, store=a.out, rna=is_rna(a.alphabet))
        print(f"{summary.n_kept} of {summary.n_records} sequences of {summary.length} bp kept: {a.out}")

    parser = add_command(
        commands,
        "encode",
        run,
        "Turn FASTA, or BED/narrowPeak windows on a genome, into a table and a store of sequences.",
        "genolift encode --bed peaks.narrowPeak --genome genome.fa.gz --length 1000 "
        "--table sequences.tsv --out sequences.h5",
    )
    _add_source_flags(parser)
    parser.add_argument("--missing-chromosomes", choices=["error", "drop"], default="error")
    parser.add_argument("--table", type=Path, required=True, help="sequences.tsv to write")
    parser.add_argument("--out", type=Path, required=True, help="sequences.h5 to write")
    add_model_flags(parser, required=False)


def _add_source_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say where sequences are, and the models that may say their length."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--fasta", type=Path, help="sequences; plain, gzip or BGZF")
    source.add_argument(
        "--bed", type=Path, help="BED or narrowPeak; windows are centred on summit or midpoint"
    )
    parser.add_argument("--genome", type=Path, help="the genome's FASTA, with --bed")
    parser.add_argument(
        "--format",
        choices=["auto", "bed", "narrowPeak"],
        default="auto",
        help="what --bed is; auto tells it by the types of all columns",
    )
    parser.add_argument(
        "--length",
        type=values.as_config("sequences.length"),
        help="bases of a sequence; by default what the model says",
    )
    parser.add_argument("--center", choices=["summit", "midpoint"], default="summit")
    parser.add_argument(
        "--use-strand", action="store_true", help="reverse-complement windows on the - strand"
    )
    parser.add_argument(
        "--max-n-fraction",
        type=values.as_config("sequences.max_n_fraction"),
        default=0.1,
        help="drop sequences with more N (0.1)",
    )
    parser.add_argument(
        "--models",
        type=values.json_object,
        default={},
        help="several models that say the length, instead of --model: JSON, by name the keys of the config's "
        "section model",
    )


def _source(a: argparse.Namespace) -> Sequences:
    """Return where sequences are, as the flags say."""
    from genolift.settings.mistakes import checked
    from genolift.settings.sections import Sequences

    given = {name: getattr(a, name, None) for name in Sequences.model_fields}
    plain = {key: str(value) if isinstance(value, Path) else value for key, value in given.items()}
    return checked(Sequences, {key: value for key, value in plain.items() if value is not None}, "sequences")


def add_check(commands: Any) -> None:
    """Add ``genolift check``."""

    def run(a: argparse.Namespace) -> None:
        from genolift.results.agreement import agreement_in_words
        from genolift.steps.check import check_analysis

        held = held_spec(a)
        named = models_of(a)
        if not named and a.model is None:
            raise InputError("there is no model", where="--model", remedy="give its file, or --models")
        summary = check_analysis(
            models=named or {ONE_MODEL: model_spec(a)},
            source=_source(a),
            out=a.out,
            held=held,
            target=a.target,
            keep_final_activation=a.keep_final_activation,
            rule=a.rule,
            database=a.database,
        )
        models = f"{summary.n_models} models run" if summary.n_models > 1 else "the model runs"
        known = summary.database
        read = "" if known is None else f", and {len(known.motifs)} known motifs were read ({known.source})"
        agree = "".join(
            f", {'and' if name == ONE_MODEL else name} {agreement_in_words(found)}"
            for name, found in summary.agreements.items()
        )
        print(f"{models} on {summary.n_sequences} sequences of {summary.length} bp{agree}{read}: {a.out}")

    parser = add_command(
        commands,
        "check",
        run,
        "Run a model on the first two sequences and read the known motifs, to say what is wrong before "
        "anything long is begun.",
        "genolift check --fasta sequences.fa --model weights.pt --model-class model.py:Model "
        "--out check.json",
    )
    _add_source_flags(parser)
    add_model_flags(parser, required=False)
    add_input_flag(parser)
    add_rule_flags(parser)
    parser.add_argument(
        "--database", help="the known motifs to read too: jaspar:GROUP or a MEME file (default: none)"
    )
    parser.add_argument("--out", type=Path, required=True, help="what was run, JSON")


def add_reference(commands: Any) -> None:
    """Add ``genolift reference``."""

    def run(a: argparse.Namespace) -> None:
        from genolift.settings.mistakes import checked
        from genolift.settings.sections import References
        from genolift.steps.reference import write_references

        keys = ("kind", "number", "seed", "fasta", "frequencies")
        plain = {key: str(getattr(a, key)) if key == "fasta" else getattr(a, key) for key in keys}
        if a.fasta is None:
            del plain["fasta"]
        settings = checked(References, plain, "references")
        summary = write_references(settings, sequences=a.sequences, out=a.out, rna=is_rna(a.alphabet))
        shared = "shared by" if summary.shared else "for each of"
        print(
            f"{summary.number} references, {summary.kind}, {shared} {summary.n_sequences} sequences: {a.out}"
        )

    parser = add_command(
        commands,
        "reference",
        run,
        "Make what each sequence is compared with.",
        "genolift reference --sequences sequences.h5 --number 20 --seed 0 --out references.h5",
    )
    parser.add_argument("--sequences", type=Path, required=True, help="sequences.h5")
    kinds = ["dinucleotide_shuffle", "uniform_shuffle", "zeros", "base_frequencies", "fasta"]
    parser.add_argument("--kind", choices=kinds, default="dinucleotide_shuffle")
    parser.add_argument(
        "--number",
        type=values.as_config("references.number"),
        default=20,
        help="references for each sequence (20)",
    )
    parser.add_argument("--seed", type=values.as_config("references.seed"), default=0)
    parser.add_argument("--fasta", type=Path, help="the references, with --kind fasta")
    parser.add_argument("--alphabet", default="ACGT", help="the model's; where it has U, --fasta may too")
    parser.add_argument(
        "--frequencies",
        type=values.as_config("references.frequencies"),
        nargs=4,
        metavar=("A", "C", "G", "T"),
        help="with --kind base_frequencies",
    )
    parser.add_argument("--out", type=Path, required=True, help="references.h5 to write")
