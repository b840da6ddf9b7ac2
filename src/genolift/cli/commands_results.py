"""Subcommands that work on contributions: aggregate, motifs, logos and report. Exit nowhere."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from genolift.cli.subcommand import add_command
from genolift.settings import values


def add_aggregate(commands: Any) -> None:
    """Add ``genolift aggregate``."""

    def run(a: argparse.Namespace) -> None:
        from genolift.steps.aggregate import aggregate

        summary = aggregate(shards=a.shards, sequences=a.sequences, out=a.out)
        track = (
            f", {summary.n_genome_bases} bases of the genome in the track" if summary.n_genome_bases else ""
        )
        mean = f", mean over {summary.n_models} models" if summary.n_models > 1 else ""
        print(f"{summary.n_sequences} sequences of {summary.length} bp{mean}{track}: {a.out}")

    parser = add_command(
        commands,
        "aggregate",
        run,
        "Merge shards, of one model or several, to contributions.h5, and write its tables and tracks.",
        "genolift aggregate --sequences sequences.tsv --shards shard-*.h5 --out results/mine",
    )
    parser.add_argument("--sequences", type=Path, required=True, help="sequences.tsv")
    parser.add_argument("--shards", type=Path, nargs="+", required=True, help="files of the attribute step")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")


def add_motifs(commands: Any) -> None:
    """Add ``genolift motifs``."""

    def run(a: argparse.Namespace) -> None:
        from genolift.settings.mistakes import checked
        from genolift.settings.sections import Motifs
        from genolift.steps.motifs import find_motifs

        keys = ("database", "window", "max_seqlets", "seed")
        summary = find_motifs(
            checked(Motifs, {key: getattr(a, key) for key in keys}, "motifs"),
            contributions=a.contributions,
            sequences=a.sequences,
            out=a.out,
        )
        note = f" ({summary.note})" if summary.note else ""
        print(
            f"{summary.n_motifs} motifs of {summary.n_seqlets} seqlets, {summary.n_hits} hits{note}: {a.out}"
        )

    parser = add_command(
        commands,
        "motifs",
        run,
        "Find motifs (TF-MoDISco), name them (Tomtom) and find their occurrences (Fi-NeMo).",
        "genolift motifs --contributions contributions.h5 --sequences sequences.tsv --out results/mine",
    )
    parser.add_argument("--contributions", type=Path, required=True, help="contributions.h5")
    parser.add_argument("--sequences", type=Path, required=True, help="sequences.tsv")
    parser.add_argument("--database", default="jaspar:vertebrates", help="jaspar:GROUP or a MEME file")
    parser.add_argument(
        "--window", type=values.as_config("motifs.window"), help="look only in this many central bases"
    )
    parser.add_argument(
        "--max-seqlets",
        type=values.as_config("motifs.max_seqlets"),
        default=2000,
        help="seqlets of each sign (2000)",
    )
    parser.add_argument("--seed", type=values.as_config("motifs.seed"), default=0)
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")


def add_logos(commands: Any) -> None:
    """Add ``genolift logos``."""

    def run(a: argparse.Namespace) -> None:
        from genolift.settings.sections import Logos
        from genolift.steps.logos import draw_logos

        summary = draw_logos(
            Logos(number=a.number),
            matrices=a.results / "motif_matrices.tsv",
            motifs=a.results / "motifs.tsv",
            contributions=a.results / "contributions.h5",
            per_sequence=a.results / "per_sequence.tsv",
            out=a.out,
        )
        of = f"{summary.n_motifs} motifs and {summary.n_sequences} sequences"
        print(f"{summary.n_pictures} logos of {of}: {a.out}")

    parser = add_command(
        commands,
        "logos",
        run,
        "Draw the motifs and the strongest windows.",
        "genolift logos --results results/mine --out results/mine/logos",
    )
    parser.add_argument("--results", type=Path, required=True, help="folder of an analysis")
    parser.add_argument(
        "--number", type=values.as_config("logos.number"), default=10, help="strongest sequences to draw (10)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")


def add_report(commands: Any) -> None:
    """Add ``genolift report``."""

    def run(a: argparse.Namespace) -> None:
        from genolift.steps.report import write_report

        write_report(results=a.results, out=a.out, title=a.title or a.results.name)
        print(a.out)

    parser = add_command(
        commands,
        "report",
        run,
        "Write one self-contained page of what was run and found.",
        "genolift report --results results/mine --title 'My peaks' --out results/mine/report.html",
    )
    parser.add_argument("--results", type=Path, required=True, help="folder of an analysis")
    parser.add_argument("--title", help="by default the folder's name")
    parser.add_argument("--out", type=Path, required=True, help="report.html to write")
