"""The export step: any model that can be loaded, as an exported program (.pt2), which needs no source code.

What is not in a program, its tasks and provenance, is JSON in the same archive.
"""

import io
import json
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.export import ExportedProgram

from genolift.data.stored_tensors import example_rows, random_onehot
from genolift.engine.graph.capture import exported
from genolift.engine.torch_internals import tree_leaves
from genolift.errors import InputError
from genolift.files.output_paths import check_outputs
from genolift.files.whole import whole_file
from genolift.models.expected import check_expected
from genolift.models.exported.reading import DESCRIPTION, exported_program
from genolift.models.forms import Form
from genolift.models.loading import known_input_length, load_model, model_provenance
from genolift.results.provenance import versions
from genolift.settings.extra_inputs import Extras
from genolift.settings.model import ModelSpec
from genolift.targets.targets import task_names

_CHECKED_ROWS = 4


@dataclass(frozen=True)
class WrittenProgram:
    """What `write_program` wrote."""

    operations: int
    channels: int
    input_length: int
    tasks: tuple[str, ...]

    def __str__(self) -> str:
        tasks = f", tasks {', '.join(self.tasks)}" if self.tasks else ""
        return f"{self.operations} operations, input (n, {self.channels}, {self.input_length}){tasks}"


def write_program(spec: ModelSpec, out: Path, extras: Extras = Extras()) -> WrittenProgram:  # noqa: B008
    """Write a model as a program of one-hot DNA, (n, 4, length), A C G T, for any number of rows.

    If the model has channels beyond those of its alphabet, they are its second input; its further arguments,
    with the shapes in ``extras``, follow.

    Raises
    ------
    InputError
        If the model cannot be loaded or traced, does not give its author's outputs, does not say its input
        length, or is not the same when it is read again without ``trust``; or ``out`` may not be written (see
        `check_outputs`).
    """
    if out.suffix != ".pt2":
        raise InputError(
            "is not the name of an exported program", where=f"--out {out}", remedy="end it in .pt2"
        )
    check_outputs([out], inputs=[*spec.files, *extras.files])
    model = load_model(spec)
    check_expected(model, spec, extras)
    length = known_input_length(model, spec)
    tasks = tuple(task_names(model))
    further = example_rows(Extras(inputs=extras.inputs), length, _CHECKED_ROWS)
    inputs = (*_inputs(length, spec.extra_channels), *further)
    program = _with_plain_names(exported(model, inputs))
    description = {
        "format": "genolift-model",
        "version": 1,
        "input_length": length,
        "tasks": list(tasks),
        "alphabet": "ACGT",
        "extra_channels": spec.extra_channels,
        "provenance": {**versions("torch"), **model_provenance(spec)},
    }
    archive = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):
        torch.export.save(program, archive, extra_files={DESCRIPTION: json.dumps(description, default=str)})
    with whole_file(out) as path:
        path.write_bytes(archive.getvalue())
        _check_same(exported_program(path, Form.PROGRAM, trust=False), program, inputs)
    operations = sum(node.op == "call_function" for node in program.graph.nodes)
    return WrittenProgram(operations, 4 + spec.extra_channels, length, tasks)


def _with_plain_names(program: ExportedProgram) -> ExportedProgram:
    """Return a program with names of weights that can be read without trust; Keras's have a /."""
    signature = program.graph_signature
    new: dict[str, str] = {}
    for spec in (*signature.input_specs, *signature.output_specs):
        if spec.target is not None:
            plain = re.sub(r"[^\w.]", "_", spec.target)
            while plain in new.values() and new.get(spec.target) != plain:
                plain += "_"
            new[spec.target] = spec.target = plain
    for tensors in (program.state_dict, program.constants):
        for name in list(tensors):
            tensors[new.get(name, name)] = tensors.pop(name)
    return program


def _inputs(length: int, extra_channels: int) -> tuple[Tensor, ...]:
    bases = random_onehot(_CHECKED_ROWS, length)
    if not extra_channels:
        return (bases,)
    random = torch.Generator().manual_seed(0)
    return bases, torch.rand(_CHECKED_ROWS, extra_channels, length, generator=random)


def _check_same(read: ExportedProgram, written: ExportedProgram, inputs: tuple[Tensor, ...]) -> None:
    """Raise `InputError` if a program that was read gives other outputs than the one that was written."""
    double = any(tensor.dtype is torch.float64 for tensor in written.state_dict.values())
    given = tuple(tensor.double() if double else tensor for tensor in inputs)
    with torch.no_grad():
        found, expected = (tree_leaves(program.module()(*given)) for program in (read, written))
    if not all(map(torch.equal, found, expected)):
        raise InputError(
            "gives other outputs when it is read again",
            where="the model",
            remedy="its forward must not depend on chance",
        )
