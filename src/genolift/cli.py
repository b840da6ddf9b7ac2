"""The command line: one subcommand for each workflow rule. Parses, says what was done, and exits; no more.

Exit codes: 0, 2 for the user's mistake (one line on standard error), 1 for a fault.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from genolift import values
from genolift.errors import InputError
from genolift.model_flags import add_model_flags, add_rule_flags, length_of_model, model_spec


class _Parser(argparse.ArgumentParser):
    """Says a mistake in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command given in ``argv`` and exit."""
    parser = make_parser()
    arguments = parser.parse_args(argv)
    _log_to_stderr(arguments.quiet)
    try:
        arguments.run(arguments)
    except InputError as error:
        print(f"genolift: error: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        print("genolift: stopped", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)


def _log_to_stderr(quiet: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("genolift: %(message)s"))
    logger = logging.getLogger("genolift")
    logger.handlers = [handler]
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    logger.propagate = False


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all subcommands."""
    parser = _Parser(
        prog="genolift", description="Which bases made the model say that: DeepLIFT for models of DNA."
    )
    from genolift import __version__

    parser.add_argument("--version", action="version", version=f"genolift {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    for add in (
        _encode,
        _reference,
        _attribute,
        _aggregate,
        _motifs,
        _logos,
        _report,
        _plan,
        _train_demo,
        _check_config,
    ):
        add(commands)
    return parser


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], None], about: str, example: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=about,
        description=about,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quiet", action="store_true", help="say warnings and errors only")
    parser.set_defaults(run=run)
    return parser


def _encode(commands: Any) -> None:
    def run(a: argparse.Namespace) -> None:
        from genolift.sequences import encode

        length = a.length
        if length is None and a.model is not None:
            length = length_of_model(a)
        summary = encode(
            table=a.table,
            store=a.out,
            length=length,
            fasta=a.fasta,
            bed=a.bed,
            genome=a.genome,
            center=a.center,
            use_strand=a.use_strand,
            max_n_fraction=a.max_n_fraction,
            missing_chromosomes=a.missing_chromosomes,
        )
        print(f"{summary.n_kept} of {summary.n_records} sequences of {summary.length} bp kept: {a.out}")

    parser = _command(
        commands,
        "encode",
        run,
        "Turn FASTA, or BED/narrowPeak windows on a genome, into a table and a store of sequences.",
        "genolift encode --bed peaks.narrowPeak --genome genome.fa.gz --length 1000 "
        "--table sequences.tsv --out sequences.h5",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--fasta", type=Path, help="sequences; plain, gzip or BGZF")
    source.add_argument(
        "--bed", type=Path, help="BED or narrowPeak; windows are centred on summit or midpoint"
    )
    parser.add_argument("--genome", type=Path, help="the genome's FASTA, with --bed")
    parser.add_argument(
        "--length", type=values.positive, help="bases of a sequence; by default what the model says"
    )
    parser.add_argument("--center", choices=["summit", "midpoint"], default="summit")
    parser.add_argument(
        "--use-strand", action="store_true", help="reverse-complement windows on the - strand"
    )
    parser.add_argument("--max-n-fraction", type=float, default=0.1, help="drop sequences with more N (0.1)")
    parser.add_argument("--missing-chromosomes", choices=["error", "drop"], default="error")
    parser.add_argument("--table", type=Path, required=True, help="sequences.tsv to write")
    parser.add_argument("--out", type=Path, required=True, help="sequences.h5 to write")
    add_model_flags(parser, required=False)


def _reference(commands: Any) -> None:
    def run(a: argparse.Namespace) -> None:
        from genolift.references import write_references

        summary = write_references(
            sequences=a.sequences,
            out=a.out,
            kind=a.kind,
            number=a.number,
            seed=a.seed,
            fasta=a.fasta,
            frequencies=a.frequencies,
        )
        shared = "shared by" if summary.shared else "for each of"
        print(
            f"{summary.number} references, {summary.kind}, {shared} {summary.n_sequences} sequences: {a.out}"
        )

    parser = _command(
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
        "--number", type=values.positive, default=20, help="references for each sequence (20)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fasta", type=Path, help="the references, with --kind fasta")
    parser.add_argument(
        "--frequencies",
        type=float,
        nargs=4,
        metavar=("A", "C", "G", "T"),
        help="with --kind base_frequencies",
    )
    parser.add_argument("--out", type=Path, required=True, help="references.h5 to write")


def _attribute(commands: Any) -> None:
    def run(a: argparse.Namespace) -> None:
        from genolift.attribute import attribute
        from genolift.progress import shown_progress

        with shown_progress("attribute", "pair") as progress:
            summary = attribute(
                sequences=a.sequences,
                references=a.references,
                model=model_spec(a),
                out=a.out,
                target=int(a.target) if a.target.isdecimal() else a.target,
                rule=a.rule,
                tolerance=a.tolerance,
                batch_size=a.batch_size,
                memory=a.memory,
                device=a.device,
                precision=a.precision,
                shard=a.shard,
                progress=progress,
            )
        resumed = f", {summary.n_resumed} of them from an earlier run" if summary.n_resumed else ""
        print(
            f"{summary.n_sequences} sequences{resumed} ({summary.n_pairs} pairs) on {summary.device} in "
            f"{summary.seconds:.1f} s, largest relative convergence error {summary.largest_error:.1e}: "
            f"{a.out}"
        )

    parser = _command(
        commands,
        "attribute",
        run,
        "Run DeepLIFT on every sequence against each of its references.",
        "genolift attribute --sequences sequences.h5 --references references.h5 --model weights.pt "
        "--model-class model.py:Model --target 0 --out contributions.h5",
    )
    parser.add_argument("--sequences", type=Path, required=True, help="sequences.h5")
    parser.add_argument("--references", type=Path, required=True, help="references.h5")
    add_model_flags(parser, required=True)
    add_rule_flags(parser)
    parser.add_argument(
        "--tolerance", type=float, default=1e-3, help="largest relative convergence error (0.001)"
    )
    parser.add_argument(
        "--batch-size", type=values.positive_or_auto, default=None, help="pairs at a time, or auto"
    )
    parser.add_argument("--memory", type=values.memory, help="memory to stay under, such as 4GB")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1")
    parser.add_argument("--precision", default="float32", choices=["float32", "float64", "tf32", "bfloat16"])
    parser.add_argument(
        "--shard", type=values.shard, default=(0, 1), metavar="I/K", help="the I-th of K shards, from 0"
    )
    parser.add_argument("--out", type=Path, required=True, help="the file of contributions to write")


def _aggregate(commands: Any) -> None:
    def run(a: argparse.Namespace) -> None:
        from genolift.aggregate import aggregate

        summary = aggregate(shards=a.shards, sequences=a.sequences, out=a.out)
        track = (
            f", {summary.n_genome_bases} bases of the genome in the track" if summary.n_genome_bases else ""
        )
        print(f"{summary.n_sequences} sequences of {summary.length} bp{track}: {a.out}")

    parser = _command(
        commands,
        "aggregate",
        run,
        "Merge shards to contributions.h5, and write its tables and track.",
        "genolift aggregate --sequences sequences.tsv --shards shard-*.h5 --out results/mine",
    )
    parser.add_argument("--sequences", type=Path, required=True, help="sequences.tsv")
    parser.add_argument("--shards", type=Path, nargs="+", required=True, help="files of the attribute step")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")


def _motifs(commands: Any) -> None:
    def run(a: argparse.Namespace) -> None:
        from genolift.motifs import find_motifs

        summary = find_motifs(
            contributions=a.contributions,
            sequences=a.sequences,
            out=a.out,
            database=a.database,
            window=a.window,
            max_seqlets=a.max_seqlets,
            seed=a.seed,
        )
        note = f" ({summary.note})" if summary.note else ""
        print(
            f"{summary.n_motifs} motifs of {summary.n_seqlets} seqlets, {summary.n_hits} hits{note}: {a.out}"
        )

    parser = _command(
        commands,
        "motifs",
        run,
        "Find motifs (TF-MoDISco), name them (Tomtom) and find their occurrences (Fi-NeMo).",
        "genolift motifs --contributions contributions.h5 --sequences sequences.tsv --out results/mine",
    )
    parser.add_argument("--contributions", type=Path, required=True, help="contributions.h5")
    parser.add_argument("--sequences", type=Path, required=True, help="sequences.tsv")
    parser.add_argument("--database", default="jaspar:vertebrates", help="jaspar:GROUP or a MEME file")
    parser.add_argument("--window", type=values.positive, help="look only in this many central bases")
    parser.add_argument(
        "--max-seqlets", type=values.positive, default=2000, help="seqlets of each sign (2000)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")


def _logos(commands: Any) -> None:
    def run(a: argparse.Namespace) -> None:
        from genolift.logos import draw_logos

        summary = draw_logos(
            matrices=a.results / "motif_matrices.tsv",
            motifs=a.results / "motifs.tsv",
            contributions=a.results / "contributions.h5",
            per_sequence=a.results / "per_sequence.tsv",
            out=a.out,
            n_sequences=a.number,
        )
        of = f"{summary.n_motifs} motifs and {summary.n_sequences} sequences"
        print(f"{summary.n_pictures} logos of {of}: {a.out}")

    parser = _command(
        commands,
        "logos",
        run,
        "Draw the motifs and the strongest windows.",
        "genolift logos --results results/mine --out results/mine/logos",
    )
    parser.add_argument("--results", type=Path, required=True, help="folder of an analysis")
    parser.add_argument("--number", type=int, default=10, help="strongest sequences to draw (10)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")


def _report(commands: Any) -> None:
    def run(a: argparse.Namespace) -> None:
        from genolift.report import write_report

        write_report(results=a.results, out=a.out, title=a.title or a.results.name)
        print(a.out)

    parser = _command(
        commands,
        "report",
        run,
        "Write one self-contained page of what was run and found.",
        "genolift report --results results/mine --title 'My peaks' --out results/mine/report.html",
    )
    parser.add_argument("--results", type=Path, required=True, help="folder of an analysis")
    parser.add_argument("--title", help="by default the folder's name")
    parser.add_argument("--out", type=Path, required=True, help="report.html to write")


def _plan(commands: Any) -> None:
    def run(a: argparse.Namespace) -> None:
        import torch

        from genolift.attribution import plan
        from genolift.models import input_length, load_model
        from genolift.targets import task_number

        spec = model_spec(a)
        model = load_model(spec)
        length = input_length(model, spec)
        if length is None:
            raise InputError(
                "the model does not say its input length", where="--input-length", remedy="give it, in bases"
            )
        target = task_number(model, a.target)
        print(plan(model, torch.zeros(1, 4, length), rule=a.rule, target=target))

    parser = _command(
        commands,
        "plan",
        run,
        "Show what each operation of a model is and which rule it gets.",
        "genolift plan --model weights.pt --model-class model.py:Model --input-length 400",
    )
    add_model_flags(parser, required=True)
    add_rule_flags(parser)


def _train_demo(commands: Any) -> None:
    def run(a: argparse.Namespace) -> None:
        from genolift.simulate import train_demo

        summary = train_demo(a.out, seed=a.seed)
        scores = ", ".join(f"{score:.3f}" for score in summary.auroc)
        print(f"trained on {summary.n_training} sequences, held-out auROC {scores}: {a.out}")

    parser = _command(
        commands,
        "train-demo",
        run,
        "Simulate the paper's sequences and train the demo's model on them.",
        "genolift train-demo --out data/demo",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--seed", type=int, default=0)


def _check_config(commands: Any) -> None:
    def run(a: argparse.Namespace) -> None:
        from genolift.config import check_config_file

        for line in check_config_file(a.config):
            print(line)

    parser = _command(
        commands,
        "check-config",
        run,
        "Check a workflow's config and say what it would run.",
        "genolift check-config config/config.yaml",
    )
    parser.add_argument("config", type=Path)


if __name__ == "__main__":
    main()
