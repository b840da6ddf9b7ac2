"""What is wrong with a model is reported in one line from two sequences, before anything long begins."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import inspected_models
import meme_files
import pytest
import torch
import yaml
from checked_models import Of, check
from refusals import refused_by
from run_steps import LENGTH, Study, source_of, study
from torch import Tensor, nn
from workflows import snakemake

import genolift
from genolift.data.intervals import read_intervals
from genolift.data.windows import check_chromosomes
from genolift.engine.graph import capture as capture_module
from genolift.errors import InputError
from genolift.explain.explainer import Explainer
from genolift.files.whole import sha256
from genolift.inspection.described import inspect_model
from genolift.inspection.model_check import check_model, check_target
from genolift.models import ModelSpec
from genolift.models.layout import Laid
from genolift.steps.encode import trial_sequences


def onehot(n: int = 2, length: int = 30, seed: int = 0) -> Tensor:
    codes = torch.randint(4, (n, length), generator=torch.Generator().manual_seed(seed))
    return nn.functional.one_hot(codes, 4).transpose(1, 2).float()


def said(model: nn.Module, *held: Tensor, x: Tensor | None = None) -> str:
    return refused_by(lambda: check_model(model, onehot() if x is None else x, held, ["one", "two"]))


def captured(model: nn.Module) -> str:
    """Return the report on a model that the check runs and then captures."""
    check_model(model, onehot(), (), ["one", "two"])
    with pytest.raises(genolift.UnsupportedOperation) as raised:
        Explainer(model, onehot(), device="cpu")
    return str(raised.value)


def dense(channels: int = 4, length: int = 30) -> nn.Module:
    return nn.Sequential(nn.Conv1d(channels, 3, 5), nn.ReLU(), nn.Flatten(), nn.Linear(3 * (length - 4), 2))


def test_a_model_that_takes_the_sequences_passes() -> None:
    check_model(dense(), onehot(), (), ["one", "two"])


def test_a_wrong_length_is_said_with_the_shapes() -> None:
    message = said(dense(length=40))
    assert (
        "the model does not take an input of shape (n, 4, 30): RuntimeError: mat1 and mat2 shapes" in message
    )
    assert message.endswith("the model takes 40 bases: give sequences, or input_length, of as many")


def test_too_short_a_sequence_is_said() -> None:
    wide = nn.Sequential(nn.Conv1d(4, 3, 41), nn.AdaptiveMaxPool1d(1), nn.Flatten())
    assert said(wide).endswith("the model takes 41 bases or more: give longer sequences")


def test_what_nothing_mends_is_said_in_the_models_words() -> None:
    def refuses(_: Any, x: Tensor) -> Tensor:
        raise RuntimeError("not today")

    message = said(Of(refuses))
    assert (
        "not today; give sequences of the length and in the layout that the model was trained on" in message
    )


@pytest.mark.parametrize("axes", ["length,bases", "1,bases,length", "length,bases,1"])
def test_another_layout_is_found(axes: str) -> None:
    shape = {"length,bases": (30, 4), "1,bases,length": (1, 4, 30), "length,bases,1": (30, 4, 1)}[axes]

    def strict(model: Any, x: Tensor) -> Tensor:
        if tuple(x.shape[1:]) != shape:
            raise RuntimeError(f"expected {shape}")
        return x.flatten(1)[:, :2]

    assert f'the model takes another layout: set model.axes: "{axes}"' in said(Of(strict))


def test_a_fifth_channel_is_said() -> None:
    assert said(dense(5)).endswith("give 1 as extra_channels, not 0, or set model.alphabet: ACGTN")


def test_more_channels_are_counted() -> None:
    message = said(dense(7))
    assert "the model takes 7 channels, 4 of them bases: give 3 as extra_channels, not 0" in message


def test_extra_channels_that_are_too_few_are_counted() -> None:
    message = said(Laid(dense(7), "bases,length", "ACGT", 1), torch.zeros(2, 1, 30))
    assert "give 3 as extra_channels, not 1" in message
    message = said(Laid(dense(), "bases,length", "ACGT", 1), torch.zeros(2, 1, 30))
    assert "the model takes 4 channels, 4 of them bases: give 0 as extra_channels, not 1" in message


def test_a_further_input_that_the_model_does_not_take_is_said() -> None:
    assert "the model takes no further input: leave extra_inputs out" in said(dense(), torch.zeros(2, 3))


def test_a_further_input_that_lacks_is_said_in_the_models_words() -> None:
    model = Of(lambda _, x, library: x.mean((1, 2)) + library.sum(1))
    assert "missing 1 required positional argument: 'library'" in said(model)


@pytest.mark.parametrize(("value", "word"), [(torch.nan, "NaN"), (torch.inf, "infinite")])
def test_an_output_that_is_no_number_is_said_with_its_sequence(value: float, word: str) -> None:
    def of_second(_: Any, x: Tensor) -> Tensor:
        return torch.stack([x[0].sum(), x[1].sum() * value])[:, None]

    assert f"sequence two: the model's output is {word}; check its weights" in said(Of(of_second))


def test_an_output_that_is_no_number_is_named_where_there_are_several() -> None:
    model = Of(lambda _, x: {"good": x.mean((1, 2)), "bad": x.mean((1, 2)) / 0})
    assert "the model's output bad is infinite" in said(model)


def test_a_layer_that_draws_at_random_is_named() -> None:
    class Noise(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.rand_like(x)

    message = captured(nn.Sequential(nn.Conv1d(4, 3, 5), Noise(), nn.Flatten()))
    assert "`return x + torch.rand_like(x)`: the operation rand_like draws at random" in message


def test_a_layer_that_changes_its_own_state_is_named() -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            return x * self.calls

    model = nn.Sequential(Counts(), nn.Flatten())
    message = captured(model)
    assert "the model gives another output when called again (by " in message
    assert "model, layer 0 (Counts)" in message
    assert float(model[0].calls) == 0  # a copy was run


def test_rounding_is_no_chance() -> None:
    model = nn.Sequential(nn.Flatten(), Of(lambda _, x: x + 1e-7 * random.random()), nn.Linear(120, 2))
    Explainer(model, onehot(), device="cpu")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_a_forward_that_converts_its_input_is_run_as_it_is_captured(dtype: torch.dtype) -> None:
    def converts(model: Any, x: Tensor) -> Tensor:
        return model.out(x.flatten(1).to(dtype)).float()

    check_model(Of(converts, out=nn.Linear(120, 2).to(dtype)), onehot(), (), ["one", "two"])


def test_dropout_is_no_chance_since_models_are_run_as_they_predict() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(120, 1)).train()
    check_model(model, onehot(), (), ["one", "two"])
    Explainer(model, onehot(), device="cpu")
    assert model.training


def test_a_target_that_is_the_same_for_every_sequence_is_said() -> None:
    x = onehot()
    dead = nn.Sequential(nn.Flatten(), nn.Linear(120, 2))
    with torch.no_grad():
        dead[1].weight[1] = 0
        dead[1].bias[1] = 0.25
    check_target(Explainer(dead, x, target=0, device="cpu"), x, ())
    with pytest.raises(genolift.InputError, match=r"is 0\.25 for every sequence, of the analysis"):
        check_target(Explainer(dead, x, target=1, device="cpu"), x, ())


def test_of_several_targets_the_one_that_is_the_same_for_every_sequence_is_named() -> None:
    dead, x = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4 * 30, 3)), onehot(2)
    with torch.no_grad():
        dead[1].weight[1] = 0
        dead[1].bias[1] = 0.25
    check_target(Explainer(dead, x, target=[0, 2], device="cpu"), x, ())
    with pytest.raises(genolift.InputError, match=r"^model: the target 1 is 0\.25 for every sequence"):
        check_target(Explainer(dead, x, target=[0, 1, 2], device="cpu"), x, ())


def test_a_sum_over_classes_of_one_softmax_is_the_same_for_every_sequence() -> None:
    model, x = torch.nn.Sequential(torch.nn.Conv1d(4, 3, 5), torch.nn.Softmax(1)), onehot(2)
    check_target(Explainer(model, x, target="[1, sum(:)]", device="cpu"), x, ())
    with pytest.raises(genolift.InputError, match="for every sequence, of the analysis and random"):
        check_target(Explainer(model, x, target="[sum(:), 7]", device="cpu"), x, ())


def test_a_target_that_is_the_same_for_the_first_two_alone_passes() -> None:
    site = onehot(1, 8)
    finds = Of(lambda _, x: nn.functional.conv1d(x, site).amax(2))
    twice = onehot(1).expand(2, -1, -1).contiguous()
    check_target(Explainer(finds, twice, device="cpu"), twice, ())


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study(tmp_path_factory.mktemp("check"), windows=True)


def test_the_first_two_windows_are_run(done: Study) -> None:
    source = source_of(bed=done.folder / "peaks.bed", genome=done.folder / "genome.fa", use_strand=True)
    summary = check(done, source)
    assert (summary.n_models, summary.n_sequences, summary.length) == (1, 2, LENGTH)
    ran = json.loads((done.folder / "check.json").read_text())
    assert ran["length"] == LENGTH
    assert len(ran["sequences"]) == 2


def test_windows_are_those_that_encode_makes(done: Study) -> None:
    source = source_of(
        bed=done.folder / "peaks.bed", genome=done.folder / "genome.fa", length=LENGTH, use_strand=True
    )
    found = trial_sequences(source, 3)
    stored = genolift.data.stored_sequences.read_sequences(done.folder / "sequences.h5")
    for row, key in enumerate(found.key):
        (at,) = (stored.key == key).nonzero()[0]
        assert (found.codes[row] == stored.codes[at]).all()
        assert found.id[row] == stored.id[at]
        assert found.places.strand[row] == stored.places.strand[at]


def test_a_genome_is_read_no_further_than_is_needed(tmp_path: Path) -> None:
    (tmp_path / "genome.fa").write_text(f">a\n{'ACGT' * 100}\n>b\nno letters of DNA: !!\n")
    rows = "".join(f"{chrom}\t{start}\t{start + 10}\n" for start in range(50, 300, 10) for chrom in "ba")
    (tmp_path / "peaks.bed").write_text(rows)
    found = trial_sequences(source_of(bed=tmp_path / "peaks.bed", genome=tmp_path / "genome.fa", length=20))
    assert found.key.tolist() == [1, 3]


def test_a_genome_of_other_names_is_said_as_encode_says_it(tmp_path: Path) -> None:
    (tmp_path / "genome.fa").write_text(f">1\n{'ACGT' * 100}\n>2\n{'ACGT' * 100}\n")
    bed = tmp_path / "peaks.bed"
    bed.write_text("#\nchr1\t50\t60\nchr2\t50\t60\n")
    with pytest.raises(genolift.InputError) as caught:
        trial_sequences(source_of(bed=bed, genome=tmp_path / "genome.fa", length=20))
    assert str(caught.value).startswith(
        f"{bed}:2: the chromosome 'chr1' (and 1 more of the file's) is not in"
    )
    assert str(caught.value).endswith("use the same names in both"), "to drop them would leave none"
    bed.write_text("chr1\t50\t60\n2\t50\t60\n")
    found = trial_sequences(source_of(bed=bed, genome=tmp_path / "genome.fa", length=20))
    assert found.key.tolist() == [1]
    with pytest.raises(genolift.InputError, match="or set missing_chromosomes to drop"):
        check_chromosomes(read_intervals(bed).intervals, ["1", "2"], bed, "genome.fa")


def test_records_that_the_model_cannot_take_are_passed_over(tmp_path: Path) -> None:
    fasta = tmp_path / "a.fa"
    fasta.write_text(f">short\nACG\n>unknown\n{'N' * 30}\n>one\n{'ACGTA' * 6}\n>two\n{'GGGTA' * 6}\n>x\n!!\n")
    found = trial_sequences(source_of(fasta=fasta, length=30))
    assert (found.id, found.key.tolist()) == (["one", "two"], [2, 3])
    fasta.write_text(f">short\nACG\n>one\n{'ACGTA' * 6}\n")
    with pytest.raises(genolift.InputError, match="the model takes 40 bases, the records have 3 to 30"):
        trial_sequences(source_of(fasta=fasta, length=40))
    fasta.write_text(f">unknown\n{'N' * 30}\n")
    with pytest.raises(genolift.InputError, match="none of the first sequences can be used"):
        trial_sequences(source_of(fasta=fasta, length=30))


def test_one_model_of_several_is_named(done: Study) -> None:
    source = source_of(bed=done.folder / "peaks.bed", genome=done.folder / "genome.fa")
    models = {
        "good": done.model,
        "bad": ModelSpec(path=done.model.path, class_name=done.model.class_name, arguments={"nan": True}),
    }
    with pytest.raises(
        genolift.InputError, match=r"models\.bad: sequence .*: the model's output is infinite"
    ):
        check(done, source, models=models)


def test_the_known_motifs_are_read_before_anything_is_run(done: Study, tmp_path: Path) -> None:
    source = source_of(bed=done.folder / "peaks.bed", genome=done.folder / "genome.fa")
    file = tmp_path / "motifs.txt"
    file.write_text(meme_files.streme_txt().replace("w= 5", "w= 6"))
    no_model = {"model": done.model.model_copy(update={"path": "no/such/weights.pt"})}
    with pytest.raises(genolift.InputError, match=r"motif database: .*, line \d+: the matrix has 5 rows"):
        check(done, source, models=no_model, database=str(file), out=tmp_path / "check.json")
    with pytest.raises(genolift.InputError, match=r"did you mean jaspar:fungi\?"):
        check(done, source, models=no_model, database="JASPAR:Fung", out=tmp_path / "check.json")
    assert not (tmp_path / "check.json").exists()
    file.write_text(meme_files.streme_txt())
    summary = check(done, source, database=str(file), out=tmp_path / "check.json")
    assert summary.database is not None
    assert len(summary.database.motifs) == 2
    assert json.loads((tmp_path / "check.json").read_text())["motifs"] == 2


def test_a_target_and_an_operation_are_checked_too(done: Study) -> None:
    source = source_of(bed=done.folder / "peaks.bed", genome=done.folder / "genome.fa")
    with pytest.raises(genolift.InputError, match="there is no target 5"):
        check(done, source, target=5)


def test_attribute_checks_the_model_too(tmp_path: Path) -> None:
    made = study(tmp_path, n=3)
    source = (tmp_path / "model.py").read_text()
    noisy = source.replace("return y / (y - y) if self.nan else y", "return y + torch.rand_like(y)")
    (tmp_path / "model.py").write_text(noisy)
    with pytest.raises(genolift.InputError, match="the operation rand_like draws at random"):
        made.attribute()
    assert not (tmp_path / "shard.h5").exists()


@pytest.mark.parametrize("name", ["InDouble", "InHalf", "OverItsInput"])
def test_what_the_check_takes_is_inspected_and_explained(tmp_path: Path, name: str) -> None:
    model = getattr(inspected_models, name)()
    before = onehot(3)
    check_model(model, before, (), ["one", "two", "three"])
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    found = inspect_model(
        ModelSpec(path=f"{tmp_path}/weights.pt", class_name=f"{inspected_models.__file__}:{name}")
    )
    assert found.error is None
    assert (found.taken.spec.axes, found.taken.layout.length.bases) == ("bases,length", 30)
    result = genolift.deeplift(model, before, onehot(3, seed=1)[:, None])
    factor = 2 if name == "OverItsInput" else 1
    expected = model.net(before * factor)[:, 0]
    assert torch.allclose(result.output, expected, atol=1e-6)
    assert torch.equal(before, onehot(3))


def test_the_command_says_it_in_one_line(tmp_path: Path) -> None:
    made = study(tmp_path, n=3)
    command = [
        sys.executable,
        "-m",
        "genolift",
        "check",
        "--fasta",
        f"{tmp_path}/sequences.fa",
        *made.flags(),
    ]
    command += ["--out", f"{tmp_path}/check.json"]
    good = subprocess.run(command, capture_output=True, text=True, check=False)
    assert good.returncode == 0
    assert f"the model runs on 2 sequences of {LENGTH} bp" in good.stdout
    before = sha256(tmp_path / "check.json")
    bad = subprocess.run([*command, "--target", "7"], capture_output=True, text=True, check=False)
    assert bad.returncode == 2
    assert bad.stderr == (
        "genolift: error: target: there is no target 7: the model has 2 outputs; choose one of 0 to 1\n"
    )
    assert sha256(tmp_path / "check.json") == before


def test_snakemake_attributes_nothing_of_an_analysis_whose_model_fails(tmp_path: Path) -> None:
    made = study(tmp_path, n=4)
    fasta = {"fasta": f"{tmp_path}/sequences.fa"}
    model = {"path": made.model.path, "class": made.model.class_name}
    config = {
        "analyses": {
            "bad": {"model": model | {"arguments": {"nan": True}}, "sequences": fasta},
        }
    }
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(config))
    code, output = snakemake("--cores", "1", "--configfile", "my.yaml", folder=tmp_path)
    assert code == 1
    assert "the model's output is infinite" in output
    begun = {path.name for path in (tmp_path / "results" / "bad").iterdir()}
    assert begun <= {"logs", "sequences.tsv", "sequences.h5"}


def test_the_check_says_what_each_model_is_and_captures_it_once(
    done: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    captured = []
    whole = capture_module.torch.export.export
    monkeypatch.setattr(
        capture_module.torch.export, "export", lambda *a, **k: captured.append(1) or whole(*a, **k)
    )
    models = {"a": done.model, "b": done.fold(1)}
    source = source_of(bed=done.folder / "peaks.bed", genome=done.folder / "genome.fa")
    check(done, source, models=models, inspection=done.folder / "inspection", target=1)
    assert len(captured) == 2
    assert json.loads((done.folder / "check.json").read_text())["input_length"] == LENGTH
    for name, spec in models.items():
        alone = inspect_model(spec.model_copy(update={"input_length": LENGTH}), target=1).as_json()
        found = json.loads((done.folder / "inspection" / f"{name}.json").read_text())
        assert found == json.loads(json.dumps(alone))
    (done.folder / "inspection" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"would be replaced, but holds 'mine.txt'"):
        check(done, source, models=models, inspection=done.folder / "inspection")


def test_the_shape_of_a_control_track_that_the_model_takes_is_said() -> None:
    head = nn.Conv1d(5, 2, 1)

    def cropped(model: Any, x: Tensor, control: Tensor) -> Tensor:
        return model.head(torch.cat([x[:, :3, 5:25], control], 1)).flatten(1)

    model = Of(cropped)
    model.head = head
    message = said(model, torch.zeros(2, 2, 30))
    assert message.endswith(
        "the model takes extra_inputs[0] with another shape: give it [2, 20], which for bigWigs is width: 20"
    )
    message = said(model, torch.zeros(2, 1, 20))
    assert "give it [2, 20]" in message
    assert "another shape" not in said(model, torch.zeros(2, 9, 31))
