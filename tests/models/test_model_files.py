"""A model in several files is read as one, and every one of its files is recorded."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from refusals import refused
from safetensors.torch import save_file
from torch import nn

import genolift
from genolift.files.of_models import file_digests, model_sha256
from genolift.files.output_paths import check_outputs
from genolift.inspection.weights import read_weights_file
from genolift.models import ModelSpec, make_module, model_provenance
from genolift.settings.config import resolve_config

SOURCE = """
from torch import nn


class Small(nn.Module):
    def __init__(self, filters: int):
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, filters, 5), nn.Linear(filters, 2)

    def forward(self, x):
        return self.out(self.conv(x).relu().mean(-1))
"""
INDEX = {"safetensors": "model.safetensors.index.json", "bin": "pytorch_model.bin.index.json"}


def save(weights: dict[str, Any], path: Path) -> None:
    if path.suffix == ".safetensors":
        save_file(weights, path)
    else:
        torch.save(weights, path)


def folder_of(parent: Path, kind: str, *, shards: int, config: bool = True) -> tuple[Path, nn.Module]:
    """Write a model as Hugging Face's libraries do, and return the folder and the model."""
    (parent / "model.py").write_text(SOURCE)
    folder = parent / "weights"
    folder.mkdir()
    torch.manual_seed(0)
    model = make_module(f"{parent}/model.py:Small", {"filters": 3}).eval()
    weights = model.state_dict()
    stem = "model" if kind == "safetensors" else "pytorch_model"
    if shards == 1:
        save(weights, folder / f"{stem}.{kind}")
    else:
        names = [f"{stem}-{number + 1:05}-of-{shards:05}.{kind}" for number in range(shards)]
        told = {key: names[number % shards] for number, key in enumerate(weights)}
        for name in names:
            save({key: weights[key] for key in weights if told[key] == name}, folder / name)
        index = {"metadata": {"total_size": 99}, "weight_map": told}
        (folder / INDEX[kind]).write_text(json.dumps(index))
    if config:
        (folder / "config.json").write_text(json.dumps({"filters": 3, "model_type": "small"}))
    return folder, model


def spec(folder: Path, path: Path | None = None, **more: Any) -> dict[str, Any]:
    made = {"class": f"{folder.parent}/model.py:Small", "arguments": {"filters": 3}}
    return {"path": str(path or folder), **made, **more}


def check_same(found: Any, model: nn.Module) -> None:
    x = torch.rand(2, 4, 20)
    assert torch.equal(found(x), model(x))


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_a_folder_is_read_as_the_one_model_that_it_is(tmp_path: Path, kind: str, shards: int) -> None:
    folder, model = folder_of(tmp_path, kind, shards=shards)
    check_same(genolift.load_model(spec(folder)), model)
    files = {file.name for file in folder.iterdir()}
    assert {Path(file).name for file in ModelSpec.of(spec(folder)).files} == files | {"model.py"}
    said = model_provenance(ModelSpec.of(spec(folder)))
    assert said["model_files"] == {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in sorted(files)
    }
    found = read_weights_file(str(folder), trust=False)
    assert (found.tensors, found.settings["filters"]) == (4, 3)


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_an_index_is_read_as_the_model_of_its_shards(tmp_path: Path, kind: str) -> None:
    folder, model = folder_of(tmp_path, kind, shards=2, config=False)
    index = folder / INDEX[kind]
    check_same(genolift.load_model(spec(folder, index)), model)
    assert len(ModelSpec.of(spec(folder, index)).files) == 4
    (index.parent / "anything.json").write_bytes(index.read_bytes())
    check_same(genolift.load_model(spec(folder, index.parent / "anything.json")), model)


def test_safetensors_are_read_where_a_folder_has_pickles_too(tmp_path: Path) -> None:
    folder, model = folder_of(tmp_path, "safetensors", shards=1)
    (folder / "pytorch_model.bin").write_bytes(b"anything")
    check_same(genolift.load_model(spec(folder)), model)


def test_the_arguments_that_config_json_says_are_said(tmp_path: Path) -> None:
    folder, model = folder_of(tmp_path, "safetensors", shards=1)
    message = refused(spec(folder, arguments={}))
    assert "; config.json says {'filters': 3}" in message
    assert "set arguments: {filters: 3}" in refused(spec(folder, arguments={"filters": 5}))
    check_same(genolift.load_model(spec(folder, arguments={"filters": 3})), model)


def test_a_missing_shard_is_named_before_anything_is_read(tmp_path: Path) -> None:
    folder, model = folder_of(tmp_path, "safetensors", shards=2)
    shard = next(folder.glob("*00002-of*"))
    held = shard.read_bytes()
    shard.unlink()
    message = refused(spec(folder))
    assert f"names {shard.name}, which is not next to it; copy it into {folder}" in message
    with pytest.raises(genolift.InputError, match="which is not next to it"):
        ModelSpec.of(spec(folder)).files  # noqa: B018 - the workflow asks
    (folder / shard.name).write_bytes(held)
    check_same(genolift.load_model(spec(folder)), model)


def test_shards_that_are_not_what_the_index_says_are_refused(tmp_path: Path) -> None:
    folder, _ = folder_of(tmp_path, "safetensors", shards=2)
    first, second = sorted(folder.glob("model-*"))
    second.write_bytes(first.read_bytes())
    assert "lacks conv.bias and 1 more keys, which the index lists for it" in refused(spec(folder))
    second.write_bytes(first.read_bytes()[:-4])
    assert f"{second}: is not a complete safetensors file" in refused(spec(folder))
    second.write_text("{}")
    assert f"{second}: holds no weights that can be read: it is JSON" in refused(spec(folder))


@pytest.mark.parametrize("name", ["../outside.safetensors", "/etc/passwd", "", ".", "a/b.bin", 3, None])
def test_an_index_reads_no_file_but_those_beside_it(tmp_path: Path, name: Any) -> None:
    folder, _ = folder_of(tmp_path, "safetensors", shards=2)
    (folder / INDEX["safetensors"]).write_text(json.dumps({"weight_map": {"conv.weight": name}}))
    assert "which is not a file next to it; name files in the index's own folder" in refused(spec(folder))


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "{}", '{"weight_map": []}', '{"weight_map": {}}', "[" * 10**5]
)
def test_an_index_that_is_none_is_said(tmp_path: Path, text: str) -> None:
    folder, _ = folder_of(tmp_path, "bin", shards=2)
    (folder / INDEX["bin"]).write_text(text)
    message = refused(spec(folder))
    assert "cannot be read as JSON" in message or "has no weight_map" in message


def test_a_folder_without_weights_says_what_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    message = refused({"path": str(tmp_path)})
    assert (
        "is a folder without weights; name a file in it, or a folder that holds model.safetensors" in message
    )


def test_a_folder_of_weights_needs_a_class(tmp_path: Path) -> None:
    folder, _ = folder_of(tmp_path, "safetensors", shards=1)
    assert "holds weights but no model; name the class to put them in" in refused({"path": str(folder)})


def test_a_model_in_several_files_has_one_sha256(tmp_path: Path) -> None:
    folder, model = folder_of(tmp_path, "bin", shards=2)
    lines = [f"{digest}  {name}\n" for name, digest in sorted(file_digests(folder).items())]
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()  # sha256sum * | sha256sum
    assert model_sha256(folder) == digest
    check_same(genolift.load_model(spec(folder, sha256=digest)), model)
    assert model_provenance(ModelSpec.of(spec(folder)))["model_sha256"] == digest
    (folder / "config.json").write_text("{}")
    assert f", not {digest}; copy the file again" in refused(spec(folder, sha256=digest))


def test_a_config_takes_a_folder_and_checks_its_files(tmp_path: Path) -> None:
    folder, _ = folder_of(tmp_path, "safetensors", shards=2)
    (tmp_path / "one.fa").write_text(">one\nACGT\n")
    model = {**spec(folder), "input_length": 20}
    config = {"analyses": {"one": {"model": model, "sequences": {"fasta": f"{tmp_path}/one.fa"}}}}
    (read,) = resolve_config(config, "config").analyses["one"].models.values()
    assert len(read.files) == 5
    del model["class"]
    with pytest.raises(genolift.InputError, match="holds weights but no model"):
        resolve_config(config, "config")
    next(folder.glob("*00001-of*")).unlink()
    with pytest.raises(genolift.InputError, match="which is not next to it"):
        resolve_config(config, "config")


def test_no_output_is_written_over_a_shard(tmp_path: Path) -> None:
    folder, _ = folder_of(tmp_path, "safetensors", shards=2)
    shard = next(folder.glob("*00001-of*"))
    with pytest.raises(genolift.InputError, match="is also an input"):
        check_outputs([shard], inputs=ModelSpec.of(spec(folder)).files)


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_shard_that_could_run_code_is_refused(tmp_path: Path, protocol: int) -> None:
    folder, _ = folder_of(tmp_path, "bin", shards=2)
    shard = next(folder.glob("*00001-of*"))
    torch.save({"conv.weight": Path("a")}, shard, pickle_protocol=protocol)
    assert f"{shard}: holds pickled objects besides tensors (pathlib.PosixPath)" in refused(spec(folder))
