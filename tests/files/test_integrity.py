"""A model file that has changed since it was written is refused, in each format that can detect it."""

from __future__ import annotations

import hashlib
import logging
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from refusals import refused
from run_steps import Study, study
from safetensors.torch import save_file
from tampered_programs import save_program
from torch.serialization import set_crc32_options

import genolift
from genolift.cli.main import main
from genolift.files import integrity
from genolift.models import input_length
from genolift.results.store import LAYOUT
from genolift.steps.blocks import Pieces


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Study:
    study_of_three = study(tmp_path_factory.mktemp("study"), n=3)
    weights = genolift.load_model(study_of_three.model).state_dict()
    torch.save({"state_dict": weights, "epoch": 3}, study_of_three.folder / "weights.pt")
    return study_of_three


def of(made: Study, path: Path | str, **more: object) -> dict[str, object]:
    return {"path": str(path), "class": made.model.class_name} | more


def flipped(path: Path, out: Path, name: str) -> Path:
    """Write an archive with one bit changed in the middle of a record."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        record = next(each for each in archive.infolist() if each.filename.endswith(name))
        content = archive.read(record)
    data[data.index(content, record.header_offset) + len(content) // 2] ^= 4
    out.write_bytes(data)
    return out


def without_checksums(path: Path, name: str = "") -> None:
    """Set the checksums of records to 0 in the archive's directory."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        place, records = archive.start_dir, archive.infolist()
    for record in records:
        if name in record.filename:
            data[place + 16 : place + 20] = bytes(4)
        place = data.index(record.filename.encode(), place) + len(record.filename)
        place = data.find(b"PK\1\2", place)
    path.write_bytes(data)


def test_a_bit_that_flipped_in_weights_is_refused_naming_the_record(made: Study, tmp_path: Path) -> None:
    whole = made.folder / "weights.pt"
    genolift.load_model(of(made, whole))
    path = flipped(whole, tmp_path / "weights.pt", "/data/0")
    torch.load(path, weights_only=True)  # it notices nothing
    message = refused(of(made, path))
    assert (
        f"model.path: {path}: is damaged: the checksum of weights/data/0 is wrong; copy it again" in message
    )


def test_a_bit_that_flipped_in_a_program_or_a_keras_archive_is_refused(made: Study, tmp_path: Path) -> None:
    save_program(tmp_path / "whole.pt2")
    path = flipped(tmp_path / "whole.pt2", tmp_path / "program.pt2", "data/weights/weight_0")
    assert "is damaged: the checksum of " in refused(str(path))
    with zipfile.ZipFile(tmp_path / "whole.keras", "w") as archive:
        archive.writestr("config.json", '{"class_name": "Sequential", "config": {}}')
        archive.writestr("model.weights.h5", bytes(range(200)))
    path = flipped(tmp_path / "whole.keras", tmp_path / "model.keras", "model.weights.h5")
    assert "is damaged: the checksum of model.weights.h5 is wrong" in refused(str(path))


def test_a_file_that_was_written_without_checksums_is_read_with_a_warning(
    made: Study, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    set_crc32_options(False)
    try:
        torch.save(torch.load(made.folder / "weights.pt", weights_only=True), tmp_path / "weights.pt")
    finally:
        set_crc32_options(True)
    save_program(tmp_path / "program.pt2")
    without_checksums(tmp_path / "program.pt2")
    for name in ("weights.pt", "program.pt2"):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "genolift"):
            genolift.load_model(of(made, tmp_path / name))
        (warned,) = caplog.messages
        assert "was written without checksums" in warned
        assert "set model.sha256" in warned
    shutil.copy(made.folder / "weights.pt", tmp_path / "one.pt")
    without_checksums(tmp_path / "one.pt", "weights/data/0")
    assert "the checksum of weights/data/0 is wrong" in refused(of(made, tmp_path / "one.pt"))


def test_the_sha256_that_is_said_is_looked_at_in_every_form(made: Study, tmp_path: Path) -> None:
    weights = torch.load(made.folder / "weights.pt", weights_only=True)["state_dict"]
    save_file(weights, tmp_path / "m.safetensors")
    torch.save(weights, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    shutil.copy(made.folder / "weights.pt", tmp_path / "new.pt")
    for path in tmp_path.iterdir():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        genolift.load_model(of(made, path, sha256=digest.upper()))
        other = "0" * 64
        message = refused(of(made, path, sha256=other))
        assert f"model.path: {path}: has the SHA-256 {digest}, not {other}; copy the file again" in message
    (tmp_path / "m.json").write_text("{}")
    assert "has the SHA-256" in refused(of(made, tmp_path / "m.json", sha256=other))
    assert "model.sha256: 'abc' is not a SHA-256; write the 64 digits" in refused(
        of(made, path, sha256="abc")
    )


def test_the_flag_says_a_sha256_too(made: Study, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["plan", "--model", made.model.path], ["inspect", made.model.path]):
        class_name = ["--model-class", made.model.class_name] if command[0] == "plan" else []
        with pytest.raises(SystemExit) as ended:
            main([*command, *class_name, "--model-sha256", "1" * 64])  # type: ignore[list-item]
        assert ended.value.code == 2
        assert f", not {'1' * 64}; copy the file again" in capsys.readouterr().err


def test_an_archive_that_unpacks_to_what_no_model_has_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "_UNPACKED_BYTES", 2**24)
    for name, members in {
        "bomb.keras": ("config.json", "model.weights.h5"),
        "bomb.pt": ("bomb/data.pkl", "bomb/version"),
        "bomb.pt2": ("bomb/models/model.json", "bomb/archive_format"),
    }.items():
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            with archive.open(members[0], "w", force_zip64=True) as file:
                file.write(bytes(2**25))
            archive.writestr(members[1], b"x")
        assert "unpacks from 0.0 MiB to 32 MiB, more than any model would" in refused(str(path))


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_record_that_cannot_be_unpacked_is_refused(tmp_path: Path, compression: int) -> None:
    with zipfile.ZipFile(tmp_path / "model.pt", "w", compression) as archive:
        archive.writestr("model/data.pkl", bytes(range(256)) * 20)
    data = bytearray((tmp_path / "model.pt").read_bytes())
    data[60:100] = b"\xff" * 40
    (tmp_path / "model.pt").write_bytes(data)
    assert "model.pt: is not a complete zip archive (" in refused(str(tmp_path / "model.pt"))


def test_an_archive_whose_records_overlap_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "overlapping.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("o/data.pkl", bytes(1000))
        record = archive.getinfo("o/data.pkl")
        archive.filelist += [record] * 3
    assert "is not a complete zip archive (its records overlap); copy it again" in refused(str(path))


@pytest.mark.parametrize(
    "text", ["[" * 10**5, '{"a":' * 10**5, " " * 2**26 + "{}", '{"a": ' + "9" * 5000 + "}"]
)
def test_json_that_no_model_has_is_refused_in_every_form(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.json").write_text("{" + text if text[0] != "{" else text)
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", text)
        archive.writestr("model.weights.h5", b"x")
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["model_config"] = text[: 2**20]
    for name in ("m.json", "m.keras", "m.h5"):
        assert "is not a complete " in refused(str(tmp_path / name))
    with zipfile.ZipFile(tmp_path / "m.pt2", "w") as archive:
        archive.writestr("m/models/model.json", text)
    assert "is not an exported program that torch" in refused(str(tmp_path / "m.pt2"))


def test_a_piece_of_a_work_that_was_damaged_is_computed_again(tmp_path: Path) -> None:
    pieces = Pieces(tmp_path / "out.h5", "work")
    pieces.write(range(2), [{name: np.arange(200.0) for name in LAYOUT}])
    (path,) = pieces.folder.glob("*.npz")
    assert pieces.read(range(2)) is not None
    flipped(path, path, "shap/seq.npy")
    assert pieces.read(range(2)) is None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("weight", "said"),
    [
        (torch.ones(1).expand(2**20, 2**20, 4), "conv.weight is 1.64e+04 GiB made of 4 bytes"),
        (
            torch.ones(6, 4, 7).to_sparse(),
            "conv.weight is a sparse tensor",
        ),
        (torch.empty(6, 4, 7, device="meta"), "conv.weight is on the meta device, without values"),
        (torch.ones(6, 4, 7, dtype=torch.complex64), "conv.weight is complex, but real in "),
    ],
    ids=["of 16 TiB", "sparse", "without values", "complex"],
)
def test_a_tensor_that_is_no_weight_is_refused_with_and_without_a_class(
    made: Study, tmp_path: Path, weight: torch.Tensor, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = torch.load(made.folder / "weights.pt", weights_only=True)["state_dict"]
    torch.save({**weights, "conv.weight": weight}, tmp_path / "weights.pt")
    assert said in refused(of(made, tmp_path / "weights.pt"))
    if not weight.is_complex():
        with pytest.raises(SystemExit) as ended:
            main(["inspect", f"{tmp_path}/weights.pt"])
        assert ended.value.code == 2
        assert said in capsys.readouterr().err


@pytest.mark.parametrize("size", [0, 1, 2**27, 2**40, 2**63, 2**64 - 1])
def test_a_safetensors_header_of_another_size_is_refused(made: Study, tmp_path: Path, size: int) -> None:
    data = Path(made.model.path).read_bytes()
    (tmp_path / "m.safetensors").write_bytes(size.to_bytes(8, "little") + data[8:])
    message = refused(of(made, tmp_path / "m.safetensors"))
    assert "is not a complete safetensors file" in message or "holds no weights that can be read" in message


@pytest.mark.parametrize("length", [0, -5, 10**12])
def test_an_input_length_that_no_model_has_is_said(made: Study, length: int) -> None:
    model = genolift.load_model(made.model)
    model.input_length = length  # type: ignore[union-attr]
    with pytest.raises(
        genolift.InputError, match=f"claims that its input has {length} bases; give model.input_length"
    ):
        input_length(model, made.model)


@pytest.mark.parametrize("archived", [False, True], ids=["of long ago", "an archive"])
def test_a_pickle_that_is_nested_as_no_checkpoint_is_refused(
    made: Study, tmp_path: Path, archived: bool
) -> None:
    lists = b"\x80\x02" + b"]" * 10**5 + b"a" * (10**5 - 1) + b"."
    mappings = b"\x80\x02" + b"}U\x01a" * 5000 + b"K\x01" + b"s" * 5000 + b"."
    path = tmp_path / "deep.pt"
    for data in (lists, mappings):
        path.write_bytes(data)
        if archived:
            with zipfile.ZipFile(path, "w") as archive:
                for name, content in {"data.pkl": data, "version": b"3", "byteorder": b"little"}.items():
                    archive.writestr(f"deep/{name}", content)
        assert f"model.path: {path}: " in refused(of(made, path))


def test_a_file_that_only_ends_as_an_archive_does_is_read_as_what_it_is(made: Study, tmp_path: Path) -> None:
    weights = genolift.load_model(made.model).state_dict()  # type: ignore[union-attr]
    torch.save(weights, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with (tmp_path / "old.pt").open("ab") as file:
        file.write(b"PK\5\6" + bytes(18))
    assert zipfile.is_zipfile(tmp_path / "old.pt")
    genolift.load_model(of(made, tmp_path / "old.pt"))
    whole = (made.folder / "weights.pt").read_bytes()
    (tmp_path / "late.keras").write_bytes(b"{" + whole)
    assert "is not a complete Keras architecture" in refused(str(tmp_path / "late.keras"))
