"""The paper's simulation, the demo model's training, and the demo's data in data/demo."""

from __future__ import annotations

import csv
import gzip
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from places import ROOT
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score

from genolift.data.alphabet import decode_letters, encode_letters, onehot_of_codes, reverse_complement_codes
from genolift.demo.simulate import (
    MATRICES,
    TASKS,
    DemoModel,
    Simulation,
    fetch_motifs,
    simulate,
    train_demo,
)
from genolift.errors import InputError

DEMO = ROOT / "data" / "demo"


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return simulate(4000, seed=3)


def test_labels_agree_with_the_embedded_instances(simulation: Simulation) -> None:
    held = Counter((instance.sequence, instance.motif) for instance in simulation.instances)
    for row, (both, gata1, tal1) in enumerate(simulation.labels):
        assert (held[row, "GATA1"] > 0) == gata1
        assert (held[row, "TAL1"] > 0) == tal1
        assert both == (gata1 and tal1)
    assert set(held.values()) == {1, 2, 3}


def test_a_quarter_of_the_sequences_is_of_each_kind_and_says_so_in_its_id(simulation: Simulation) -> None:
    kinds = Counter(
        (*labels, name.rpartition("_")[0])
        for labels, name in zip(simulation.labels.tolist(), simulation.id, strict=True)
    )
    assert kinds == {
        (0, 0, 0, "empty"): 1000,
        (0, 1, 0, "gata1_only"): 1000,
        (0, 0, 1, "tal1_only"): 1000,
        (1, 1, 1, "gata1_tal1"): 1000,
    }
    assert len(set(simulation.id)) == 4000


def test_instances_stand_in_their_sequence_and_read_along_their_strand(simulation: Simulation) -> None:
    widths = {name: ppm.shape[1] for name, ppm in fetch_motifs().items()}
    for instance in simulation.instances:
        there = simulation.codes[instance.sequence, instance.start : instance.end]
        along = there if instance.strand == "+" else reverse_complement_codes(there)
        assert decode_letters(along) == instance.letters
        assert instance.end - instance.start == widths[instance.motif]


def test_instances_do_not_overlap_and_are_in_order(simulation: Simulation) -> None:
    for before, after in zip(simulation.instances, simulation.instances[1:], strict=False):
        assert before.sequence < after.sequence or (
            before.sequence == after.sequence and before.end <= after.start
        )


def test_instances_are_drawn_from_their_motif(simulation: Simulation) -> None:
    for name, ppm in fetch_motifs().items():
        sites = [encode_letters(i.letters) for i in simulation.instances if i.motif == name]
        frequencies = onehot_of_codes(np.stack(sites)).mean(axis=0)
        assert np.abs(frequencies - ppm).max() < 0.03  # 3,000 sites: standard error at most 0.01
        assert not frequencies[ppm == 0].any()


def test_strands_and_positions_are_uniform(simulation: Simulation) -> None:
    strands = Counter(instance.strand for instance in simulation.instances)
    assert abs(strands["+"] / strands.total() - 0.5) < 0.03
    alone = [i.start for i in simulation.instances if simulation.labels[i.sequence].tolist() == [0, 1, 0]]
    assert (min(alone), max(alone)) == (0, 200 - 11)
    quarters = np.histogram(alone, bins=4, range=(0, 190))[0] / len(alone)
    assert np.abs(quarters - 0.25).max() < 0.05


def test_numbers_of_instances_are_those_of_the_authors_own_simulation(
    simulation: Simulation, shared: Path
) -> None:
    """The shares of 1, 2 and 3 instances, for a motif alone and for one beside another."""
    with gzip.open(shared / "paper" / "sequences.simdata.gz", "rt") as file:
        theirs = [
            (row["seqName"], len(re.findall(motif, row["embeddings"])))
            for row in csv.DictReader(file, delimiter="\t")
            for motif in ("GATA_disc1", "TAL1_known1")
        ]
    counts = Counter((instance.sequence, instance.motif) for instance in simulation.instances)
    ours = [(simulation.id[sequence], number) for (sequence, _), number in counts.items()]
    for name in ("only", "gata1?_tal1"):

        def shares(numbers: list[tuple[str, int]], name: str = name) -> np.ndarray:
            held = np.array([number for sequence, number in numbers if re.search(name, sequence) and number])
            return np.bincount(held, minlength=4) / len(held)

        assert np.abs(shares(ours) - shares(theirs)).max() < 0.035


def test_labels_are_in_the_order_of_the_authors_own_simulation(simulation: Simulation, shared: Path) -> None:
    with gzip.open(shared / "paper" / "sequences.simdata.gz", "rt") as file:
        theirs = {
            (
                row["seqName"].rpartition("_")[0].replace("gata", "gata1"),
                row["task1"],
                row["task2"],
                row["task3"],
            )
            for row in csv.DictReader(file, delimiter="\t")
        }
    ours = {
        (name.rpartition("_")[0], *map(str, labels))
        for name, labels in zip(simulation.id, simulation.labels, strict=True)
    }
    assert ours == theirs


@pytest.mark.parametrize("gc", [0.4, 0.6, 0.0])
def test_background_has_the_gc_fraction_asked_for(gc: float) -> None:
    simulation = simulate(400, gc=gc, seed=1)
    empty = simulation.codes[::4]
    frequencies = np.bincount(empty.ravel(), minlength=5) / empty.size
    np.testing.assert_allclose(frequencies, [(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2, 0], atol=0.02)


def test_the_same_arguments_give_the_same_simulation_and_another_seed_another() -> None:
    first, again, other = simulate(40, seed=5), simulate(40, seed=5), simulate(40, seed=6)
    assert np.array_equal(first.codes, again.codes)
    assert first.instances == again.instances
    assert not np.array_equal(first.codes, other.codes)


def test_other_lengths_are_filled(simulation: Simulation) -> None:
    short = simulate(200, length=132, seed=0)
    assert short.codes.shape == (200, 132)
    assert max(instance.end for instance in short.instances) <= 132


@pytest.mark.parametrize("arguments", [{"n": 0}, {"length": 100}, {"gc": 1.5}, {"gc": float("nan")}])
def test_a_simulation_that_cannot_be_is_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"cannot simulate .*give 1 sequence or more, 132 bases or more"):
        simulate(**arguments)  # type: ignore[arg-type]


def test_motifs_are_gata1_and_tal1_of_jaspar() -> None:
    motifs = fetch_motifs()
    assert list(motifs) == list(MATRICES) == ["GATA1", "TAL1"]
    assert list(MATRICES.values()) == ["MA0035.3", "MA0091.2"]
    assert "CTTATCT" in decode_letters(motifs["GATA1"].argmax(axis=0).astype(np.uint8))
    assert "CATCTG" in decode_letters(motifs["TAL1"].argmax(axis=0).astype(np.uint8))
    for ppm in motifs.values():
        np.testing.assert_allclose(ppm.sum(axis=0), 1)


# Training


def test_training_writes_the_same_bytes_again_and_leaves_torch_as_it_was(tmp_path: Path) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    threads = torch.get_num_threads()
    for name in ("first", "second"):
        summary = train_demo(tmp_path / name, seed=2, n_training=200, n_held_out=80, n_written=16, epochs=1)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads
    assert (summary.n_training, summary.n_held_out, summary.n_written) == (200, 80, 16)
    assert summary.auroc == pytest.approx(share_of_pairs_in_order(tmp_path / "first", simulate(80, seed=3)))
    files = sorted(file.name for file in (tmp_path / "first").iterdir())
    assert files == [
        ".genolift",
        "README.md",
        "instances.tsv",
        "labels.tsv",
        "model.safetensors",
        "sequences.fa.gz",
    ]
    for file in files:
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()
    assert (tmp_path / "first" / "model.safetensors").stat().st_mode & 0o044 == 0o044


def share_of_pairs_in_order(trained: Path, held_out: Simulation) -> list[float]:
    """For each task, the share of pairs of a 1 and a 0 that the model's logits rank correctly."""
    model = DemoModel()
    model.load_state_dict(load_file(trained / "model.safetensors"))
    with torch.no_grad():
        logits = model.eval()(torch.from_numpy(onehot_of_codes(held_out.codes)).float()).numpy()
    shares = []
    for labels, scores in zip(held_out.labels.T, logits.T, strict=True):
        pairs = np.sign(scores[labels == 1][:, None] - scores[labels == 0][None])
        shares.append(float((pairs + 1).mean() / 2))
    return shares


@pytest.mark.parametrize("n_written", [0, 12, 40])
def test_more_demo_sequences_than_are_held_out_are_refused(n_written: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"cannot write {n_written} of 80 held-out sequences"):
        train_demo(tmp_path / "demo", n_training=8, n_held_out=80, n_written=n_written, epochs=1)
    assert not (tmp_path / "demo").exists()


# The demo's data


def demo_records() -> list[list[str]]:
    with gzip.open(DEMO / "sequences.fa.gz", "rt") as file:
        return [record.split("\n") for record in file.read().strip().removeprefix(">").split("\n>")]


def demo_table(name: str) -> list[dict[str, str]]:
    with (DEMO / name).open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_demo_sequences_labels_and_instances_are_those_that_the_simulation_makes() -> None:
    held_out = simulate(2000, seed=1)
    row_of = {name: row for row, name in enumerate(held_out.id)}
    records = demo_records()
    rows = [row_of[name] for name, _ in records]
    assert len(records) == 240
    assert rows == sorted(rows)
    assert [letters for _, letters in records] == [decode_letters(held_out.codes[row]) for row in rows]
    labels = [(line["id"], [int(line[task]) for task in TASKS]) for line in demo_table("labels.tsv")]
    assert labels == [(held_out.id[row], held_out.labels[row].tolist()) for row in rows]
    expected = [i for i in held_out.instances if i.sequence in rows]
    for line, instance in zip(demo_table("instances.tsv"), expected, strict=True):
        assert line["id"] == held_out.id[instance.sequence]
        assert (line["motif"], line["matrix"]) == (instance.motif, MATRICES[instance.motif])
        assert (int(line["start"]), int(line["end"])) == (instance.start, instance.end)
        assert (line["strand"], line["letters"]) == (instance.strand, instance.letters)


def test_demo_model_tells_the_tasks_apart_on_sequences_it_was_not_trained_with() -> None:
    fresh = simulate(1200, seed=77)
    model = DemoModel()
    model.load_state_dict(load_file(DEMO / "model.safetensors"))
    with torch.no_grad():
        logits = model.eval()(torch.from_numpy(onehot_of_codes(fresh.codes)).float()).numpy()
    areas = [roc_auc_score(fresh.labels[:, task], logits[:, task]) for task in range(3)]
    assert min(areas) > 0.97
    # "both" needs more than either motif: in sequences with GATA1, TAL1 decides, and vice versa
    for task in (1, 2):
        with_one = fresh.labels[:, task] == 1
        assert roc_auc_score(fresh.labels[with_one, 0], logits[with_one, 0]) > 0.95


def test_demo_data_are_small_and_say_how_they_were_made() -> None:
    assert sum(file.stat().st_size for file in DEMO.iterdir()) < 600_000
    assert (DEMO / "model.safetensors").stat().st_size < 500_000
    assert "genolift train-demo --out data/demo" in (DEMO / "README.md").read_text()
