"""The attribute and aggregate steps give the same numbers however the work is divided, stopped or ordered."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import psutil
import pyBigWig
import pytest
import torch
from places import TESTS
from refusals import refused_by
from run_steps import LENGTH, Study, make_references, source_of, study
from window_tracks import assert_mean_of_windows

import genolift
from genolift.data.stored_sequences import read_sequences
from genolift.models import load_model
from genolift.references.store import open_references
from genolift.results.store import open_contributions
from genolift.steps import work as step
from genolift.steps.encode import encode


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study that is attributed and aggregated."""
    made = study(tmp_path_factory.mktemp("study"))
    made.attribute()
    made.aggregate()
    return made


@pytest.fixture(scope="module")
def on_genome(tmp_path_factory: pytest.TempPathFactory) -> Study:
    made = study(tmp_path_factory.mktemp("windows"), windows=True)
    made.attribute()
    made.aggregate()
    return made


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "PIECE_ROWS", 4)


def by_id(path: Path) -> dict[str, np.ndarray]:
    with h5py.File(path) as file:
        return dict(zip(file["genolift/id"].asstr()[:], file["shap/seq"][:], strict=True))


def test_the_file_holds_what_deeplift_returns(done: Study) -> None:
    stored = read_sequences(done.folder / "sequences.h5")
    x = torch.from_numpy(np.eye(5, dtype=np.float32)[stored.codes][..., :4].transpose(0, 2, 1).copy())
    with open_references(done.folder / "references.h5") as references:
        shuffles = torch.from_numpy(references.onehot(0, len(x)))
    expected = genolift.deeplift(load_model(done.model), x, shuffles, device="cpu")
    assert expected.hypothetical is not None
    with open_contributions(done.folder / "contributions.h5") as file:
        np.testing.assert_array_equal(file["raw/seq"][:], x.numpy())
        np.testing.assert_allclose(file["shap/seq"][:], expected.hypothetical.numpy(), atol=1e-6)
        per_base = expected.contributions.sum(1).numpy()
        np.testing.assert_allclose(file["projected_shap/seq"][:].sum(1), per_base, atol=1e-6)
        np.testing.assert_allclose(file["genolift/output"][:], expected.output.numpy(), atol=1e-6)
        np.testing.assert_allclose(file["genolift/standard_error"][:], expected.standard_error, atol=1e-6)
        assert file["genolift/reference_output"].shape == (20, 3)
        wanted = {"model_sha256", "model_class", "target", "rule", "reference_seed", "torch", "tolerance"}
        assert wanted <= file.provenance.keys()


def test_shards_batch_size_memory_and_order_do_not_change_contributions(done: Study, tmp_path: Path) -> None:
    expected = by_id(done.folder / "contributions.h5")
    names = [f"shard-{i}.h5" for i in range(7)]
    divided = study(tmp_path / "divided")
    for i, name in enumerate(names):
        divided.attribute(name, shard=(i, 7))
    alone, little = study(tmp_path / "alone"), study(tmp_path / "little")
    alone.attribute(batch_size=1)
    little.attribute(memory=psutil.Process().memory_info().rss + 80 * 2**20)
    turned = study(tmp_path / "turned", reverse=True)
    turned.attribute()
    found = [divided.aggregate(*reversed(names)), alone.aggregate(), little.aggregate(), turned.aggregate()]
    for path in found:
        scores = by_id(path)
        assert scores.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_allclose(scores[name], values, rtol=0, atol=1e-6)


def test_a_run_that_was_killed_goes_on_where_it_stopped(done: Study, tmp_path: Path) -> None:
    made = study(tmp_path, n=20)
    driver = tmp_path / "driver.py"
    driver.write_text(
        "import sys, time\n"
        "from pathlib import Path\n"
        f"sys.path.insert(0, {str(TESTS)!r})\n"
        "from run_steps import Study\n"
        "from genolift.steps import work\n"
        "work.PIECE_ROWS = 4\n"
        "slow = (lambda done, total: time.sleep(0.3)) if sys.argv[1] == 'slow' else None\n"
        f"print(Study(Path({str(tmp_path)!r})).attribute(progress=slow).n_resumed)\n"
    )
    process = subprocess.Popen([sys.executable, str(driver), "slow"], stdout=subprocess.DEVNULL)
    pieces = tmp_path / "shard.h5.pieces"
    deadline = time.monotonic() + 60
    while len(list(pieces.glob("0*.npz"))) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "shard.h5").exists()
    again = subprocess.run([sys.executable, str(driver), "fast"], capture_output=True, text=True, check=True)
    assert int(again.stdout) >= 8
    assert not pieces.exists()
    expected = by_id(done.folder / "contributions.h5")
    for name, values in by_id(made.aggregate()).items():
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=1e-6)


class StopError(Exception):
    """Raised by a test to stop a run."""


def stopped(made: Study, after: int, **changed: Any) -> None:
    """Run until ``after`` pairs are done."""

    def progress(pairs: int, total: int) -> None:
        if pairs >= after:
            raise StopError

    with pytest.raises(StopError):
        made.attribute(progress=progress, **changed)


@pytest.mark.usefixtures("small_pieces")
def test_pieces_of_other_work_and_damaged_pieces_are_not_used(tmp_path: Path) -> None:
    made = study(tmp_path)
    stopped(made, 30)
    assert made.attribute(target=1).n_resumed == 0
    stopped(made, 30)
    damaged = sorted((tmp_path / "shard.h5.pieces").glob("*.npz"))[0]
    damaged.write_bytes(damaged.read_bytes()[:100])
    summary = made.attribute()
    assert 0 < summary.n_resumed < 20


@pytest.mark.usefixtures("small_pieces")
def test_a_full_disk_loses_nothing_that_was_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = study(tmp_path)
    savez, written = np.savez, []

    def full(file: Any, **arrays: Any) -> None:
        if len(written) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(file)
        savez(file, **arrays)

    monkeypatch.setattr(np, "savez", full)
    message = refused_by(made.attribute)
    assert "cannot be written (no space left on device); free some space" in message
    assert not (tmp_path / "shard.h5").exists()
    assert not list((tmp_path / "shard.h5.pieces").glob("*unfinished*"))
    monkeypatch.setattr(np, "savez", savez)
    assert made.attribute().n_resumed == 8


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("piece", [0, 4])
def test_a_piece_that_cannot_be_written_is_an_error_whichever_it_is(
    piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = study(tmp_path)
    savez, files = np.savez, []

    def full(file: Any, **arrays: Any) -> None:
        files.append(file)
        if len(files) == piece + 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        savez(file, **arrays)

    monkeypatch.setattr(np, "savez", full)
    assert "cannot be written (no space left on device)" in refused_by(made.attribute)
    assert not (tmp_path / "shard.h5").exists()


def test_a_budget_that_one_pair_does_not_fit_is_refused_in_one_line(done: Study) -> None:
    message = refused_by(lambda: done.attribute("x.h5", memory=2**26))
    assert message.startswith("memory: one sequence with one reference takes")
    wanted = int(re.findall(r"raise --memory .* to (\d+)MiB", message)[0])
    assert wanted > 64
    assert not (done.folder / "x.h5").exists()


@pytest.mark.usefixtures("small_pieces")
def test_shuffles_of_other_sequences_are_refused_at_their_piece(tmp_path: Path) -> None:
    made = study(tmp_path)
    with h5py.File(tmp_path / "references.h5", "r+") as file:
        file["codes"][9, 1] = (file["codes"][9, 1] + 1) % 4
    assert "references.h5: is not a file of references (the references of key 9 are not those" in refused_by(
        made.attribute
    )
    assert len(list((tmp_path / "shard.h5.pieces").glob("0*.npz"))) == 2


def test_mistakes_are_said_in_one_line(done: Study, tmp_path: Path) -> None:
    assert "sequence s" in refused_by(lambda: done.attribute("x.h5", tolerance=0.0))
    assert "over the tolerance of 0; use precision: float64" in refused_by(
        lambda: done.attribute("x.h5", tolerance=0.0)
    )
    nan = genolift.models.ModelSpec(
        path=done.model.path, class_name=done.model.class_name, arguments={"nan": True}
    )
    assert "sequence s0 (key 0): the model's output is infinite" in refused_by(
        lambda: done.attribute("x.h5", model=nan)
    )
    long = genolift.models.ModelSpec(path=done.model.path, class_name=done.model.class_name, input_length=80)
    assert "have 60 bases, the model takes 80" in refused_by(lambda: done.attribute("x.h5", model=long))
    assert "there is no target 5" in refused_by(lambda: done.attribute("x.h5", target=5))
    assert "choose one of first, second" in refused_by(lambda: done.attribute("x.h5", target="third"))
    assert "shard: is 4/4; give i/k" in refused_by(lambda: done.attribute("x.h5", shard=(4, 4)))
    other = study(tmp_path / "other", n=5)
    references = other.folder / "references.h5"
    assert "made for other sequences" in refused_by(lambda: done.attribute("x.h5", references=references))
    (tmp_path / "file").write_text("")
    assert "file" in refused_by(lambda: done.attribute(out=tmp_path / "file" / "x.h5"))
    assert not (done.folder / "x.h5").exists()


def test_a_bias_of_nan_is_named_with_the_sequence(tmp_path: Path) -> None:
    made = study(tmp_path, n=3)
    from safetensors.torch import load_file, save_file

    weights = load_file(made.model.path)
    weights["out.bias"][0] = torch.nan
    save_file(weights, made.model.path)
    assert "sequence s0 (key 0): the model's output is NaN" in refused_by(made.attribute)


def test_shards_that_do_not_belong_together_are_refused(done: Study, tmp_path: Path) -> None:
    made = study(tmp_path)
    made.attribute("a.h5", shard=(0, 2))
    made.attribute("b.h5", shard=(1, 2))
    made.attribute("c.h5", shard=(1, 2), target=1)
    assert "the shards lack 10 of 20 sequences, key 10 first" in refused_by(lambda: made.aggregate("a.h5"))
    assert "hold 30 sequences, not the 20 that are kept" in refused_by(
        lambda: made.aggregate("a.h5", "b.h5", "b.h5")
    )
    assert "was made with" in refused_by(lambda: made.aggregate("a.h5", "c.h5"))
    assert "is not a file of contributions" in refused_by(lambda: made.aggregate("references.h5"))
    assert not (tmp_path / "contributions.h5").exists()


def test_the_table_of_sequences_adds_up(done: Study) -> None:
    table = pd.read_csv(done.folder / "per_sequence.tsv", sep="\t")
    assert list(table["key"]) == list(range(20))
    explained = table["output"] - table["reference_output_mean"]
    np.testing.assert_allclose(table["contribution_sum"], explained, atol=1e-5)
    assert (table["convergence_error_relative_max"] < 1e-3).all()
    assert not (done.folder / "contributions.bw").exists()


def test_the_table_of_bases_agrees_with_the_store_on_both_strands(on_genome: Study) -> None:
    bases = pd.read_parquet(on_genome.folder / "per_base.parquet")
    windows = pd.read_csv(on_genome.folder / "sequences.tsv", sep="\t")
    assert set(windows["strand"]) == {"+", "-"}
    genome = dict(zip(*[iter((on_genome.folder / "genome.fa").read_text().split())] * 2, strict=True))
    with open_contributions(on_genome.folder / "contributions.h5") as file:
        scores = file["projected_shap/seq"][:].sum(1)
        hypothetical = file["shap/seq"][:]
    np.testing.assert_array_equal(bases["contribution"].to_numpy(), scores.ravel())
    np.testing.assert_array_equal(bases["hypothetical_G"].to_numpy(), hypothetical[:, 2].ravel())
    complement = dict(zip("ACGT", "TGCA", strict=True))
    for key, rows in bases.groupby("key"):
        minus = windows["strand"][key] == "-"
        there = [
            genome[f">{chrom}"][at] for chrom, at in zip(rows["chrom"], rows["genome_position"], strict=True)
        ]
        assert list(rows["base"]) == ([complement[base] for base in there] if minus else there)


def test_the_track_is_the_mean_of_the_windows_at_every_base(on_genome: Study) -> None:
    with open_contributions(on_genome.folder / "contributions.h5") as file:
        scores = file["projected_shap/seq"][:].sum(1).astype(float)
    track = on_genome.folder / "contributions.bw"
    assert assert_mean_of_windows(track, on_genome.folder / "sequences.tsv", scores, 900) > 0


def test_finemo_reads_the_store_as_it_is(done: Study) -> None:
    from finemo.data_io import load_regions_from_chrombpnet_h5

    sequences, contributions = load_regions_from_chrombpnet_h5(
        [str(done.folder / "contributions.h5")], LENGTH // 2
    )
    assert sequences.shape == (20, 4, LENGTH)
    assert contributions.shape[0] == 20


def test_padded_windows_have_contributions_on_the_chromosome_alone(tmp_path: Path) -> None:
    made = study(tmp_path, windows=True)
    (tmp_path / "peaks.bed").write_text(
        "chrB\t5\t6\ta\t0\t-\nchrA\t890\t891\tb\t0\t+\nchrA\t400\t401\tc\t0\t+\n"
    )
    keys = {"bed": tmp_path / "peaks.bed", "genome": tmp_path / "genome.fa", "length": LENGTH}
    source = source_of(**keys, use_strand=True, pad=True, max_n_fraction=0.5)
    encode(source, table=tmp_path / "sequences.tsv", store=tmp_path / "sequences.h5")
    make_references(tmp_path / "sequences.h5", tmp_path / "references.h5", "dinucleotide_shuffle", number=3)
    made.attribute()
    made.aggregate()
    bases = pd.read_parquet(tmp_path / "per_base.parquet")
    of_first, of_second = bases[bases["key"] == 0], bases[bases["key"] == 1]
    assert of_first["genome_position"].tolist()[:35] == list(range(34, -1, -1))
    assert of_second["genome_position"].tolist()[:40] == list(range(860, 900))
    for padded in (of_first[35:], of_second[40:]):
        assert padded["genome_position"].isna().all()
        assert (padded["base"] == "N").all()
        assert (padded["contribution"] == 0).all()
    assert pd.read_csv(tmp_path / "per_sequence.tsv", sep="\t")["start"].tolist() == [-25, 860, 370]
    with pyBigWig.open(str(tmp_path / "contributions.bw")) as track:
        assert track.header()["nBasesCovered"] == 35 + 40 + 60
