"""Command-line flags that name a model and its rule, shared by several subcommands."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from genolift.settings import values
from genolift.settings.model import ONE_MODEL

if TYPE_CHECKING:
    from genolift.models import ModelSpec
    from genolift.settings.extra_inputs import Extras

_BIGWIG = re.compile(r"\.(bw|bigwig)$", re.IGNORECASE)


def add_model_flags(parser: argparse.ArgumentParser, *, required: bool, positional: bool = False) -> None:
    """Add the flags that say which model; its path is an argument of its own where ``positional``."""
    group = parser.add_argument_group("model")
    about = "a state dict (.pt), .safetensors, .pt2, or Keras's .keras, .h5 or .json"
    if positional:
        group.add_argument("model", metavar="MODEL", help=about)
    else:
        group.add_argument("--model", required=required, help=about)
    group.add_argument("--model-class", help="path/to/model.py:Class or package.module:Class")
    group.add_argument(
        "--model-arguments", type=values.json_object, default={}, help="the class's arguments, JSON"
    )
    group.add_argument("--model-sha256", help="the SHA-256 that the model's file must have")
    group.add_argument("--model-weights", help="the weights of a Keras architecture (.json)")
    group.add_argument(
        "--custom-layers", help="a Python file of torch functions, for layers that Keras does not have"
    )
    group.add_argument("--axes", help='axes of one input, such as "length,bases"; by default what it says')
    group.add_argument("--alphabet", default="ACGT", help="the letter of each channel in order (ACGT)")
    group.add_argument(
        "--extra-channel",
        action="append",
        default=[],
        type=values.held,
        metavar="C",
        help="a channel behind those of the alphabet, held fixed: a number, a .bw file, a table with a "
        "column id and one for each position, or JSON as in the config; once for each, in order",
    )
    group.add_argument(
        "--input-length", type=values.as_config("model.input_length"), help="bases of the model's input"
    )
    group.add_argument(
        "--trust-pickle",
        action="store_true",
        help="read a pickled model or TorchScript, or call a package's function, which can run any code",
    )
    _add_expect_flags(parser)


def _add_expect_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the author's outputs")
    group.add_argument(
        "--expect-inputs",
        metavar="FILE",
        help="a few inputs, .npz or FASTA, on which the model is compared with --expect-outputs",
    )
    group.add_argument(
        "--expect-outputs",
        metavar="FILE",
        help="what the author's framework gave for them: .npz (may be the same), or a table with a column id",
    )
    group.add_argument(
        "--expect-tolerance",
        type=values.as_config("model.expect.tolerance"),
        metavar="X",
        help="the largest difference, as a share of the largest output (0.0001)",
    )


def model_spec(a: argparse.Namespace) -> ModelSpec:
    """Return the model that the flags say.

    Raises
    ------
    InputError
        If one of the files of the author's inputs and outputs is given without the other.
    """
    from genolift.models import ModelSpec

    keys = {
        "path": a.model,
        "class": a.model_class,
        "arguments": a.model_arguments,
        "sha256": a.model_sha256,
        "weights": a.model_weights,
        "custom_layers": a.custom_layers,
        "input_length": a.input_length,
        "axes": a.axes,
        "alphabet": a.alphabet,
        "trust": a.trust_pickle,
        "expect": {key: getattr(a, f"expect_{key}") for key in ("inputs", "outputs", "tolerance")},
    }
    return ModelSpec.of(keys).with_channels(len(a.extra_channel))


def models_of(a: argparse.Namespace) -> dict[str, ModelSpec]:
    """Return the models that ``--models`` names, by name.

    Raises
    ------
    InputError
        If a key is unknown or of a wrong type.
    """
    from genolift.models import ModelSpec
    from genolift.settings.mistakes import checked

    models = {}
    for name, keys in a.models.items():
        channels = keys.pop("extra_channels", 0) if isinstance(keys, dict) else 0
        models[name] = checked(ModelSpec, keys, f"models.{name}", "command line").with_channels(channels)
    return models


def add_input_flag(parser: argparse.ArgumentParser) -> None:
    """Add the flag that says what a model takes behind its first input."""
    parser.add_argument(
        "--extra-input",
        action="append",
        default=[],
        type=values.held,
        metavar="X",
        help="a further input of the model, held fixed: a table with a column id, a JSON list of values for "
        "every sequence, or JSON as in the config; once for each, in the order that the model takes them",
    )


def held_spec(a: argparse.Namespace) -> Extras:
    """Return what the flags say that the model is given beside the bases.

    Raises
    ------
    InputError
        If a key is unknown or of a wrong type, keys contradict each other, or a file is missing.
    """
    from genolift.settings.extra_inputs import Extras

    channels = [
        {"bigwig" if _BIGWIG.search(given) else "table": given} if isinstance(given, str) else given
        for given in a.extra_channel
    ]
    inputs = [
        {"table": given}
        if isinstance(given, str)
        else {"values": given}
        if isinstance(given, list)
        else given
        for given in a.extra_input
    ]
    return Extras.of(inputs, channels, "command line")


def add_target_flags(parser: argparse.ArgumentParser, target: str | None = "0") -> None:
    """Add the flags that say what is explained; ``target`` is the default, None for what the model has."""
    parser.add_argument(
        "--target",
        type=values.target,
        default=target,
        help="the task to explain, by number or name, or counts, profile or profile-free-weights "
        f"({target or 'the first that the model has'})",
    )
    parser.add_argument(
        "--keep-final-activation",
        action="store_true",
        help="explain the probability, not the logit before a final sigmoid or softmax",
    )


def add_rule_flags(parser: argparse.ArgumentParser, target: str | None = "0") -> None:
    """Add the flags that say what is explained, and how."""
    add_target_flags(parser, target)
    rules = [
        "genomics-default",
        "rescale",
        "revealcancel",
        "gradient",
        "guided-backprop",
        "deconvnet",
        "lrp-epsilon",
    ]
    parser.add_argument("--rule", choices=rules, default="genomics-default")


def specs_of_models(a: argparse.Namespace) -> dict[str, ModelSpec]:
    """Return the models of ``--models`` by name, or the one of ``--model``."""
    return models_of(a) or {ONE_MODEL: model_spec(a)}


def lengths_of_models(a: argparse.Namespace) -> dict[str, int | None]:
    """Return the input length of each model in bases, None where it does not say one."""
    from genolift.models import input_length, load_model

    return {
        name: spec.input_length or input_length(load_model(spec), spec)
        for name, spec in specs_of_models(a).items()
    }
