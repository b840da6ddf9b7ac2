"""Several models on the same sequences and references: the mean and spread of their results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from made_up_results import tell
from places import TESTS
from refusals import refused_by
from run_steps import LENGTH, Study, make_references, source_of, study
from safetensors.torch import save_file
from window_tracks import assert_mean_of_windows

from genolift.cli.main import main
from genolift.models import make_module
from genolift.results.store import open_contributions
from genolift.settings.model import ModelSpec
from genolift.steps.encode import encode

FOLDS = ("fold_0", "fold_1", "fold_2")


def attribute_folds(made: Study, **changed: Any) -> list[str]:
    """Attribute with three models, in two shards each; return the shards' names."""
    names = []
    for number, fold in enumerate(FOLDS):
        for i in range(2):
            names.append(f"{fold}-{i}.h5")
            made.attribute(names[-1], model=made.fold(number), model_name=fold, shard=(i, 2), **changed)
    return names


@pytest.fixture(scope="module")
def averaged(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study on windows of a genome with three models, attributed and aggregated."""
    made = study(tmp_path_factory.mktemp("folds"), windows=True)
    made.aggregate(*attribute_folds(made))
    return made


def of_each(made: Study, name: str) -> np.ndarray:
    """A dataset of every model, (model, ...)."""
    found = []
    for fold in FOLDS:
        with h5py.File(made.folder / "models" / fold / "contributions.h5") as file:
            found.append(file[name][:])
    return np.stack(found).astype(np.float64)


def of_mean(made: Study, name: str) -> np.ndarray:
    with h5py.File(made.folder / "contributions.h5") as file:
        return np.asarray(file[name][:])


@pytest.mark.parametrize(
    "name",
    ["shap/seq", "projected_shap/seq", "genolift/output", "genolift/reference_output"],
)
def test_contributions_and_outputs_are_means_over_models(averaged: Study, name: str) -> None:
    each = of_each(averaged, name)
    assert each.std(0).max() > 0
    np.testing.assert_allclose(of_mean(averaged, name), each.mean(0), rtol=1e-6, atol=1e-7)


def test_the_standard_deviation_over_models_is_that_of_a_sample(averaged: Study) -> None:
    per_base = of_each(averaged, "projected_shap/seq").sum(2)
    spread = of_mean(averaged, "genolift/model_sd")
    np.testing.assert_allclose(spread, per_base.std(0, ddof=1), rtol=1e-5, atol=1e-7)
    with h5py.File(averaged.folder / "contributions.h5") as file:
        assert list(file["genolift/model_output"].attrs["models"]) == list(FOLDS)
        np.testing.assert_array_equal(
            file["genolift/model_output"][:].T, of_each(averaged, "genolift/output")
        )


def test_contributions_of_the_mean_add_up_to_its_output_difference(averaged: Study) -> None:
    total = of_mean(averaged, "projected_shap/seq").sum((1, 2))
    explained = of_mean(averaged, "genolift/output") - of_mean(averaged, "genolift/reference_output").mean(1)
    np.testing.assert_allclose(total, explained, atol=1e-5)


def test_errors_of_the_mean_are_at_most_what_is_written(tmp_path: Path) -> None:
    """Against the errors of the mean model itself, which explains the mean of the outputs pair by pair."""
    made = study(tmp_path, n=4, r=6)
    made.aggregate(*attribute_folds(made))
    (tmp_path / "mean.py").write_text(
        "import sys, torch\n"
        f"sys.path.insert(0, {str(TESTS)!r})\n"
        "from genolift.models import load_model\n"
        "class Mean(torch.nn.Module):\n"
        "    input_length = 60\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        f"        spec = lambda i: {{'path': f'{tmp_path}/fold_{{i}}.safetensors', "
        f"'class': '{made.model.class_name}'}}\n"
        "        self.folds = torch.nn.ModuleList(load_model(spec(i)) for i in range(3))\n"
        "    def forward(self, x):\n"
        "        return sum(fold(x) for fold in self.folds) / 3\n"
    )
    mean = make_module(f"{tmp_path}/mean.py:Mean", {})
    save_file({key: value.clone() for key, value in mean.state_dict().items()}, tmp_path / "mean.safetensors")
    spec = ModelSpec(path=f"{tmp_path}/mean.safetensors", class_name=f"{tmp_path}/mean.py:Mean")
    assert torch.is_tensor(mean(torch.zeros(1, 4, LENGTH)))
    made.attribute("mean.h5", model=spec)
    with open_contributions(tmp_path / "mean.h5") as own:
        np.testing.assert_allclose(of_mean(made, "shap/seq"), own["shap/seq"][:], atol=1e-5)
        written = of_mean(made, "genolift/standard_error")
        assert (own["genolift/standard_error"][:] <= written + 1e-6).all()
        assert written.max() > 0
    for name in ("genolift/standard_error", "genolift/convergence_error"):
        np.testing.assert_allclose(of_mean(made, name), of_each(made, name).mean(0), rtol=1e-5, atol=1e-12)


def test_each_model_has_a_file_as_if_it_had_been_alone(averaged: Study, tmp_path: Path) -> None:
    alone = study(tmp_path, windows=True)
    alone.attribute(model=averaged.fold(1))
    with (
        h5py.File(alone.aggregate()) as one,
        h5py.File(averaged.folder / "models" / "fold_1" / "contributions.h5") as other,
    ):
        assert set(one["genolift"]) == set(other["genolift"])
        np.testing.assert_allclose(other["shap/seq"][:], one["shap/seq"][:], atol=1e-6)
    assert not (tmp_path / "models").exists()
    assert not (tmp_path / "contributions_sd.bw").exists()
    assert not [
        name for name in pd.read_csv(tmp_path / "per_sequence.tsv", sep="\t") if "output_" in name[:7]
    ]
    assert "model_sd" not in pd.read_parquet(tmp_path / "per_base.parquet")


def test_order_of_shards_and_size_of_blocks_do_not_change_the_mean(
    averaged: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genolift.results.store.BLOCK_BASES", 7 * LENGTH)
    made = study(tmp_path, windows=True)
    made.aggregate(*reversed(attribute_folds(made)))
    for name in ("shap/seq", "genolift/model_sd", "genolift/model_output", "genolift/key"):
        np.testing.assert_array_equal(of_mean(made, name), of_mean(averaged, name))


def test_all_models_are_compared_with_the_same_references(averaged: Study) -> None:
    with open_contributions(averaged.folder / "contributions.h5") as file:
        told = file.provenance
        assert file.models == FOLDS
    assert told["references_digest"]
    assert [model["model_name"] for model in told["models"]] == list(FOLDS)
    assert len({model["model_sha256"] for model in told["models"]}) == 3
    assert not {"model", "model_sha256", "model_name", "stepped_over"} & told.keys()
    assert told["shards"] == 6
    assert told["seconds"] == pytest.approx(sum(model["seconds"] for model in told["models"]), abs=1e-2)


def test_tables_and_tracks_have_the_spread_over_models(averaged: Study) -> None:
    table = pd.read_csv(averaged.folder / "per_sequence.tsv", sep="\t")
    assert list(table)[-4:] == ["output_sd", "output_fold_0", "output_fold_1", "output_fold_2"]
    outputs = of_each(averaged, "genolift/output")
    np.testing.assert_allclose(table["output_sd"], outputs.std(0, ddof=1), rtol=1e-5)
    np.testing.assert_allclose(table["output_fold_1"], outputs[1], rtol=1e-5)
    bases = pd.read_parquet(averaged.folder / "per_base.parquet")
    spread = of_mean(averaged, "genolift/model_sd")
    np.testing.assert_array_equal(bases["model_sd"].to_numpy(), spread.ravel())
    assert_mean_of_windows(
        averaged.folder / "contributions_sd.bw", averaged.folder / "sequences.tsv", spread, 900
    )


def test_models_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    made = study(tmp_path / "made", n=6)
    zero, one = made.fold(0), made.fold(1)
    for i in range(2):
        made.attribute(f"a{i}.h5", model=zero, model_name="a", shard=(i, 2))
        made.attribute(f"b{i}.h5", model=one, model_name="b", shard=(i, 2))
    both = ["a0.h5", "a1.h5", "b0.h5", "b1.h5"]
    message = refused_by(lambda: made.aggregate(*both[:3]))
    assert message.endswith(
        "b0.h5: the shards of b lack 3 of 6 sequences, key 3 first; give every shard of these sequences once"
    )
    message = refused_by(lambda: made.aggregate(*both, "b1.h5"))
    assert "the shards of b hold 9 sequences, not the 6 that are kept" in message
    changes: dict[str, Any]
    for name, changes, said in (
        ("target", {"target": 1}, "the model c was run with target 1, a with 0; attribute every model with"),
        ("rule", {"rule": "rescale"}, "the model c was run with rule rescale, a with genomics-default"),
        ("precision", {"precision": "float64"}, "the model c was run with precision float64, a with float32"),
    ):
        made.attribute(f"{name}.h5", model=one, model_name="c", **changes)
        assert said in refused_by(lambda name=name: made.aggregate("a0.h5", "a1.h5", f"{name}.h5"))  # type: ignore[misc]
    other = study(tmp_path / "other", n=6, r=2)
    other.attribute("c.h5", model=one, model_name="c")
    (made.folder / "c.h5").write_bytes((other.folder / "c.h5").read_bytes())
    assert "the model c was run with reference_number 2, a with 3" in refused_by(
        lambda: made.aggregate("a0.h5", "a1.h5", "c.h5")
    )
    assert not (made.folder / "contributions.h5").exists()
    assert not (made.folder / "models").exists()


def test_a_name_that_two_models_have_and_a_model_of_two_names_are_refused(tmp_path: Path) -> None:
    made = study(tmp_path, n=4)
    made.attribute("a.h5", model=made.fold(0), model_name="a", shard=(0, 2))
    made.attribute("b.h5", model=made.fold(1), model_name="a", shard=(1, 2))
    message = refused_by(lambda: made.aggregate("a.h5", "b.h5"))
    assert "b.h5: was made with model " in message
    assert "remove the shards and attribute again (for several models, give each its --model-name)" in message
    copy = ModelSpec(path=f"{tmp_path}/copy.safetensors", class_name=made.model.class_name)
    Path(copy.path).write_bytes(Path(made.fold(0).path).read_bytes())
    made.attribute("a.h5", model=made.fold(0), model_name="a")
    made.attribute("b.h5", model=copy, model_name="b")
    assert "the models a and b are the same; give each once" in refused_by(
        lambda: made.aggregate("a.h5", "b.h5")
    )


@pytest.mark.parametrize("name", ["../up", "", "a b", "sd"])
def test_a_model_s_name_is_one_for_a_folder(tmp_path: Path, name: str) -> None:
    made = study(tmp_path, n=2, r=1)
    assert "is not a name for a model" in refused_by(lambda: made.attribute(model_name=name))
    made.attribute()
    tell(tmp_path / "shard.h5", model_name=name)
    assert "is not a name for a model" in refused_by(made.aggregate)


def test_a_model_of_another_length_is_named(tmp_path: Path) -> None:
    made = study(tmp_path, n=2, r=1)
    long = ModelSpec(path=made.model.path, class_name=made.model.class_name, input_length=80)
    message = refused_by(lambda: made.attribute(model=long, model_name="fold_7"))
    assert "its sequences have 60 bases, the model fold_7 takes 80" in message


def test_a_model_s_keys_make_it_again() -> None:
    spec = ModelSpec(
        path="a.pt",
        class_name="a.py:Model",
        arguments={"width": 3},
        axes="length,bases",
        alphabet="AGCT",
        trust=True,
    )
    assert ModelSpec.of(json.loads(json.dumps(spec.keys()))) == spec


def test_encode_takes_the_length_of_the_model_that_says_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = study(tmp_path, n=2, r=1)
    (tmp_path / "silent.py").write_text((tmp_path / "model.py").read_text().replace("input_length", "width"))
    silent = ModelSpec(path=made.model.path, class_name=f"{tmp_path}/silent.py:Small")
    models = {"a": silent.keys(), "b": made.model.keys()}
    arguments = ["encode", "--fasta", tmp_path / "sequences.fa", "--models", json.dumps(models)]
    arguments += ["--table", tmp_path / "new.tsv", "--out", tmp_path / "new.h5"]
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    assert not left.value.code
    assert "2 of 2 sequences of 60 bp kept" in capsys.readouterr().out


def test_the_mean_of_real_models_finds_the_site_in_real_peaks(shared: Path, tmp_path: Path) -> None:
    """The yeast model and two with slightly noisy weights, in float64, exact to rounding."""
    yeast = shared / "yeast"
    weights = torch.load(yeast / "model_state_dict.pt", weights_only=True)
    peaks = pd.read_csv(yeast / "Reb1_peaks.bed", sep="\t", header=None).nlargest(8, 4)
    peaks.to_csv(tmp_path / "peaks.bed", sep="\t", header=False, index=False)
    table, store, references = (
        tmp_path / name for name in ("sequences.tsv", "sequences.h5", "references.h5")
    )
    source = source_of(bed=tmp_path / "peaks.bed", genome=yeast / "sacCer_R64.fa.gz", length=400)
    encode(source, table=table, store=store)
    make_references(store, references, "dinucleotide_shuffle", number=3)
    generator = torch.Generator().manual_seed(0)
    for number, fold in enumerate(FOLDS):
        noisy = {
            key: value * (1 + 0.05 * number * torch.randn(value.shape, generator=generator))
            if value.is_floating_point()
            else value
            for key, value in weights.items()
        }
        torch.save(noisy, tmp_path / f"{fold}.pt")
        Study(tmp_path).attribute(
            f"{fold}.h5",
            model=ModelSpec(path=f"{tmp_path}/{fold}.pt", class_name=f"{yeast}/model.py:YeastTF"),
            model_name=fold,
            target="Reb1",
            precision="float64",
        )
    made = Study(tmp_path)
    made.aggregate(*(f"{fold}.h5" for fold in FOLDS))
    per_base = of_mean(made, "projected_shap/seq").sum(1)
    explained = of_mean(made, "genolift/output") - of_mean(made, "genolift/reference_output").mean(1)
    np.testing.assert_allclose(per_base.sum(1), explained, rtol=1e-4, atol=1e-4)
    each = of_each(made, "projected_shap/seq").sum(2)
    np.testing.assert_allclose(of_mean(made, "genolift/model_sd"), each.std(0, ddof=1), atol=1e-5)
    sites = [sequence.find("TTACCCG") for sequence in letters(made)]
    found = [site for site in sites if site >= 0]
    assert len(found) >= 3
    share = [
        per_base[row, site : site + 7].sum() / per_base[row].sum()
        for row, site in enumerate(sites)
        if site >= 0
    ]
    assert np.median(share) > 10 * 7 / 400


def letters(made: Study) -> list[str]:
    codes = of_mean(made, "raw/seq").argmax(1)
    return ["".join("ACGT"[code] for code in row) for row in codes]
