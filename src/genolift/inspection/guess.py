"""The config that would explain a model, as far as can be guessed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from genolift.errors import InputError
from genolift.files.output_paths import check_outputs
from genolift.files.whole import whole_file
from genolift.inspection.data import Data
from genolift.inspection.described import Inspection
from genolift.inspection.weights import WeightsFile
from genolift.inspection.words import SHORTEST, length_in_words
from genolift.settings.database import GROUPS
from genolift.settings.extra_inputs import as_given
from genolift.settings.model import BASES_FIRST, ModelSpec
from genolift.settings.sections import Motifs

_PLAIN = re.compile(r"[A-Za-z_./~][A-Za-z0-9_./~-]*")
_WORDS_OF_YAML = {"true", "false", "yes", "no", "on", "off", "null", "y", "n", "~"}
_FOR_CLASS = "path/to/model.py:Class"


def guess(inspection: Inspection, data: Data = Data()) -> str:  # noqa: B008 - it is frozen
    """Return a config for a model that can be run, as YAML with comments.

    What neither the model nor the user's ``data`` say stands there with a comment that asks for it.
    """
    length, spec = inspection.length, inspection.spec
    fixed = length.largest is not None
    lines = _model(spec)
    if spec.axes not in (None, BASES_FIRST) and inspection.kind.startswith("PyTorch"):
        lines.append(f"axes: {_scalar(spec.axes)} # found by trial")
    elif spec.axes not in (None, BASES_FIRST) and inspection.kind != "Keras model":
        lines.append(f"axes: {_scalar(spec.axes)}")
    if spec.input_length:
        lines.append(f"input_length: {spec.input_length}")
    elif fixed and length.found in ("trial", "typical"):
        lines.append(f"input_length: {length.bases} # {length_in_words(asdict(length))}")
    given = [as_given(item) for item in inspection.held.inputs]
    extra = [f"- {json.dumps(item)}" for item in given]
    if not given:
        others = [each for each in inspection.inputs if each.axes is None]
        extra = [line for each in others for line in _placeholder(each.name, each.shape)]
    channels = [f"- {json.dumps(as_given(item))}" for item in inspection.held.channels]
    least = f", {length.smallest} bases or more" if length.smallest > SHORTEST else ""
    bases = f"{length.bases} bases each" if fixed else f"all of one length{least}"
    return _config(
        spec.path,
        lines,
        extra,
        channels,
        f"target: {_scalar(inspection.target)} # {_choices(inspection)}",
        _sequences(data, bases, None if fixed or spec.input_length else length.smallest),
        data,
    )


def guess_of_weights(file: WeightsFile, spec: ModelSpec, data: Data = Data()) -> str:  # noqa: B008
    """Return a config for a file of weights, with a class to fill in."""
    lines = _model(spec, class_name=_FOR_CLASS)
    if file.settings and not spec.arguments:
        told = json.dumps(dict(file.settings), default=str)
        lines.append(f"# arguments: {told} # the checkpoint's hyper_parameters: those that the class takes")
    axes = spec.axes or file.axes
    if axes not in (None, BASES_FIRST):
        lines.append(f"axes: {_scalar(axes)} # as the first convolution's shape says")
    outputs = file.outputs or 1
    choices = (
        f"0 to {outputs - 1}, if its last layer is the output" if outputs > 1 else "the only one, likely"
    )
    return _config(
        spec.path,
        lines,
        [],
        [],
        f"target: 0 # {choices}",
        _sequences(data, "all of the model's input length", None if spec.input_length else SHORTEST),
        data,
    )


def write_guess(text: str, out: Path) -> None:
    """Write a config, beside and then renamed.

    Raises
    ------
    InputError
        If there is a file of that name, which may hold a user's own work, or ``out`` may not be written (see
        `check_outputs`).
    """
    check_outputs([out], inputs=[])
    if out.exists():
        raise InputError("is there already", where=str(out), remedy="name a new file, or remove it")
    with whole_file(out) as beside:
        beside.write_text(text, encoding="utf-8")


def _model(spec: ModelSpec, class_name: str | None = None) -> list[str]:
    lines = [f"path: {_scalar(spec.path)}"]
    if spec.class_name:
        lines.append(f"class: {_scalar(spec.class_name)}")
    elif class_name:
        lines.append(f"class: {_scalar(class_name)} # fill in")
    if spec.arguments:
        lines.append(f"arguments: {json.dumps(dict(spec.arguments))}")
    for key in ("weights", "custom_layers"):
        if getattr(spec, key):
            lines.append(f"{key}: {_scalar(getattr(spec, key))}")
    if spec.alphabet.upper() != "ACGT":
        lines.append(f"alphabet: {_scalar(spec.alphabet)}")
    if spec.trust:
        lines.append("trust: true")
    if spec.expect is None:
        lines.append("# expect: {inputs: FILE, outputs: FILE} # a few inputs with the author's own outputs")
    else:
        lines.append(f"expect: {json.dumps(spec.expect.keys())}")
    return lines


def _config(
    path: str,
    model: Iterable[str],
    extra: Sequence[str],
    channels: Sequence[str],
    target: str,
    sequences: Iterable[str],
    data: Data,
) -> str:
    parts = [
        "# Guessed by genolift inspect. config/README.md explains every key.",
        "analyses:",
        f"  {_name(path)}:",
        "    model:",
        *(f"      {line}" for line in model),
    ]
    for key, items in (("extra_inputs", extra), ("extra_channels", channels)):
        if items:
            parts += [f"    {key}:", *(f"      {item}" for item in items)]
    parts += [
        f"    {target}",
        "    sequences:",
        *(f"      {line}" for line in sequences),
        "    references:",
        "      kind: dinucleotide_shuffle",
        "      number: 20",
        "    motifs:",
        f"      {_database(data)}",
    ]
    return "\n".join(parts) + "\n"


def _sequences(data: Data, bases: str, least: int | None) -> list[str]:
    """Return the section of the sequences: the user's files, or where to put them.

    ``least`` is the smallest number of bases that the model takes; None where the config says their number.
    """
    trained = "the bases that the model was trained on"
    if data.bed is not None or data.genome is not None:
        lines = [
            f"{key}: {_scalar(value)}" if value else f"{key}: {example} # fill in"
            for key, value, example in (
                ("bed", data.bed, "peaks.bed"),
                ("genome", data.genome, "genome.fa.gz"),
            )
        ]
        if least is not None and data.length is not None and data.length >= least:
            lines.append(f"length: {data.length} # as every interval has: check that it is {trained}")
        elif least is not None:
            widths = data.lengths or data.length
            have = f"; the intervals have {widths}" if widths else ""
            lines.append(f"# length: # fill in {trained}{have}")
        return lines
    if data.fasta is not None:
        differ = f" # its records have {data.lengths} bases, and must be {bases}" if data.lengths else ""
        return [f"fasta: {_scalar(data.fasta)}{differ}"]
    return [
        f"fasta: sequences.fa # your own, {bases}; or, in its place, windows on a genome:",
        "# bed: peaks.bed",
        "# genome: genome.fa.gz",
        *([f"# length: # fill in {trained}"] if least is not None else []),
    ]


def _database(data: Data) -> str:
    if data.group is not None:
        return f'database: "jaspar:{data.group}" # the genome is that of {data.organism}'
    default = Motifs().database
    others = ", ".join(group for group in GROUPS if group not in default)
    return (
        f'database: "{default}" # is your organism one? If not, give one of {others}, or your own MEME file'
    )


def _placeholder(name: str, shape: Sequence[int | None]) -> list[str]:
    """Return zeros of an input's shape, for the user to put values or a table in their place."""
    sizes = [1 if size is None else size for size in shape]
    number = 1
    for size in sizes:
        number *= size
    item: dict[str, Any] = {"values": [0] * number}
    if len(sizes) > 1:
        item["shape"] = sizes
    return [
        f"# {name}: put its values here, or a row for each sequence as {{table: FILE}}",
        f"- {json.dumps(item)}",
    ]


def _choices(inspection: Inspection) -> str:
    told = [each.others for each in inspection.outputs if each.target is not None]
    others = [*inspection.heads, *told]
    return (
        "the only one" if others == ["0"] else f"choose one of {'; '.join(others)}" if others else "check it"
    )


def _name(path: str) -> str:
    """Return a file's name as the name of an analysis."""
    stem = Path(path).name.partition(".")[0]
    kept = re.sub(r"[^A-Za-z0-9_-]", "_", stem).lstrip("_-") or "mine"
    return _scalar(kept)


def _scalar(value: object) -> str:
    """Return a value as YAML has it: text in quotes where it could be taken for something else."""
    text = str(value)
    if isinstance(value, str) and (not _PLAIN.fullmatch(text) or text.lower() in _WORDS_OF_YAML):
        return json.dumps(text, ensure_ascii=False)
    return text
