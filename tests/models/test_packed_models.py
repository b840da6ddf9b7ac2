"""A packed model is recognised, and the message gives the command that unpacks it, which works."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from refusals import refused
from torch import nn

import genolift

SOURCE = """
from torch import nn


class Small(nn.Linear):
    def __init__(self):
        super().__init__(4, 1)
"""


@pytest.fixture
def weights(tmp_path: Path) -> bytes:
    (tmp_path / "model.py").write_text(SOURCE)
    saved = io.BytesIO()
    torch.save(nn.Linear(4, 1).state_dict(), saved)
    return saved.getvalue()


def refused_in(folder: Path, name: str) -> str:
    return refused({"path": f"{folder}/{name}", "class": f"{folder}/model.py:Small"})


def zipped(path: Path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/") + ".pt", content)


def test_a_zip_archive_of_a_model_is_said_and_what_is_in_it_is_read(tmp_path: Path, weights: bytes) -> None:
    zipped(tmp_path / "m.pt.zip", folder__weights=weights)
    message = refused_in(tmp_path, "m.pt.zip")
    said = "is a zip archive that holds folder/weights.pt, not a model's file; unzip it and give "
    assert f"{said}folder/weights.pt as model.path" in message
    with zipfile.ZipFile(tmp_path / "m.pt.zip") as archive:
        archive.extractall(tmp_path)
    genolift.load_model({"path": f"{tmp_path}/folder/weights.pt", "class": f"{tmp_path}/model.py:Small"})
    zipped(tmp_path / "m.zip", fold_0=weights, fold_1=weights)
    assert "holds 2 files of models (fold_0.pt, fold_1.pt)" in refused_in(tmp_path, "m.zip")
    assert "unzip it and give one of them as model.path" in refused_in(tmp_path, "m.zip")


@pytest.mark.parametrize(
    ("compressed", "suffix", "by"),
    [(gzip.compress, "gz", "gzip"), (bz2.compress, "bz2", "bzip2"), (lzma.compress, "xz", "xz")],
)
def test_a_compressed_model_is_said_with_the_command_that_unpacks_it(
    tmp_path: Path, weights: bytes, compressed: Callable[[bytes], bytes], suffix: str, by: str
) -> None:
    (tmp_path / f"m.pt.{suffix}").write_bytes(compressed(weights))
    message = refused_in(tmp_path, f"m.pt.{suffix}")
    assert (
        f"is compressed with {by}, not a model's file; unpack it ({by} -dc m.pt.{suffix} > m.pt)" in message
    )
    if by == "gzip":  # the other programs are not on every machine
        command = re.search(r"unpack it \((.*?)\)", message)
        assert command is not None
        subprocess.run(command[1], shell=True, check=True, cwd=tmp_path)
        genolift.load_model({"path": f"{tmp_path}/m.pt", "class": f"{tmp_path}/model.py:Small"})


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_archive_is_said(tmp_path: Path, weights: bytes, mode: str) -> None:
    (tmp_path / "m.pt").write_bytes(weights)
    with tarfile.open(tmp_path / "m.tar", mode) as archive:  # type: ignore[call-overload]
        archive.add(tmp_path / "m.pt", "m.pt")
    message = refused_in(tmp_path, "m.tar")
    assert "is a tar archive" in message
    assert "unpack it (tar -xf m.tar) and give what is in it as model.path" in message
    (tmp_path / "m.pt").unlink()
    subprocess.run(["tar", "-xf", "m.tar"], check=True, cwd=tmp_path)
    genolift.load_model({"path": f"{tmp_path}/m.pt", "class": f"{tmp_path}/model.py:Small"})
