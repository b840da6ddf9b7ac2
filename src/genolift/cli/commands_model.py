"""The commands that run a model: attribute, compare, export and plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from genolift.cli.command import command
from genolift.settings.comparison import COMPARED, Comparison
from genolift.settings.model import ONE_MODEL
from genolift.settings.sections import EXPLAINED, EXTRAS, Settings

Shard = Annotated[str, Field(pattern=r"^[0-9]{1,9}/[0-9]{1,9}$", examples=["0/4 for the first of four"])]


@command("model", *EXTRAS, *EXPLAINED, "attribution")
def attribute(
    settings: Settings,
    sequences: Path,
    references: Path,
    out: Path,
    shard: Shard = "0/1",
    model_name: str = ONE_MODEL,
) -> None:
    """Run DeepLIFT on every sequence against each of its references.

    Parameters
    ----------
    sequences
        sequences.h5
    references
        references.h5
    out
        the file of contributions to write
    shard
        I/K, the I-th of K shards, from 0
    model_name
        what to call the model, where several are run

    Example
    -------
    genolift attribute --sequences sequences.h5 --references references.h5 --model weights.pt
    --model-class model.py:Model --target 0 --out contributions.h5
    """
    from genolift.cli.progress import shown_progress
    from genolift.steps.attribute import attribute

    part, _, parts = shard.partition("/")
    with shown_progress("attribute", "pair") as progress:
        summary = attribute(
            settings,
            sequences=sequences,
            references=references,
            out=out,
            shard=(int(part), int(parts)),
            model_name=model_name,
            progress=progress,
        )
    resumed = f", {summary.n_resumed} of them from an earlier run" if summary.n_resumed else ""
    print(
        f"{summary.n_sequences} sequences{resumed} ({summary.n_pairs} pairs) on {summary.device} in "
        f"{summary.seconds:.1f} s, largest relative convergence error {summary.largest_error:.1e}: {out}"
    )


@command("model", *EXTRAS, *EXPLAINED[:2], *(f"attribution.{key}" for key in COMPARED))
def compare(settings: Settings, sequences: Path, references: Path, out: Path, comparison: Comparison) -> None:
    """Run several methods on one input: how they agree, what they cost and, where it is known, how well they
    find the motifs.

    Parameters
    ----------
    sequences
        sequences.h5
    references
        references.h5
    out
        folder to write to
    comparison
        what is compared

    Example
    -------
    genolift compare --sequences sequences.h5 --references references.h5 --model weights.pt
    --model-class model.py:Model --methods genomics-default,rescale --out compared
    """
    from genolift.compare.methods import compare

    summary = compare(settings, comparison, sequences=sequences, references=references, out=out)
    refused = f" ({summary.n_refused} refused the model)" if summary.n_refused else ""
    print(
        f"{summary.n_methods} methods{refused} on {summary.n_sequences} sequences on {summary.device} "
        f"in {summary.seconds:.1f} s: {out}"
    )


@command("model", *EXTRAS)
def export(settings: Settings, out: Path) -> None:
    """Write a model as an exported program, which runs with no source file.

    Parameters
    ----------
    out
        the exported program to write, .pt2

    Example
    -------
    genolift export --model weights.pt --model-class model.py:Model --input-length 400 --out model.pt2
    """
    from genolift.steps.export import write_program

    written = write_program(settings.the_model, out, settings.extras)
    tasks = f", tasks {', '.join(written.tasks)}" if written.tasks else ""
    shape = f"(n, {written.channels}, {written.input_length})"
    print(f"{written.operations} operations, input {shape}{tasks}: {out}")


@command("model", *EXTRAS, *EXPLAINED)
def plan(settings: Settings, check: bool = False) -> None:
    """Show what each operation of a model is and which rule it gets.

    Parameters
    ----------
    check
        also compare each operation's in- and outgoing contributions, on random sequences in float64

    Example
    -------
    genolift plan --model weights.pt --model-class model.py:Model --input-length 400
    """
    from genolift.results.agreement import agreement_in_words
    from genolift.steps.plan import plan_model

    planned = plan_model(settings, check=check)
    if planned.assumed is not None:
        print(f"{settings.the_model.path}: {planned.assumed}")
    if planned.agreement is not None:
        print(f"The model {agreement_in_words(planned.agreement)}.\n")
    print(planned.plan)
