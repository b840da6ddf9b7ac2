"""Nothing in a Keras file is run, and each failure is one line that says what to do."""

from __future__ import annotations

import base64
import io
import json
import marshal
import pickle
import runpy
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from refusals import refused

import genolift
from genolift.models import keras as from_keras
from genolift.models.keras import keras

k = keras.layers
LENGTH = 12


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder with a small model in each form."""
    model = keras.Sequential(
        [k.Input((LENGTH, 4)), k.Conv1D(3, 3, name="conv"), k.Flatten(), k.Dense(2, name="out")]
    )
    for suffix in (".keras", ".h5", ".weights.h5"):
        (model.save_weights if "weights" in suffix else model.save)(tmp_path / f"model{suffix}")
    (tmp_path / "model.json").write_text(model.to_json())
    return tmp_path


def architecture(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "model.json").read_text())


def with_architecture(folder: Path, changed: dict[str, Any]) -> list[Any]:
    """Return specs of the model in each form with another architecture."""
    text = json.dumps(changed)
    with h5py.File(folder / "model.h5", "r+") as file:
        file.attrs["model_config"] = text
    with zipfile.ZipFile(folder / "model.keras") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(folder / "model.keras", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, text if name == "config.json" else content)
    (folder / "model.json").write_text(text)
    pair = {"path": f"{folder}/model.json", "weights": f"{folder}/model.weights.h5"}
    return [f"{folder}/model.keras", f"{folder}/model.h5", pair]


def bytecode(written: Path) -> str:
    """Return what Keras stores for a Lambda: marshalled code, which writes a file when it is run."""
    code = compile(f"lambda x: open({str(written)!r}, 'w').write('run')", "<lambda>", "eval").co_consts[0]
    return base64.b64encode(marshal.dumps(code)).decode()


def malicious(folder: Path) -> dict[str, dict[str, Any]]:
    """Return layers whose config would run code, or read or fetch a file."""
    code = bytecode(folder / "written")
    shell = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
    lambda_ = {"class_name": "__lambda__", "config": {"code": code, "defaults": None, "closure": None}}
    touch = f"touch {folder}/written"
    dense = {"name": "conv", "units": 2}

    def keras_layer(class_name: str, **config: Any) -> dict[str, Any]:
        return {"module": "keras.layers", "class_name": class_name, "config": {"name": "conv", **config}}

    inner = keras_layer("Lambda", function=lambda_)
    return {
        "Lambda": keras_layer("Lambda", function=lambda_),
        "Lambda of Keras 2": keras_layer("Lambda", function=[code, None, None], function_type="lambda"),
        "TorchModuleWrapper": keras_layer("TorchModuleWrapper", module={"value": code}),
        "TFSMLayer": keras_layer("TFSMLayer", filepath=str(folder)),
        "other module": {
            "module": "os",
            "class_name": "system",
            "config": {"name": "conv", "command": touch},
        },
        "other class": {"module": "keras.utils", "class_name": "get_file", "config": {"name": "conv"}},
        "registered": {**keras_layer("exec"), "registered_name": "builtins>exec"},
        "activation": keras_layer("Dense", units=2, activation=shell),
        "activation of bytecode": keras_layer("Dense", units=2, activation=lambda_),
        "setting": keras_layer("Dense", units={"module": "builtins", "class_name": "exec", "config": touch}),
        "time distributed": keras_layer("TimeDistributed", layer=inner),
        "both ways": keras_layer("Bidirectional", layer=inner),
        "nested": {
            "module": "keras",
            "class_name": "Sequential",
            "config": {"name": "conv", "layers": [inner]},
        },
        "vocabulary": keras_layer("StringLookup", vocabulary="/etc/passwd"),
        "pipeline": keras_layer("Pipeline", layers=[inner]),
        "custom dense": {
            "module": "mine",
            "class_name": "Dense",
            "config": dense,
            "registered_name": "a>Dense",
        },
    }


def test_cells_stacked_in_an_rnn_are_said_to_be_that_and_a_function_can_stand_for_them(
    tmp_path: Path,
) -> None:
    model = keras.Sequential(
        [k.Input((LENGTH, 4)), k.RNN([k.LSTMCell(3), k.SimpleRNNCell(2)], name="stack"), k.Dense(1)]
    )
    model.save(tmp_path / "model.keras")
    given = {"path": f"{tmp_path}/model.keras"}
    said = "has a recurrent layer of several or custom cells, which is not supported: RNN stack (config {"
    assert said in refused(given)
    (tmp_path / "mine.py").write_text("def stack(x):\n    return x[:, -1, :2]\n")
    genolift.load_model({**given, "custom_layers": f"{tmp_path}/mine.py"})


def test_a_layer_of_two_models_whose_weights_are_in_keras_once_is_read_from_the_h5_that_is_advised(
    tmp_path: Path,
) -> None:
    dna, shared = k.Input((LENGTH, 4)), k.Dense(4, name="shared")
    parts = []
    for name in ("one", "other"):
        inputs = k.Input((LENGTH, 4))
        parts.append(keras.Model(inputs, shared(inputs), name=name))
    model = keras.Model(dna, k.Flatten()(k.Concatenate()([part(dna) for part in parts])))
    for suffix in (".keras", ".h5"):
        model.save(tmp_path / f"model{suffix}")
    assert "only once; an .h5 has them twice" in refused(f"{tmp_path}/model.keras")
    x = torch.rand(3, LENGTH, 4)
    with torch.no_grad():
        found = genolift.load_model(tmp_path / "model.h5")(x.transpose(1, 2))
        torch.testing.assert_close(found, model(x))


@pytest.mark.parametrize("kind", malicious(Path()))
def test_what_a_layer_would_run_is_not_run_and_the_layer_is_asked_for(saved: Path, kind: str) -> None:
    changed = architecture(saved)
    changed["config"]["layers"][1] = malicious(saved)[kind]
    before = set(sys.modules)
    for given in with_architecture(saved, changed):
        message = refused(given)
        assert "has layers that are not Keras's own or contain code, which is not run: " in message
        assert "conv (config {" in message
        assert "write a Python file with a torch function for each" in message
    assert not (saved / "written").exists()
    assert not {"mine"} & (set(sys.modules) - before)


@pytest.mark.parametrize("key", ["kernel_initializer", "kernel_regularizer", "bias_constraint", "dtype"])
def test_objects_that_only_training_needs_are_passed_over(saved: Path, key: str) -> None:
    changed = architecture(saved)
    gadget = {"module": "os", "class_name": "system", "config": {"command": f"touch {saved}/written"}}
    changed["config"]["layers"][1]["config"][key] = gadget
    for given in with_architecture(saved, changed):
        genolift.load_model(given)
    assert not (saved / "written").exists()


def test_an_object_among_the_arguments_of_a_call_is_refused(saved: Path) -> None:
    x = k.Input((LENGTH, 4))
    changed = json.loads(keras.Model(x, k.Dense(2, name="conv")(x)).to_json())
    gadget = {"module": "os", "class_name": "system", "config": f"touch {saved}/written"}
    changed["config"]["layers"][1]["inbound_nodes"][0]["args"].append(gadget)
    for given in with_architecture(saved, changed):
        assert "an argument is a system" in refused(given)
    assert not (saved / "written").exists()


class Malicious:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.path, "run")


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".hdf5", ".json"])
def test_a_malicious_pickle_is_not_run(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(pickle.dumps(Malicious(tmp_path / "written")))
    assert "could run code when read" in refused(str(path))
    (tmp_path / "model.json").write_text("{}")
    pair = {"path": f"{tmp_path}/model.json", "weights": str(path)}
    if suffix != ".json":
        assert "is not an HDF5 file" in refused(pair)
    assert not (tmp_path / "written").exists()


def test_a_damaged_file_is_said(saved: Path) -> None:
    for name, said in {
        "model.keras": "is not a complete",
        "model.h5": "cannot be read as an HDF5 file of Keras (",
        "model.json": "is not a complete Keras architecture in JSON",
    }.items():
        whole = (saved / name).read_bytes()
        (saved / name).write_bytes(whole[: len(whole) // 2])
        weights = {"weights": f"{saved}/model.weights.h5"} if name == "model.json" else {}
        message = refused({"path": f"{saved}/{name}", **weights})
        assert said in message
        assert "copy it again" in message
    (saved / "model.json").write_text("[" * 100_000)
    assert "is not a complete Keras architecture" in refused(f"{saved}/model.json")
    (saved / "model.json").write_text('{"a": 1}')
    both = {"path": f"{saved}/model.json", "weights": f"{saved}/model.weights.h5"}
    assert "holds no Keras architecture; give the file that model.save or model.to_json wrote" in refused(
        both
    )


def test_a_group_in_the_place_of_a_weight_is_said(saved: Path) -> None:
    with zipfile.ZipFile(saved / "model.keras") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    weights = io.BytesIO(files["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        del file["layers/conv1d/vars/1"]
        file.create_group("layers/conv1d/vars/1")
    with zipfile.ZipFile(saved / "model.keras", "w") as archive:
        for name, content in (files | {"model.weights.h5": weights.getvalue()}).items():
            archive.writestr(name, content)
    assert "layer conv: its weights do not fit: /layers/conv1d/vars/1 does not contain numbers" in refused(
        f"{saved}/model.keras"
    )


def test_what_is_not_there_is_said(saved: Path) -> None:
    pair = {"path": f"{saved}/model.json", "weights": f"{saved}/model.weights.h5"}
    assert "holds an architecture but no weights; give the weights file" in refused(pair["path"])
    assert "holds weights but no architecture; give the architecture's .json" in refused(pair["weights"])
    assert "no such file" in refused(pair | {"weights": "nowhere.h5"})
    assert "a Keras model takes no argument filters" in refused(pair | {"arguments": {"filters": 3}})
    assert "'cuda' is not a backend; write one of theano" in refused(
        pair | {"arguments": {"backend": "cuda"}}
    )
    (saved / "folder.keras").mkdir()
    (saved / "folder.keras" / "saved_model.pb").write_bytes(b"")
    message = refused(f"{saved}/folder.keras")
    assert (
        "is a TensorFlow SavedModel, from which layers cannot be read; save the Keras model with" in message
    )


def test_weights_of_another_architecture_are_said(saved: Path) -> None:
    other = keras.Sequential([k.Input((LENGTH, 4)), k.Conv1D(5, 3, name="conv"), k.Flatten(), k.Dense(2)])
    other.save_weights(saved / "other.weights.h5")
    pair = {"path": f"{saved}/model.json", "weights": f"{saved}/other.weights.h5"}
    said = "layer conv: its weights do not fit: its kernel is (3, 4, 5) in the file, (3, 4, 3) in the layer"
    assert said in refused(pair)
    with h5py.File(saved / "model.h5", "r+") as file:
        del file["model_weights/out"]
        file["model_weights"].create_group("out").attrs["weight_names"] = np.array([], "S1")
    assert "layer out: its weights do not fit: the file has 0 weights for it, but it takes 2" in refused(
        f"{saved}/model.h5"
    )
    with h5py.File(saved / "model.h5", "r+") as file:
        del file["model_weights/out"]
    assert "its weights cannot be read" in refused(f"{saved}/model.h5")
    with h5py.File(saved / "model.h5", "r+") as file:
        del file["model_weights"].attrs["layer_names"]
    assert "holds no weights in a layout that Keras writes" in refused(f"{saved}/model.h5")


def test_what_is_wrong_with_a_model_within_is_said_once_with_its_place(saved: Path) -> None:
    inner = keras.Sequential([k.Input((LENGTH, 4)), k.Dense(3, name="dense"), k.Flatten()], name="inner")
    keras.Sequential([k.Input((LENGTH, 4)), inner, k.Dense(2)]).save(saved / "model.h5")
    with h5py.File(saved / "model.h5", "r+") as file:
        text = file.attrs["model_config"]
        file.attrs["model_config"] = text.replace('"units": 3', '"units": 5')
    message = refused(f"{saved}/model.h5")
    assert message.count("weights do not fit") == 1
    assert "layer inner, layer dense: its weights do not fit: its kernel is (4, 3) in the file" in message
    with h5py.File(saved / "model.h5", "r+") as file:
        changed = json.loads(text)
        changed["config"]["layers"][1] |= {"class_name": "Model", "config": {"depth": 3}}
        file.attrs["model_config"] = json.dumps(changed)
    message = refused(f"{saved}/model.h5")
    assert (
        "model.h5, layer layer_1: is a Model: how it calls its layers is in its own code, which is not run"
        in message
    )
    assert "cannot be read" not in message


def test_a_model_that_its_own_code_calls_is_refused(saved: Path) -> None:
    changed = {"module": "mine", "class_name": "Enformer", "config": {"depth": 3}}
    for given in with_architecture(saved, changed):
        assert (
            "is a Enformer: how it calls its layers is in its own code, which is not run; rewrite it as"
            in refused(given)
        )


@pytest.mark.parametrize(
    ("version", "backend", "said"),
    [
        (None, None, "a Keras model needs Keras 3, which cannot be imported"),
        (
            "2.15.0",
            "tensorflow",
            "a Keras model needs Keras 3, but Keras 2.15.0 is installed; pip install 'keras>=3.5'",
        ),
        ("3.5.0", "jax", "Keras has already been imported with the backend jax, not torch; set the environ"),
    ],
)
def test_a_keras_that_will_not_do_is_said(
    monkeypatch: pytest.MonkeyPatch, version: str | None, backend: str | None, said: str
) -> None:
    config = SimpleNamespace(backend=lambda: backend)
    found = None if version is None else SimpleNamespace(__version__=version, config=config)
    monkeypatch.setitem(sys.modules, "keras", found)
    with pytest.raises(genolift.InputError) as error:
        runpy.run_path(str(from_keras.__file__))
    assert said in str(error.value)


def first_weights(file: h5py.Group) -> str:
    """Return the name of the first weight dataset, of a kernel (3, 4, 3)."""
    names: list[str] = []
    file.visititems(
        lambda name, found: names.append(name) if getattr(found, "shape", 0) == (3, 4, 3) else None
    )
    return names[0]


def beside(saved: Path, name: str) -> dict[str, str] | str:
    pair = {"path": f"{saved}/model.json", "weights": f"{saved}/model.weights.h5"}
    return pair if name == "model.weights.h5" else f"{saved}/{name}"


@pytest.mark.parametrize("name", ["model.h5", "model.weights.h5"])
@pytest.mark.parametrize("leads", ["storage", "link", "virtual"])
def test_weights_are_never_read_from_another_file(saved: Path, name: str, leads: str) -> None:
    (saved / "secret").write_bytes(np.ones((3, 4, 3), "f4").tobytes())
    with h5py.File(saved / "other.h5", "w") as other:
        other["x"] = np.ones((3, 4, 3), "f4")
    with h5py.File(saved / name, "r+") as file:
        weights = first_weights(file)
        del file[weights]
        if leads == "storage":
            file.create_dataset(weights, (3, 4, 3), "f4", external=[(f"{saved}/secret", 0, 144)])
        elif leads == "link":
            file[weights] = h5py.ExternalLink(f"{saved}/other.h5", "/x")
        else:
            layout = h5py.VirtualLayout((3, 4, 3), "f4")
            layout[:] = h5py.VirtualSource(f"{saved}/other.h5", "x", (3, 4, 3))
            file.create_virtual_dataset(weights, layout)
    message = refused(beside(saved, name))
    assert {"storage": "in another file", "link": "a link to", "virtual": "in other files"}[leads] in message
    assert f"{saved}/{name}" in message


def test_weights_in_an_archive_are_never_read_from_another_file(saved: Path) -> None:
    with zipfile.ZipFile(saved / "model.keras") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    (saved / "inner.h5").write_bytes(files["model.weights.h5"])
    with h5py.File(saved / "inner.h5", "r+") as file:
        weights = first_weights(file)
        del file[weights]
        file.create_dataset(weights, (3, 4, 3), "f4", external=[("/etc/passwd", 0, 144)])
    with zipfile.ZipFile(saved / "model.keras", "w") as archive:
        for name, content in files.items():
            archive.writestr(
                name, (saved / "inner.h5").read_bytes() if name == "model.weights.h5" else content
            )
    assert "its weights cannot be read (/" in refused(f"{saved}/model.keras")


KERNEL = {"name": "conv", "filters": 3, "kernel_size": [3]}
ODD_LAYERS: list[Any] = [
    {"name": 3, "class_name": "Dense", "config": {"name": 3, "units": 2}},
    {"name": ["a"], "class_name": "Dense", "config": {"units": 2}},
    {"name": "a", "class_name": None, "config": {"name": "a"}},
    {"name": "a", "class_name": "Dense", "config": "Dense"},
    {"name": "a", "class_name": "Dense", "config": [3]},
    {"name": "a", "class_name": "Dense", "config": {"name": "a", "units": 2}, "module": 3.5},
    {"name": "a", "class_name": "Dense", "config": {"name": "a", "units": 10**12}},
    {"name": "a", "class_name": "Dense", "config": {"name": "a", "units": 10**400}},
    {"name": "a", "class_name": "Conv1D", "config": {**KERNEL, "padding": 3}},
    {"name": "a", "class_name": "Conv1D", "config": {**KERNEL, "kernel_size": "three"}},
    {"name": "a", "class_name": "Bidirectional", "config": {"name": "a", "layer": {"class_name": "LSTM"}}},
    {"name": "a", "class_name": "TimeDistributed", "config": {"name": "a", "layer": 3}},
    {"name": "a", "class_name": "InputLayer", "config": {"batch_shape": [None, 10**12, 4]}},
    {"name": "a", "class_name": "InputLayer", "config": {"batch_shape": [None, [30], 4]}},
    {"name": "a", "class_name": "InputLayer", "config": {"batch_shape": 7}},
    "Dense",
]


@pytest.mark.parametrize("number", range(len(ODD_LAYERS)))
def test_an_architecture_that_no_keras_writes_is_refused_in_one_line(tmp_path: Path, number: int) -> None:
    layers = [{"class_name": "InputLayer", "config": {"name": "in", "batch_shape": [None, 30, 4]}}]
    config = {"name": "model", "layers": [*layers, ODD_LAYERS[number]]}
    (tmp_path / "m.json").write_text(json.dumps({"class_name": "Sequential", "config": config}))
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file.attrs["layer_names"] = ["a"]
        file.create_group("a").attrs["weight_names"] = np.zeros(0, dtype="S1")
    with pytest.raises(genolift.InputError) as error:
        genolift.load_model({"path": f"{tmp_path}/m.json", "weights": f"{tmp_path}/weights.h5"})
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600
