"""Exported programs are read correctly without trust, and nothing else in them is run."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from refusals import refused
from tampered_programs import (
    CONSTANTS,
    INJECTIONS,
    LEFT_OUT,
    MODEL,
    TAMPERED,
    WEIGHTS,
    Writes,
    members,
    save_program,
    texts,
    write,
)
from torch import nn
from torch.export import Dim
from torch.nn.functional import one_hot

import genolift
from genolift.engine.graph.program import graph_of
from genolift.models import ModelSpec, input_length
from genolift.models.training_mode import trains


def onehot(n: int, length: int = 30) -> torch.Tensor:
    codes = torch.randint(4, (n, length), generator=torch.Generator().manual_seed(1))
    return one_hot(codes, 4).transpose(1, 2).float()


def refused_in(path: Path, **more: Any) -> str:
    return refused({"path": str(path), **more})


def check_same(program: Any, module: nn.Module) -> None:
    rows = onehot(6)
    found = genolift.deeplift(program, rows[:3], rows[3:])
    expected = genolift.deeplift(module, rows[:3], rows[3:])
    assert torch.equal(found.contributions, expected.contributions)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "model.pt2"
    save_program(path)
    return path


def test_a_program_is_read_without_trust_and_explained_as_its_module(tmp_path: Path) -> None:
    module = save_program(tmp_path / "model.pt2")
    read = genolift.load_model(tmp_path / "model.pt2")
    check_same(read, module)
    assert input_length(read, ModelSpec(path="model.pt2")) == 30
    assert read.example_inputs is None  # they were pickled


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt", ".safetensors", ""])
def test_a_program_is_known_by_what_it_holds(program: Path, suffix: str) -> None:
    other = program.rename(program.with_suffix(suffix))
    assert isinstance(genolift.load_model(other), torch.export.ExportedProgram)


@pytest.mark.parametrize("name", TAMPERED)
def test_nothing_in_a_program_is_run(program: Path, tmp_path: Path, name: str) -> None:
    change, runs = TAMPERED[name]
    target, tampered = tmp_path / "written", tmp_path / "tampered.pt2"
    held = members(program)
    change(held, target)
    write(tampered, held)
    if name in LEFT_OUT:
        read, rows = genolift.load_model(tampered), onehot(4)
        genolift.deeplift(read, rows[:2], rows[2:], target=lambda output: output[:, 0])
    else:
        message = refused_in(tampered)
        assert "could run code when read: " in message
        assert "genolift export, or, if you trust its source, set trust: true" in message
    assert not target.exists()
    if runs and torch.__version__.startswith("2.13."):
        run_by_torch(tampered)
        assert target.exists()  # so that the test would see it


def run_by_torch(path: Path) -> None:
    """Read a program as torch does, and run it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.export.load(str(path)).module()(onehot(3))
        except Exception:
            return


@pytest.mark.parametrize("injection", INJECTIONS)
def test_no_text_of_a_program_is_run_wherever_it_stands(
    program: Path, tmp_path: Path, injection: str
) -> None:
    target, tampered = tmp_path / "written", tmp_path / "tampered.pt2"
    code = f"__import__('pathlib').Path({str(target)!r}).write_text('run')"
    whole = members(program)
    places = [
        (name, place) for name in (MODEL, WEIGHTS, CONSTANTS) for place in texts(json.loads(whole[name]))
    ]
    assert len(places) > 30
    for name, place in places:
        told = json.loads(whole[name])
        container, key = texts(told)[place][0]
        container[key] = injection.format(code=code)
        write(tampered, {**whole, name: json.dumps(told).encode()})
        with suppress(genolift.InputError):
            read: Any = genolift.load_model(tampered)
            read.module()(onehot(3))
        assert not target.exists(), place


def test_a_name_that_stands_twice_in_an_archive_is_refused(program: Path, tmp_path: Path) -> None:
    tampered = tmp_path / "tampered.pt2"
    with zipfile.ZipFile(tampered, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, content in [*members(program).items(), ("models/model.json", b"{}")]:
            archive.writestr(f"model/{name}", content)
    assert "a name occurs twice in its archive" in refused_in(tampered)


def old_program(path: Path, **changed: bytes) -> nn.Module:
    """Write a program as torch 2.7 did."""
    from torch._export.serde.serialize import serialize

    module = save_program(path)
    saved = serialize(torch.export.load(path))
    held = {
        "serialized_exported_program.json": saved.exported_program,
        "serialized_state_dict.pt": saved.state_dict,
        "serialized_constants.pt": saved.constants,
        "serialized_example_inputs.pt": saved.example_inputs,
        "version": b"8.8",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**held, **changed}.items():
            archive.writestr(name, content)
    return module


def test_a_program_of_an_older_torch_is_read(tmp_path: Path) -> None:
    module = old_program(tmp_path / "old.pt2")
    check_same(genolift.load_model(tmp_path / "old.pt2"), module)


@pytest.mark.parametrize("member", ["state_dict", "constants", "example_inputs"])
def test_nothing_in_a_program_of_an_older_torch_is_run(tmp_path: Path, member: str) -> None:
    pickled = io.BytesIO()
    torch.save({"conv.weight": Writes(tmp_path / "written")}, pickled)
    old_program(tmp_path / "old.pt2", **{f"serialized_{member}.pt": pickled.getvalue()})
    if member == "example_inputs":
        genolift.load_model(tmp_path / "old.pt2")
    else:
        assert "could run code when read: it holds a pickled object" in refused_in(tmp_path / "old.pt2")
    assert not (tmp_path / "written").exists()
    run_by_torch(tmp_path / "old.pt2")
    assert (tmp_path / "written").exists()


def test_a_trusted_program_is_read_with_what_it_pickles(program: Path, tmp_path: Path) -> None:
    change, _ = TAMPERED["a pickled constant"]
    held = members(program)
    change(held, tmp_path / "written")
    write(tmp_path / "tampered.pt2", held)
    genolift.load_model({"path": str(tmp_path / "tampered.pt2"), "trust": True})
    assert (tmp_path / "written").exists()


def test_a_program_of_a_gpu_is_read_without_one(program: Path, tmp_path: Path) -> None:
    module = save_program(program)
    held = {
        name: content.replace(b'{"type": "cpu", "index": null}', b'{"type": "cuda", "index": 1}')
        if name.endswith(".json")
        else content
        for name, content in members(program).items()
    }
    assert b"cuda" in held["models/model.json"]
    write(tmp_path / "gpu.pt2", held)
    check_same(genolift.load_model(tmp_path / "gpu.pt2"), module)


def test_what_a_program_makes_is_made_where_it_is_explained() -> None:
    class Ramp(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            ramp = torch.arange(x.shape[-1], dtype=x.dtype, device=x.device)
            return (x * ramp).sum((1, 2)) + torch.zeros(x.shape[0], device=x.device)

    exported = torch.export.export(Ramp(), (onehot(3),), dynamic_shapes=({0: Dim("batch", min=2)},))
    elsewhere = torch.device("meta")
    graph = graph_of(exported, elsewhere, torch.float32)
    devices = [each.kwargs["device"] for each in graph.operations if "device" in each.kwargs]
    assert devices == [elsewhere] * 2


def test_what_a_program_says_of_its_model_is_read_if_it_is_plain(program: Path) -> None:
    held = members(program)
    held["extra/genolift.json"] = json.dumps({"tasks": ["one", "two"], "input_length": 30}).encode()
    write(program, held)
    read = genolift.load_model(program)
    assert genolift.targets.task_names(read) == ["one", "two"]
    held["extra/genolift.json"] = json.dumps({"tasks": [{"not": "text"}]}).encode()
    write(program, held)
    assert genolift.targets.task_names(genolift.load_model(program)) == []


@pytest.mark.parametrize("rows", [1, 3])
def test_a_program_of_a_fixed_number_of_rows_is_refused(tmp_path: Path, rows: int) -> None:
    module = save_program(tmp_path / "model.pt2")
    torch.export.save(torch.export.export(module, (onehot(rows),)), tmp_path / "fixed.pt2")
    message = refused_in(tmp_path / "fixed.pt2")
    assert f"takes {rows} row{'s' if rows > 1 else ''} only; export it with dynamic_shapes=({{0: " in message


def test_sizes_that_depend_on_the_rows_are_let_pass(tmp_path: Path) -> None:
    class Strands(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(4, 2, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            both = torch.cat([x, x.flip(1, 2)])
            h = self.conv(both).relu().amax(-1)
            return h.view(2, x.shape[0], 2).mean(0)

    module = Strands().eval()
    program = torch.export.export(module, (onehot(3),), dynamic_shapes=({0: Dim("batch", min=2)},))
    torch.export.save(program, tmp_path / "strands.pt2")
    check_same(genolift.load_model(tmp_path / "strands.pt2"), module)


class NoGrad(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 2, 5)

    def forward(self, x: torch.Tensor) -> Any:
        with torch.no_grad():
            h = self.conv(x).relu()
        return h.amax(-1)


class Autocast(NoGrad):
    def forward(self, x: torch.Tensor) -> Any:
        with torch.autocast("cpu", enabled=False):
            return self.conv(x).relu().amax(-1)


class Named(NoGrad):
    def forward(self, x: torch.Tensor) -> Any:
        return OrderedDict({"ATAC-seq": self.conv(x).relu().amax(-1), "more": {"of it": [x.sum(1)]}})


@pytest.mark.parametrize("make", [NoGrad, Autocast, Named])
def test_what_a_forward_sets_and_names_is_let_pass(tmp_path: Path, make: type[nn.Module]) -> None:
    module, rows = make().eval(), onehot(6)
    exported = torch.export.export(module, (rows,), dynamic_shapes=({0: Dim("batch", min=2)},), strict=False)
    torch.export.save(exported, tmp_path / "model.pt2")
    read = genolift.load_model(tmp_path / "model.pt2")

    def target(output: Any) -> torch.Tensor:
        return (output["ATAC-seq"] if isinstance(output, dict) else output)[:, 1]

    found = genolift.deeplift(read, rows[:3], rows[3:], target=target)
    expected = genolift.deeplift(module, rows[:3], rows[3:], target=target)
    assert torch.equal(found.contributions, expected.contributions)


def test_a_program_without_the_values_of_a_constant_is_refused_as_it_is_read(program: Path) -> None:
    held = members(program)
    told = json.loads(held[CONSTANTS])
    told["config"] = {f"model.{name}": entry for name, entry in told["config"].items()}
    write(program, held | {CONSTANTS: json.dumps(told).encode()})
    with pytest.raises(genolift.InputError, match="lacks the values of 'scale'; copy it again"):
        genolift.load_model(str(program))


def test_what_is_no_program_is_said(program: Path, tmp_path: Path) -> None:
    whole = program.read_bytes()
    (tmp_path / "cut.pt2").write_bytes(whole[: len(whole) // 2])
    assert "is not a complete zip archive" in refused_in(tmp_path / "cut.pt2")
    (tmp_path / "empty.pt2").write_bytes(b"")
    assert "cannot be" not in refused_in(tmp_path / "empty.pt2")
    assert "is empty; copy it again" in refused_in(tmp_path / "empty.pt2")
    held = members(program)
    del held["data/weights/weight_0"]
    write(tmp_path / "less.pt2", held)
    assert f"is not an exported program that torch {torch.__version__} reads" in refused_in(
        tmp_path / "less.pt2"
    )
    compiled = {"data/aotinductor/model/model.so": b"\x7fELF", "archive_format": b"pt2"}
    write(tmp_path / "compiled.pt2", compiled)
    assert "is compiled for a machine (AOTInductor)" in refused_in(tmp_path / "compiled.pt2")


class Dropping(nn.Module):
    """A norm and a dropout, which compute something different in training."""

    def __init__(self, *, norm: bool = False, drop: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 5)
        self.norm = nn.BatchNorm1d(6) if norm else nn.Identity()
        self.drop = nn.Dropout(0.5) if drop else nn.Identity()
        self.out = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.drop(self.norm(self.conv(x)).relu()).mean(-1))


class DroppingAlways(Dropping):
    """Drops values in evaluation too."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.dropout(x))


class DroppingAsToldTo(Dropping):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.dropout(x, training=self.training))


def check_outputs(program: Any, module: nn.Module) -> None:
    rows = onehot(4)
    with torch.no_grad():
        assert torch.allclose(program.module()(rows), module(rows), atol=1e-6)


def export(module: nn.Module, path: Path, *, decomposed: bool = False) -> None:
    rows = {"x": {0: Dim("batch", min=2)}}
    program = torch.export.export(module, (onehot(3),), dynamic_shapes=rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(program.run_decompositions() if decomposed else program, str(path))


@pytest.mark.parametrize("decomposed", [False, True])
@pytest.mark.parametrize("layer", ["norm", "drop"])
def test_a_program_exported_in_training_mode_is_refused_with_its_mend(
    tmp_path: Path, layer: str, decomposed: bool
) -> None:
    path, module = tmp_path / "model.pt2", Dropping(**{layer: True})
    export(module.train(), path, decomposed=decomposed)
    message = refused_in(path)
    assert "was exported in training mode (" in message
    assert "; call model.eval() first, then export it again" in message
    export(module.eval(), path, decomposed=decomposed)
    check_outputs(genolift.load_model(path), module)


def test_a_program_that_drops_in_evaluation_too_is_refused_with_its_mend(tmp_path: Path) -> None:
    export(DroppingAlways().eval(), tmp_path / "model.pt2")
    assert "F.dropout needs training=self.training" in refused_in(tmp_path / "model.pt2")
    module = DroppingAsToldTo().eval()
    export(module, tmp_path / "model.pt2")
    check_outputs(genolift.load_model(tmp_path / "model.pt2"), module)


def test_a_program_in_training_mode_that_does_the_same_is_read(tmp_path: Path) -> None:
    module = Dropping()
    module.drop, module.norm = nn.Dropout(0.0), nn.InstanceNorm1d(6)
    export(module.train(), tmp_path / "model.pt2")
    check_outputs(genolift.load_model(tmp_path / "model.pt2"), module.eval())


@pytest.mark.parametrize(
    ("name", "given", "is_of_training"),
    [
        ("gru", {"train": True, "dropout": 0.5}, True),
        ("gru", {"train": True, "dropout": 0.0}, False),
        ("gru", {"train": False, "dropout": 0.5}, False),
        ("batch_norm", {"running_mean": "kept", "training": True}, True),
        ("batch_norm", {"running_mean": None, "training": True}, False),
        ("_batch_norm_with_update", {"running_mean": "kept"}, True),
        ("native_dropout", {"p": 0.5, "train": None}, True),
        ("native_dropout", {"p": 0.5, "train": False}, False),
        ("scaled_dot_product_attention", {"dropout_p": 0.1}, True),
        ("scaled_dot_product_attention", {"dropout_p": 0.0}, False),
        ("rrelu", {"training": True}, True),
    ],
)
def test_an_operation_of_training_is_told_by_what_it_is_given(
    name: str, given: dict[str, Any], is_of_training: bool
) -> None:
    assert trains(name, given) is is_of_training
