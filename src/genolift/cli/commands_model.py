"""Subcommands that run a model: attribute, compare and plan. Exit nowhere."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

from genolift.cli.model_flags import (
    add_input_flag,
    add_model_flags,
    add_rule_flags,
    add_target_flags,
    held_spec,
    model_spec,
)
from genolift.cli.subcommand import add_command
from genolift.errors import InputError
from genolift.settings import values
from genolift.settings.model import ONE_MODEL

_CHECKED = 4  # random sequences, each against another, that `genolift plan --check` looks at


def add_attribute(commands: Any) -> None:
    """Add ``genolift attribute``."""

    def run(a: argparse.Namespace) -> None:
        from genolift.cli.progress import shown_progress
        from genolift.steps.attribute import Attribution, attribute

        settings = Attribution(
            model_spec(a),
            held_spec(a),
            **{each.name: getattr(a, each.name) for each in fields(Attribution)[2:]},
        )
        with shown_progress("attribute", "pair") as progress:
            summary = attribute(
                settings,
                sequences=a.sequences,
                references=a.references,
                out=a.out,
                shard=a.shard,
                progress=progress,
            )
        resumed = f", {summary.n_resumed} of them from an earlier run" if summary.n_resumed else ""
        print(
            f"{summary.n_sequences} sequences{resumed} ({summary.n_pairs} pairs) on {summary.device} in "
            f"{summary.seconds:.1f} s, largest relative convergence error {summary.largest_error:.1e}: "
            f"{a.out}"
        )

    parser = add_command(
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
    add_input_flag(parser)
    add_rule_flags(parser)
    parser.add_argument(
        "--tolerance",
        type=values.as_config("attribution.tolerance"),
        default=1e-3,
        help="largest relative convergence error (0.001)",
    )
    parser.add_argument("--batch-size", type=values.batch_size, default=None, help="pairs at a time, or auto")
    parser.add_argument(
        "--memory",
        type=values.memory,
        help="memory that the process stays under, of the host and of a GPU, such as 4GB",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1")
    parser.add_argument("--precision", default="float32", choices=["float32", "float64", "tf32", "bfloat16"])
    parser.add_argument(
        "--shard", type=values.shard, default=(0, 1), metavar="I/K", help="the I-th of K shards, from 0"
    )
    parser.add_argument(
        "--model-name", default=ONE_MODEL, help="what to call the model, where several are run (model)"
    )
    parser.add_argument("--out", type=Path, required=True, help="the file of contributions to write")


def add_compare(commands: Any) -> None:
    """Add ``genolift compare``."""

    def run(a: argparse.Namespace) -> None:
        from genolift.compare.methods import METHODS, compare

        summary = compare(
            sequences=a.sequences,
            references=a.references,
            model=model_spec(a),
            out=a.out,
            held=held_spec(a),
            target=a.target,
            keep_final_activation=a.keep_final_activation,
            methods=tuple(METHODS) if a.methods is None else a.methods,
            number=a.number,
            steps=a.steps,
            truth=a.truth,
            truth_motifs=a.truth_motifs,
            batch_size=a.batch_size,
            device=a.device,
            precision=a.precision,
        )
        refused = f" ({summary.n_refused} refused the model)" if summary.n_refused else ""
        print(
            f"{summary.n_methods} methods{refused} on {summary.n_sequences} sequences on {summary.device} "
            f"in {summary.seconds:.1f} s: {a.out}"
        )

    parser = add_command(
        commands,
        "compare",
        run,
        "Run several methods on one input: how they agree, what they cost and, where it is known, "
        "how well they find the motifs.",
        "genolift compare --sequences sequences.h5 --references references.h5 --model weights.pt "
        "--model-class model.py:Model --methods genomics-default,rescale --out compared",
    )
    parser.add_argument("--sequences", type=Path, required=True, help="sequences.h5")
    parser.add_argument("--references", type=Path, required=True, help="references.h5")
    add_model_flags(parser, required=True)
    add_input_flag(parser)
    add_target_flags(parser)
    parser.add_argument(
        "--methods",
        type=_names,
        metavar="A,B",
        help="of genomics-default, revealcancel, rescale, integrated-gradients, gradient-x-input, "
        "guided-backprop, deconvnet, lrp-epsilon, in-silico-mutagenesis, grad-cam, guided-grad-cam (all)",
    )
    parser.add_argument(
        "--number", type=values.whole(1, 10**9), default=50, help="of the first sequences (50)"
    )
    parser.add_argument(
        "--steps", type=values.whole(1, 100_000), default=50, help="of integrated gradients (50)"
    )
    parser.add_argument("--truth", type=Path, help="where motifs are: a table with id, start, end and motif")
    parser.add_argument(
        "--truth-motifs",
        type=_names,
        default=(),
        metavar="A,B",
        help="those that matter for the target (all)",
    )
    parser.add_argument("--batch-size", type=values.batch_size, default=None, help="pairs at a time, or auto")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1")
    parser.add_argument("--precision", default="float32", choices=["float32", "float64", "tf32", "bfloat16"])
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def add_export(commands: Any) -> None:
    """Add ``genolift export``."""

    def run(a: argparse.Namespace) -> None:
        from genolift.steps.export import write_program

        written = write_program(model_spec(a), a.out, held_spec(a))
        tasks = f", tasks {', '.join(written.tasks)}" if written.tasks else ""
        print(
            f"{written.operations} operations, input (n, {written.channels}, {written.input_length}){tasks}: "
            f"{a.out}"
        )

    parser = add_command(
        commands,
        "export",
        run,
        "Write a model as an exported program, which runs with no source file.",
        "genolift export --model weights.pt --model-class model.py:Model --input-length 400 --out model.pt2",
    )
    add_model_flags(parser, required=True)
    add_input_flag(parser)
    parser.add_argument("--out", type=Path, required=True, help="the exported program to write, .pt2")


def add_plan(commands: Any) -> None:
    """Add ``genolift plan``."""

    def run(a: argparse.Namespace) -> None:
        import torch
        from torch.nn.functional import one_hot

        from genolift.data.extra_inputs import example_of
        from genolift.explain.attribution import plan
        from genolift.explain.plan_check import check_plan
        from genolift.models import assumption, input_length, load_model
        from genolift.models.expected import check_expected
        from genolift.results.agreement import agreement_in_words

        spec = model_spec(a)
        model = load_model(spec)
        assumed = assumption(model)
        if assumed is not None:
            print(f"{spec.path}: {assumed}")
        length = input_length(model, spec)
        if length is None:
            raise InputError(
                "the model does not say its input length", where="--input-length", remedy="give it, in bases"
            )
        held = tuple(torch.from_numpy(values) for values in example_of(held_spec(a), length))
        agreement = check_expected(model, spec, held_spec(a))
        if agreement is not None:
            print(f"The model {agreement_in_words(agreement)}.\n")
        explained = {
            "rule": a.rule,
            "target": a.target,
            "keep_final_activation": a.keep_final_activation,
        }
        if not a.check:
            print(plan(model, torch.zeros(1, 4, length), extra_inputs=held, **explained))
            return
        random = torch.Generator().manual_seed(0)
        codes = torch.randint(4, (2, _CHECKED, length), generator=random)
        inputs, references = one_hot(codes, 4).transpose(2, 3).float()
        held = tuple(values.expand(_CHECKED, *values.shape[1:]) for values in held)
        print(check_plan(model, inputs, references, extra_inputs=held, **explained))

    parser = add_command(
        commands,
        "plan",
        run,
        "Show what each operation of a model is and which rule it gets.",
        "genolift plan --model weights.pt --model-class model.py:Model --input-length 400",
    )
    add_model_flags(parser, required=True)
    add_input_flag(parser)
    add_rule_flags(parser)
    parser.add_argument(
        "--check",
        action="store_true",
        help="also compare each operation's in- and outgoing contributions, on random sequences in float64",
    )
