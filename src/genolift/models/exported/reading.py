"""Exported programs (.pt2), read without running code.

torch.export.load unpickles sample inputs, custom objects, tensors of unusual types and, in older files, all
weights, in the end with ``weights_only=False``. So it never reads a user's file: the plain parts of the file,
raw tensors and checked JSON (`program_check`), are written to a new archive in memory, which it reads.
"""

import io
import json
import logging
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from genolift.engine.graph import recurrent_operations  # noqa: F401 - its operations may be a program's
from genolift.engine.graph.program import inputs_of_program
from genolift.engine.torch_internals import schema_of
from genolift.errors import InputError, Refusal, refused_as
from genolift.files.integrity import json_in, opened_archive
from genolift.models.exported.program_check import UnsafeError, check_path, checked, checked_payload
from genolift.models.forms import Form
from genolift.models.protocols import archive_in_protocol_2
from genolift.models.training_mode import trained, trains

if TYPE_CHECKING:
    from torch.export.pt2_archive import PT2ArchiveWriter

DESCRIPTION = "genolift.json"
"""The extra file in which `genolift export` writes what a program lacks: its tasks and its origin."""
_OLD = {"program": "serialized_exported_program.json", "weights": "serialized_state_dict.pt"}
_OLD_CONSTANTS = "serialized_constants.pt"


def exported_program(path: Path, form: Form, trust: bool) -> ExportedProgram:
    """Return a program written by torch.export.save, on the CPU.

    Parameters
    ----------
    form
        What the file is.
    trust
        Also read what can run code.

    Raises
    ------
    InputError
        If it could run code when read, cannot be read, or takes a fixed number of rows.
    """
    where = f"model.path: {path}"
    if form is Form.COMPILED:
        raise InputError(
            "is compiled for a machine (AOTInductor), so its operations are not known",
            where=where,
            remedy="write the exported program itself, with torch.export.save or genolift export",
        )
    what = f"is not an exported program that torch {torch.__version__} reads"
    with refused_as(Refusal(what, where, "save it again with torch.export.save"), (Exception,)):
        try:
            said, copied = _plain_copy(path)
            program = _read(copied)
        except Exception as error:
            if not trust and isinstance(error, UnsafeError):
                remedy = "write it again with genolift export, or, if you trust its source, set trust: true"
                raise InputError(f"could run code when read: {error}", where=where, remedy=remedy) from error
            if not trust:
                raise
            said, program = {}, _read(io.BytesIO(path.read_bytes()))
    _check_values(program, where)
    _check_mode(program, where)
    _check_rows(program, where)
    return _described(program, said)


def _read(archive: io.BytesIO) -> ExportedProgram:
    with silenced():
        return torch.export.load(archive)


@contextmanager
def silenced() -> Iterator[None]:
    """Keep torch from logging a whole traceback in addition to the one line that is raised."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)


def _plain_copy(path: Path) -> tuple[Mapping[str, Any], io.BytesIO]:
    """Return what a file says about its model, and an archive of its plain parts."""
    from torch.export.pt2_archive import PT2ArchiveWriter  # with much of torch, a second

    copied = io.BytesIO()
    with opened_archive(path, "model.path") as archive:
        names = archive.namelist()
        if len(set(names)) != len(names):
            raise UnsafeError("a name occurs twice in its archive")
        if _OLD["program"] in names:
            with PT2ArchiveWriter(copied) as writer:
                _copy_old(archive, writer)
            copied.seek(0)
            return {}, copied
        root = names[0].partition("/")[0] + "/"
        with PT2ArchiveWriter(copied) as writer:
            _copy(archive, root, writer)
        extra = f"{root}extra/{DESCRIPTION}"
        said = json_in(archive, extra) if extra in names else {}
    copied.seek(0)
    return said if isinstance(said, dict) else {}, copied


def _copy(archive: zipfile.ZipFile, root: str, writer: "PT2ArchiveWriter") -> None:
    names = archive.namelist()
    models = [name for name in names if name.startswith(f"{root}models/") and name.endswith(".json")]
    if len(models) != 1:
        raise ValueError("holds several programs")
    model = models[0].removeprefix(f"{root}models/").removesuffix(".json")
    _write_program(json_in(archive, models[0]), writer)
    for kind, prefix in (("weights", "weight_"), ("constants", "tensor_")):
        folder = f"{root}data/{kind}/"
        if f"{folder}{model}.pt" in names:  # as torch wrote it before 2.9
            writer.write_bytes(f"data/{kind}/model.pt", _saved_again(archive.read(f"{folder}{model}.pt")))
            continue
        told = json_in(archive, f"{folder}{model}_{kind}_config.json")["config"]
        copied: dict[str, str] = {}
        config = {}
        for key, entry in told.items():
            if not str(entry["path_name"]).startswith(prefix):
                raise UnsafeError("it holds a pickled object")
            layout = checked_payload(entry)
            name = copied.get(entry["path_name"])
            if name is None:  # tensors may share one
                name = copied[entry["path_name"]] = f"{prefix}{len(copied)}"
                writer.write_bytes(f"data/{kind}/{name}", archive.read(folder + entry["path_name"]))
            config[check_path(key)] = {"path_name": name, **layout}
        writer.write_string(f"data/{kind}/model_{kind}_config.json", json.dumps({"config": config}))


def _copy_old(archive: zipfile.ZipFile, writer: "PT2ArchiveWriter") -> None:
    """Copy a file of torch before 2.8, whose tensors are all pickled."""
    _write_program(json_in(archive, _OLD["program"]), writer)
    for kind, name in (("weights", _OLD["weights"]), ("constants", _OLD_CONSTANTS)):
        writer.write_bytes(f"data/{kind}/model.pt", _saved_again(archive.read(name)))


def _write_program(program: Mapping[str, Any], writer: "PT2ArchiveWriter") -> None:
    writer.write_string("models/model.json", json.dumps(checked(program)))
    writer.write_bytes("data/sample_inputs/model.pt", b"")  # not needed


def _saved_again(pickled: bytes) -> bytes:
    """Return tensors as torch.save writes them, after reading them with only tensors allowed."""
    if not pickled:
        return pickled
    try:
        with zipfile.ZipFile(io.BytesIO(pickled)) as archive:
            copied = archive_in_protocol_2(archive) or io.BytesIO(pickled)
        tensors = torch.load(copied, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UnsafeError("it holds a pickled object") from error
    if not isinstance(tensors, dict) or not all(isinstance(each, Tensor) for each in tensors.values()):
        raise UnsafeError("it holds a pickled object")
    again = io.BytesIO()
    torch.save({check_path(key): tensor for key, tensor in tensors.items()}, again)
    return again.getvalue()


def _check_values(program: ExportedProgram, where: str) -> None:
    """Raise if a parameter, buffer or constant has no value; torch would only notice when running it."""
    for spec in program.graph_signature.input_specs:
        kept = spec.kind in (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)
        if kept and spec.target not in program.state_dict and spec.target not in program.constants:
            raise InputError(
                f"lacks the values of {spec.target!r}",
                where=where,
                remedy="copy it again, or export it again",
            )


def _check_mode(program: ExportedProgram, where: str) -> None:
    """Raise if a program was exported in training mode."""
    for node in program.graph.nodes:
        schema = schema_of(node.target)
        if schema is None:
            continue
        given = dict(node.kwargs)
        for place, argument in enumerate(schema.arguments):
            if place < len(node.args):
                given[argument.name] = node.args[place]
            elif argument.has_default_value():
                given.setdefault(argument.name, argument.default_value)
        name = schema.name.partition("::")[2]
        if trains(name, given):
            raise trained(name, where, "exported", "export it again")


def _check_rows(program: ExportedProgram, where: str) -> None:
    shapes = [value.shape for value in inputs_of_program(program).values() if isinstance(value, Tensor)]
    if not shapes:
        raise InputError("takes no tensor", where=where, remedy="export a model of (n, 4, length)")
    shape = shapes[0]
    if len(shape) and isinstance(shape[0], int):
        raise InputError(
            f"takes {shape[0]} row{'s' if shape[0] != 1 else ''} only",
            where=where,
            remedy='export it with dynamic_shapes=({0: torch.export.Dim("batch", min=2)},), '
            "or with genolift export",
        )


def _described(program: ExportedProgram, said: Mapping[str, Any]) -> ExportedProgram:
    """Return a program with what `genolift export` wrote about it as attributes."""
    tasks = said.get("tasks")
    if isinstance(tasks, list) and all(isinstance(task, str) for task in tasks):
        program.tasks = tasks  # type: ignore[attr-defined]
    for key in ("input_length", "extra_channels"):
        if isinstance(said.get(key), int):
            setattr(program, key, said[key])
    return program
