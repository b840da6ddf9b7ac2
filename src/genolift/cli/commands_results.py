"""The commands that work on contributions: aggregate, motifs, logos and report."""

from __future__ import annotations

from pathlib import Path

from genolift.cli.command import command
from genolift.settings.sections import Settings


@command()
def aggregate(sequences: Path, shards: list[Path], out: Path) -> None:
    """Merge shards, of one model or several, to contributions.h5, and write its tables and tracks.

    Parameters
    ----------
    sequences
        sequences.tsv
    shards
        files of the attribute step
    out
        folder to write to

    Example
    -------
    genolift aggregate --sequences sequences.tsv --shards shard-*.h5 --out results/mine
    """
    from genolift.steps.aggregate import aggregate

    summary = aggregate(shards=shards, sequences=sequences, out=out)
    track = f", {summary.n_genome_bases} bases of the genome in the track" if summary.n_genome_bases else ""
    mean = f", mean over {summary.n_models} models" if summary.n_models > 1 else ""
    print(f"{summary.n_sequences} sequences of {summary.length} bp{mean}{track}: {out}")


@command("motifs")
def motifs(settings: Settings, contributions: Path, sequences: Path, out: Path) -> None:
    """Find motifs (TF-MoDISco), name them (Tomtom) and find their occurrences (Fi-NeMo).

    Parameters
    ----------
    contributions
        contributions.h5
    sequences
        sequences.tsv
    out
        folder to write to

    Example
    -------
    genolift motifs --contributions contributions.h5 --sequences sequences.tsv --out results/mine
    """
    from genolift.steps.motifs import find_motifs

    summary = find_motifs(settings.motifs, contributions=contributions, sequences=sequences, out=out)
    note = f" ({summary.note})" if summary.note else ""
    print(f"{summary.n_motifs} motifs of {summary.n_seqlets} seqlets, {summary.n_hits} hits{note}: {out}")


@command("logos")
def logos(settings: Settings, results: Path, out: Path) -> None:
    """Draw the motifs and the strongest windows.

    Parameters
    ----------
    results
        folder of an analysis
    out
        folder to write to

    Example
    -------
    genolift logos --results results/mine --out results/mine/logos
    """
    from genolift.steps.logos import draw_logos

    summary = draw_logos(
        settings.logos,
        matrices=results / "motif_matrices.tsv",
        motifs=results / "motifs.tsv",
        contributions=results / "contributions.h5",
        per_sequence=results / "per_sequence.tsv",
        out=out,
    )
    of = f"{summary.n_motifs} motifs and {summary.n_sequences} sequences"
    print(f"{summary.n_pictures} logos of {of}: {out}")


@command("report")
def report(settings: Settings, results: Path, out: Path) -> None:
    """Write one self-contained page of what was run and found.

    Parameters
    ----------
    results
        folder of an analysis, whose name is the title where none is given
    out
        report.html to write

    Example
    -------
    genolift report --results results/mine --title 'My peaks' --out results/mine/report.html
    """
    from genolift.steps.report import write_report

    write_report(results=results, out=out, title=settings.report.title or results.name)
    print(out)
