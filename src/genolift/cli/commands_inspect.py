"""The subcommand that says what a model is. Exits nowhere."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genolift.cli.model_flags import add_input_flag, add_model_flags, add_rule_flags, held_spec, model_spec
from genolift.cli.subcommand import add_command
from genolift.errors import InputError
from genolift.files.output_paths import check_outputs

if TYPE_CHECKING:
    from genolift.inspection.data import Data
    from genolift.models import ModelSpec


def add_inspect(commands: Any) -> None:
    """Add ``genolift inspect``."""

    def run(a: argparse.Namespace) -> None:
        from genolift.inspection.guess import guess, write_guess
        from genolift.inspection.text import as_text, in_a_line, refused_as_text
        from genolift.steps.inspect import inspect

        data = _data(a)
        if a.input_length is None and a.bed is None:  # an interval need not be as long as its window
            a.input_length = data.length
        spec = model_spec(a)
        if a.write_config is not None:
            outputs = [path for path in (a.out, a.write_config) if path is not None]
            check_outputs(outputs, inputs=[*spec.files, *held_spec(a).files, a.sequences])
            if a.write_config.exists():
                write_guess("", a.write_config)  # refused before the work
        try:
            found = inspect(
                spec,
                held_spec(a),
                out=a.out,
                sequences=a.sequences,
                target=a.target,
                rule=a.rule,
                keep_final_activation=a.keep_final_activation,
            )
        except InputError:
            if spec.class_name is None:
                _say_weights(spec, data, a.write_config)
            raise
        if a.out is None:
            print(as_text(found))
        elif found.refused:
            print(refused_as_text(found))
        if found.error is not None:
            raise found.error
        if a.out is not None:
            print(f"{in_a_line(found)}: {a.out}")
        if a.out is None or a.write_config is not None:
            _say_config(guess(found, data), a.write_config)

    parser = add_command(
        commands,
        "inspect",
        run,
        "Say what a model is: inputs, outputs, operations and rules, and the config that would explain it. "
        "Exits 2, having said all else, if the model as it is given cannot be explained.",
        "genolift inspect weights.pt --model-class model.py:Model --write-config my.yaml",
    )
    add_model_flags(parser, required=True, positional=True)
    add_input_flag(parser)
    add_rule_flags(parser, target=None)
    parser.add_argument(
        "--sequences", type=Path, help="sequences.h5, of whose length the input is where no other is given"
    )
    parser.add_argument("--fasta", type=Path, help="in the place of sequences.h5, your sequences")
    parser.add_argument("--bed", type=Path, help="in the place of sequences.h5, your intervals")
    parser.add_argument("--genome", type=Path, help="the genome's FASTA, with --bed")
    parser.add_argument("--write-config", type=Path, metavar="FILE", help="a new file for the guessed config")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write it as JSON in place of printing it")


def _data(a: argparse.Namespace) -> Data:
    """Return what the user's sequences say, which may be given in one form only."""
    from genolift.inspection.data import data_of_files, data_of_store

    given = [flag for flag in ("sequences", "fasta", "bed") if getattr(a, flag) is not None]
    if len(given) > 1 or (a.genome is not None and given not in ([], ["bed"])):
        flags = " and ".join(f"--{flag}" for flag in (*given, *(["genome"] if a.genome is not None else [])))
        raise InputError(
            f"{flags} are given together",
            where="genolift inspect",
            remedy="give --sequences, --fasta, or --bed with --genome",
        )
    return data_of_files(a.fasta, a.bed, a.genome) if a.sequences is None else data_of_store(a.sequences)


def _say_weights(spec: ModelSpec, data: Data, out: Path | None) -> None:
    """Say what a file of weights alone holds; nothing where it cannot be read as such."""
    from genolift.inspection.guess import guess_of_weights
    from genolift.inspection.text import weights_as_text
    from genolift.inspection.weights import read_weights_file

    try:
        file = read_weights_file(spec.path, trust=spec.trust, digest=spec.sha256)
    except InputError:
        return
    print(weights_as_text(file))
    _say_config(guess_of_weights(file, spec, data), out)


def _say_config(text: str, out: Path | None) -> None:
    from genolift.inspection.guess import write_guess

    if out is None:
        print(f"\nA config to start from (--write-config FILE writes it)\n{text}", end="")
    else:
        write_guess(text, out)
        print(f"\nA config to start from: {out}")
