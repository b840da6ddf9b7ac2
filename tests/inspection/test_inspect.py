"""`genolift inspect` finds a model's inputs and outputs, even if the model does not state them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import inspected_models
import pytest
import torch
import yaml
from command_line import run
from run_steps import study

from genolift.errors import InputError
from genolift.inspection.described import Inspection, inspect_model
from genolift.inspection.guess import guess
from genolift.inspection.weights import weights_of, weights_sha256
from genolift.models import load_model
from genolift.settings.config import check_config_file
from genolift.settings.extra_inputs import ExtraInput, Extras
from genolift.settings.model import ModelSpec
from genolift.steps.export import write_program

SOURCE = inspected_models.__file__
TAG = Extras(inputs=(ExtraInput(values=(1.0, 2.0, 3.0)),))


def saved(folder: Path, name: str) -> ModelSpec:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = getattr(inspected_models, name)().state_dict()
    torch.save(state, folder / f"{name}.pt")
    return ModelSpec(path=str(folder / f"{name}.pt"), class_name=f"{SOURCE}:{name}")


def inspected(folder: Path, name: str, **options: Any) -> Inspection:
    return inspect_model(saved(folder, name), **options)


@pytest.mark.parametrize(
    ("name", "axes", "shape", "bases", "smallest", "largest"),
    [
        ("FixedLast", "length,bases", (100, 4), 100, 100, 100),
        ("Pooled", "bases,length", (4, 1000), 1000, 987, 1021),
        ("Power", "bases,length", (4, 16384), 16384, 16369, 16384),
        ("ByRows", "1,length,bases", (1, 50, 4), 50, 50, 50),
        ("High", "1,bases,length", (1, 4, None), 1000, 9, None),
        ("Wide", "bases,1,length", (4, 1, None), 1000, 9, None),
        ("Placed", "length,bases", (300, 4), 300, 300, 300),
        ("Profile", "bases,length", (4, None), 1000, 45, None),
    ],
)
def test_layout_and_length_are_found_by_trial(
    tmp_path: Path,
    name: str,
    axes: str,
    shape: tuple[int | None, ...],
    bases: int,
    smallest: int,
    largest: int | None,
) -> None:
    found = inspected(tmp_path, name)
    taken, length = found.taken, found.taken.layout.length
    assert (taken.spec.axes, taken.inputs[0].axes, taken.inputs[0].shape) == (axes, axes, shape)
    assert (length.bases, length.smallest, length.largest) == (bases, smallest, largest)
    assert found.error is None


def test_what_the_user_or_the_class_says_is_not_looked_for(tmp_path: Path) -> None:
    spec = saved(tmp_path, "High")
    said = inspect_model(ModelSpec(path=spec.path, class_name=spec.class_name, input_length=40))
    assert (said.taken.layout.length.bases, said.taken.layout.length.found) == (40, "the user")
    by_class = inspect_model(study(tmp_path / "study").model)
    assert (by_class.taken.layout.length.bases, by_class.taken.layout.length.found) == (60, "the model")
    assert by_class.tasks == ("first", "second")
    assert by_class.outputs[0].others == "0 to 1: first, second"
    with pytest.raises(
        InputError, match=r"does not take an input of shape \(n, 4, 5\): .*; nor one of another layout"
    ):
        inspect_model(ModelSpec(path=spec.path, class_name=spec.class_name, input_length=5))


def test_several_layouts_that_work_are_all_told(tmp_path: Path) -> None:
    found = inspected(tmp_path, "Any")
    assert found.taken.spec.axes == "bases,length"
    assert "it runs with length,bases; 1,bases,length" in found.taken.notes[0]


def test_a_fifth_channel_is_taken_for_n(tmp_path: Path) -> None:
    found = inspected(tmp_path, "Five")
    assert found.taken.spec.alphabet == "ACGTN"
    assert "five channels" in found.taken.notes[0]
    assert "alphabet: ACGTN" in guess(found)


def test_outputs_heads_and_last_activations_are_told(tmp_path: Path) -> None:
    profile = inspected(tmp_path, "Profile")
    assert profile.heads == ("counts", "profile", "profile-free-weights")
    assert [each.shape for each in profile.outputs] == [(2, 956), (1,)]
    assert (profile.target, profile.outputs[1].target) == ("counts", "1")
    assert profile.field is not None
    assert profile.field.bases == 21
    named = inspected(tmp_path, "Named")
    assert [(each.name, each.others) for each in named.outputs] == [
        ("on", "on[0] to on[2]"),
        ("off", "off"),
    ]
    assert named.target == "on[0]"
    fixed = inspected(tmp_path, "FixedLast")
    assert (fixed.planned.final_activation, fixed.planned.stepped_over) == ("sigmoid", True)
    kept = inspected(tmp_path, "Five", keep_final_activation=True)
    assert (kept.planned.final_activation, kept.planned.stepped_over) == ("softmax", False)


def test_a_target_is_asked_for_where_nothing_tells_which_axis_is_meant(tmp_path: Path) -> None:
    found = inspected(tmp_path, "Bins")
    assert (found.heads, found.proposed, found.target) == ((), None, "[0, 0]")
    assert "    # target: # fill in: choose one of [0, sum(:)] or [sum(:), 0]\n" in guess(found)
    assert '    target: "[2, sum(:)]" # choose one of' in guess(
        inspected(tmp_path, "Bins", target="[2, sum(:)]")
    )


def test_a_further_input_is_asked_for_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"its forward takes dna, tag; give tag with --extra-input"):
        inspected(tmp_path, "Tagged")
    found = inspected(tmp_path, "Tagged", extras=TAG)
    assert [(each.name, each.shape) for each in found.taken.inputs] == [("dna", (4, None)), ("tag", (3,))]
    assert yaml.safe_load(guess(found))["analyses"]["Tagged"]["extra_inputs"] == [{"values": [1, 2, 3]}]
    track = tmp_path / "t.bw"
    track.touch()
    with pytest.raises(
        InputError, match=r"extra_inputs\[0\]: the model does not say its input length, which"
    ):
        inspected(tmp_path, "Tagged", extras=Extras.of([{"bigwig": str(track)}], []))


def test_every_operation_that_is_refused_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = inspected(tmp_path, "Refused")
    assert [refused.split()[0] for refused in found.planned.refused] == ["sort", "cumprod"]
    assert all("inspected_models.py:" in refused for refused in found.planned.refused)
    assert [row["operation"] for row in found.planned.rows if row["kind"] == "refused"] == ["sort", "cumprod"]
    spec = saved(tmp_path, "Refused")
    config = tmp_path / "mine.yaml"
    code, out, error = run(
        capsys, "inspect", spec.path, "--model-class", spec.class_name, "--write-config", config
    )
    assert (code, error.count("\n")) == (2, 1)
    assert "no exact rule is known for the operation sort" in error
    assert "cumprod" in out
    assert "receptive field" in out
    assert not config.exists()


def test_the_hash_of_the_weights_is_that_of_the_numbers_in_any_file(tmp_path: Path) -> None:
    made = study(tmp_path)
    model = load_model(made.model)
    assert isinstance(model, torch.nn.Module)
    state = model.state_dict()
    torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, tmp_path / "a.ckpt")
    torch.save(dict(reversed(state.items())), tmp_path / "b.pt")
    hashes = {
        inspect_model(ModelSpec(path=str(tmp_path / name), class_name=made.model.class_name)).weights.sha256
        for name in ("weights.safetensors", "a.ckpt", "b.pt")
    }
    rows = torch.export.Dim("rows", min=2)
    program = torch.export.export(model, (torch.zeros(3, 4, 60),), dynamic_shapes=({0: rows},))
    assert hashes == {weights_of(program).sha256} == {weights_sha256(state)}
    state["conv.weight"] = state["conv.weight"] + 1e-7
    assert weights_sha256(state) not in hashes


def test_weights_without_a_class_say_what_they_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = study(tmp_path)
    code, out, error = run(capsys, "inspect", made.model.path)
    assert code == 2
    assert "holds weights but no model; name the class" in error
    assert "weights without a model, in 6 tensors" in out
    assert "one-hot of 4 channels, likely as bases,length" in out
    assert "convolution, 4 to 6 channels, 7 wide" in out
    assert 'class: "path/to/model.py:Class" # fill in' in out
    assert inspect_model(made.model).weights.sha256 in out


def test_a_pickle_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(inspected_models.Wide(), tmp_path / "whole.pt")
    code, out, error = run(capsys, "inspect", tmp_path / "whole.pt")
    assert (code, out) == (2, "")
    assert "holds pickled objects besides tensors" in error


def test_an_exported_program_says_its_shape(tmp_path: Path) -> None:
    model = inspected_models.FixedLast().eval()
    rows = torch.export.Dim("rows", min=2)
    program = torch.export.export(model, (torch.zeros(3, 100, 4),), dynamic_shapes=({0: rows},))
    torch.export.save(program, tmp_path / "program.pt2")
    found = inspect_model(ModelSpec(path=str(tmp_path / "program.pt2")))
    taken, length = found.taken, found.taken.layout.length
    assert (taken.kind, taken.inputs[0].name) == ("exported program", "onehot")
    assert (taken.spec.axes, length.bases, length.found) == ("length,bases", 100, "the model")
    assert found.planned.final_activation == "sigmoid"
    assert yaml.safe_load(guess(found))["analyses"]["program"]["model"] == {
        "path": str(tmp_path / "program.pt2"),
        "axes": "length,bases",
    }


def test_a_program_that_genolift_export_wrote_is_inspected_as_it_says(tmp_path: Path) -> None:
    spec = saved(tmp_path, "Five")
    with_channel = ModelSpec(path=spec.path, class_name=spec.class_name, input_length=50).within(1)
    write_program(with_channel, tmp_path / "five.pt2")
    held = Extras(channels=(0.5,))
    found = inspect_model(ModelSpec(path=str(tmp_path / "five.pt2")).within(1), held)
    assert [each.shape for each in found.taken.inputs] == [(4, 50), (1, 50)]
    assert (found.planned.final_activation, found.error) == ("softmax", None)
    config = yaml.safe_load(guess(found))["analyses"]["five"]
    assert config["model"] == {"path": str(tmp_path / "five.pt2")}
    assert config["extra_channels"] == [0.5]
    assert "extra_inputs" not in config
    module = inspect_model(with_channel, held)
    assert module.taken.inputs[0].shape == (5, 50)
    assert module.weights.parameters == found.weights.parameters


@pytest.mark.parametrize("name", ["FixedLast", "Pooled", "ByRows", "Five", "Profile", "Named", "Tagged"])
def test_the_guessed_config_is_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = saved(Path(), name)
    flags = ["--extra-input", "[1, 2, 3]"] if name == "Tagged" else []
    code, _, error = run(
        capsys, "inspect", spec.path, "--model-class", spec.class_name, *flags, "--write-config", "my.yaml",
        "--out", "model.json",
    )  # fmt: skip
    assert code == 0, error
    Path("sequences.fa").write_text(">a\nACGT\n")
    assert check_config_file(Path("my.yaml"))[0].startswith(f"{name}: genomics-default for target")
    told = json.loads(Path("model.json").read_text())
    assert told["format"] == "genolift-inspection"
    assert told["plan"][0]["rule"]


def test_a_config_is_never_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "my.yaml"
    config.write_text("mine\n")
    flags = study(tmp_path / "study").flags()
    code, out, error = run(capsys, "inspect", *flags[1:], "--write-config", config)
    assert (code, out) == (2, "")
    assert "my.yaml: is there already; name a new file" in error
    assert config.read_text() == "mine\n"


def test_a_real_model_without_its_length(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yeast = shared / "yeast"
    code, out, _ = run(
        capsys, "inspect", yeast / "model_state_dict.pt", "--model-class", f"{yeast}/model.py:YeastTF"
    )
    assert code == 0
    assert "27 bases (before the global pooling)" in out
    assert "target 0 to 5: Reb1, Abf1, Rap1, Mcm1, Cbf1, Gcn4" in out
    assert "94,246 and 192 other values" in out


def test_real_keras_models(shared: Path) -> None:
    keras = shared / "keras"
    dragonn = inspect_model(
        ModelSpec(
            path=str(keras / "multi_layer_dragonn.arch.json"),
            weights=f"{keras}/multi_layer_dragonn.weights.h5",
        )
    )
    assert (dragonn.taken.spec.axes, dragonn.taken.inputs[0].shape) == ("1,bases,length", (1, 4, 1000))
    assert (dragonn.planned.final_activation, dragonn.taken.layout.length.bases) == ("sigmoid", 1000)
    intron = inspect_model(ModelSpec(path=str(keras / "Intron3.h5")))
    assert (intron.taken.inputs[0].shape, intron.taken.layout.length.largest) == ((None, 4), None)
    again = inspect_model(ModelSpec(path=str(keras / "Intron3.h5")))
    assert intron.weights == again.weights
    donor = inspect_model(ModelSpec(path=str(keras / "Donor.h5")))
    assert donor.weights.dtypes == (("float32", 18433),)  # without the state of its dropouts


def test_the_further_inputs_of_a_keras_model_are_known(shared: Path, tmp_path: Path) -> None:
    layers = tmp_path / "layers.py"
    layers.write_text(
        "import torch\n"
        "def aparent_expand_lib(x): return x[:, None, None, :].tile(1, 1, 206, 1)\n"
        "def aparent_extend_tensor(x): return torch.cat([x, torch.zeros_like(x[:, :, :1])], 2)\n"
        "def lambda_57(x): return x[:, 0, :, 0].softmax(-1)\n"
        "def lambda_58(cl): return cl[:, 80:110].sum(-1, keepdim=True)\n"
        'LAYERS = {"lambda_*": torch.relu, "aparent_*": lambda x: x[0] + x[1]}\n'
    )
    found = inspect_model(ModelSpec(path=str(shared / "keras/aparent2.h5"), custom_layers=str(layers)))
    assert [each.shape for each in found.taken.inputs] == [(1, 205, 4), (13,)]
    assert [each.name for each in found.outputs] == ["lambda_58", "lambda_57"]
    config = yaml.safe_load(guess(found))["analyses"]["aparent2"]
    assert config["extra_inputs"] == [{"values": 0, "shape": [13]}]
    assert config["target"] == "lambda_58"
