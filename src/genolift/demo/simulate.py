"""The paper's simulation of GATA1 and TAL1 sites, and the demo model trained on it.

Shrikumar, Greenside & Kundaje 2017 (arXiv 1704.02685), section 4.2.
"""

import gzip
import logging
import math
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyjaspar
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from genolift.data.alphabet import decode_letters, onehot_of_codes, reverse_complement_codes
from genolift.engine.devices import threads_of_torch
from genolift.engine.graph.source import tell_apart
from genolift.errors import InputError
from genolift.files.output_paths import MARK, check_folder, check_outputs, mark_text
from genolift.files.whole import make_folder, whole_file, write_text

_LOG = logging.getLogger("genolift")

# GATA1's third profile (14 bits), not the fifth (10 bits): that one occurs in 200 bp by chance so often that
# even the likelihood ratio's auROC is 0.90. TAL1's is its dimer's E-box; MA0140, GATA1::TAL1, is a composite.
MATRICES = {"GATA1": "MA0035.3", "TAL1": "MA0091.2"}
_KIND = "train-demo"
_FILES = ("model.safetensors", "sequences.fa.gz", "labels.tsv", "instances.tsv", "README.md")
GROUPS = {"empty": (), "gata1_only": ("GATA1",), "tal1_only": ("TAL1",), "gata1_tal1": ("GATA1", "TAL1")}
"""The motifs that the sequences of each group have."""
TASKS = ("both", "GATA1", "TAL1")
# Instances of a motif are a Poisson number, drawn anew unless it is 1, 2 or 3. The means are what the
# authors' own 8,000 sequences (AvantiShri/model_storage) show: 2 for a motif alone, 1 for each of two.
_MEAN_ALONE, _MEAN_BESIDE = 2.0, 1.0
_MOST_INSTANCES = 3


@dataclass(frozen=True)
class Instance:
    """An embedded motif: ``sequence`` is its row; ``start`` and ``end`` are 0-based half-open on the forward
    strand; ``letters`` read along ``strand``.
    """

    sequence: int
    motif: str
    start: int
    end: int
    strand: str
    letters: str


@dataclass(frozen=True)
class Simulation:
    """Simulated sequences.

    ``id`` is a sequence's group and row; ``codes`` uint8 (sequence, position); ``labels`` uint8
    (sequence, task), the tasks in the order of `TASKS`; ``instances`` are by sequence and start.
    """

    id: tuple[str, ...]
    codes: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    instances: tuple[Instance, ...]


def fetch_motifs() -> dict[str, NDArray[np.float64]]:
    """Return the motifs of `MATRICES` from the JASPAR releases in pyjaspar; nothing is downloaded.

    By name, float64 (4, position), probabilities.
    """
    jaspar = pyjaspar.jaspardb()
    motifs = {}
    for name, matrix in MATRICES.items():
        profile = jaspar.fetch_motif_by_id(matrix)
        counts = np.array([profile.counts[base] for base in "ACGT"], dtype=np.float64)
        motifs[name] = counts / counts.sum(axis=0)
    jaspar.conn.close()
    return motifs


def simulate(n: int = 8000, length: int = 200, gc: float = 0.4, seed: int = 0) -> Simulation:
    """Simulate sequences with GATA1 sites, TAL1 sites, both or none, a quarter of them each.

    The rows take turns: none, GATA1 only, TAL1 only, both. A motif that is there has 1 to 3 instances, drawn
    from its PPM, on either strand, at uniform positions, none overlapping another.

    Parameters
    ----------
    n
        Sequences, 1 or more.
    length
        In bases.
    gc
        Fraction of G and C, as many of each, in the background.
    seed
        The same arguments give the same simulation.

    Raises
    ------
    InputError
        If an argument is out of range, or ``length`` too small for six instances.
    """
    motifs = fetch_motifs()
    widest = max(ppm.shape[1] for ppm in motifs.values())
    shortest = _MOST_INSTANCES * len(motifs) * 2 * widest  # so that there is always room for another
    if n < 1 or length < shortest or not 0 <= gc <= 1:
        raise InputError(
            f"cannot simulate {n} sequences of {length} bases with a GC fraction of {gc}",
            remedy=f"give 1 sequence or more, {shortest} bases or more, and a fraction from 0 to 1",
        )
    random = np.random.default_rng(seed)
    background = np.array([(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2])
    codes = _draw_letters(np.broadcast_to(background[:, None], (4, n * length)), random).reshape(n, length)
    groups = [list(GROUPS.items())[row % len(GROUPS)] for row in range(n)]
    instances: list[Instance] = []
    for row, (_, names) in enumerate(groups):
        mean = _MEAN_ALONE if len(names) == 1 else _MEAN_BESIDE
        wanted = [(name, motifs[name]) for name in names for _ in range(_draw_number(mean, random))]
        instances += _embed(wanted, row, codes[row], random)
    ids = tuple(f"{group}_{row}" for row, (group, _) in enumerate(groups))
    labels = [(len(names) == 2, "GATA1" in names, "TAL1" in names) for _, names in groups]
    return Simulation(ids, codes, np.array(labels, dtype=np.uint8), tuple(instances))


def _draw_letters(ppm: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a code for every column of ``ppm`` (4, position); -> uint8 (position,)."""
    reached = ppm.cumsum(axis=0)[:3]
    return (random.random(ppm.shape[1]) >= reached).sum(axis=0).astype(np.uint8)


def _draw_number(mean: float, random: np.random.Generator) -> int:
    """Draw 1, 2 or 3 with the Poisson distribution's odds."""
    odds = np.array([mean**number / math.factorial(number) for number in range(1, _MOST_INSTANCES + 1)])
    return 1 + int((random.random() >= (odds.cumsum() / odds.sum())[:-1]).sum())


def _embed(
    wanted: list[tuple[str, NDArray[np.float64]]],
    row: int,
    codes: NDArray[np.uint8],
    random: np.random.Generator,
) -> list[Instance]:
    """Write an instance of each of ``wanted`` into ``codes`` (position,); return them by start."""
    placed: list[Instance] = []
    for name, ppm in wanted:
        width = ppm.shape[1]
        site = _draw_letters(ppm, random)
        strand = "+-"[int(random.integers(2))]
        start = int(random.integers(len(codes) - width + 1))
        while any(start < other.end and other.start < start + width for other in placed):
            start = int(random.integers(len(codes) - width + 1))
        codes[start : start + width] = site if strand == "+" else reverse_complement_codes(site)
        placed.append(Instance(row, name, start, start + width, strand, decode_letters(site)))
    return sorted(placed, key=lambda instance: instance.start)


tell_apart(__file__, of_models=True)


class DemoModel(nn.Module):
    """The demo's model: (sequence, 4, position) one-hot of 200 bp -> (sequence, 3) logits, in `TASKS`' order.

    The best match of each filter in each 20 bp is added up over the sequence, so that every one of several
    instances counts; the dense layers make "both" of "GATA1" and "TAL1".
    """

    def __init__(self, filters: int = 32, hidden: int = 48) -> None:
        super().__init__()
        self.first = nn.Conv1d(4, filters, kernel_size=15, padding=7)
        self.second = nn.Conv1d(filters, filters, kernel_size=5, padding=2)
        self.pool = nn.MaxPool1d(20)
        self.hidden = nn.Linear(filters, hidden)
        self.logits = nn.Linear(hidden, len(TASKS))

    def forward(self, onehot: Tensor) -> Tensor:
        """Return the logits."""
        matches = torch.relu(self.second(torch.relu(self.first(onehot))))
        total = self.pool(matches).sum(dim=-1)
        return self.logits(torch.relu(self.hidden(total)))


@dataclass(frozen=True)
class TrainDemoSummary:
    """What `train_demo` made: numbers of sequences, and the held-out auROC of each task in `TASKS`' order."""

    n_training: int
    n_held_out: int
    n_written: int
    auroc: tuple[float, ...]

    def __str__(self) -> str:
        scores = ", ".join(f"{score:.3f}" for score in self.auroc)
        return f"trained on {self.n_training} sequences, held-out auROC {scores}"


def train_demo(
    out: Path,
    *,
    seed: int = 0,
    n_training: int = 16000,
    n_held_out: int = 2000,
    n_written: int = 240,
    epochs: int = 10,
) -> TrainDemoSummary:
    """Simulate, train `DemoModel`, and write the demo's data into the folder ``out``.

    Written are ``model.safetensors``; ``sequences.fa.gz``, held-out sequences, most of them with both motifs;
    ``labels.tsv``, ``instances.tsv`` (0-based half-open, ``letters`` along ``strand``) and ``README.md``. The
    same arguments give the same bytes with the same versions on the same kind of machine. torch's random
    state and number of threads are left as they were.

    Parameters
    ----------
    out
        The folder: a new or empty one, or one that an earlier run made, whose files are replaced.
    seed
        Of the simulation (the held-out sequences have the next seed) and the training.
    n_training, n_held_out
        Sequences to train with and to measure the auROC on.
    n_written
        Held-out sequences to write, a multiple of 8: 5 of 8 with both motifs, and 1 of each other group.
    epochs
        Passes over the training sequences.

    Raises
    ------
    InputError
        If ``n_written`` are not among the held-out sequences, or the folder holds something else or cannot
        be written to.
    """
    if n_written < 1 or n_written % 8 or n_written * 5 // 8 > n_held_out // 4:
        raise InputError(
            f"cannot write {n_written} of {n_held_out} held-out sequences",
            remedy="write a multiple of 8 of them, at most two fifths",
        )
    check_folder(out, _KIND, replaced=False)
    check_outputs([out / name for name in _FILES], inputs=[])
    make_folder(out)
    write_text(out / MARK, mark_text(_KIND, _FILES))
    held_out = simulate(n_held_out, seed=seed + 1)
    with threads_of_torch(1):  # sums in another order would give other weights
        model = _train(simulate(n_training, seed=seed), seed=seed, epochs=epochs)
        auroc = _auroc(model, held_out)
    summary = TrainDemoSummary(n_training, n_held_out, n_written, auroc)
    rows = _rows_to_write(n_held_out, n_written)
    with whole_file(out / "model.safetensors") as path:
        path.write_bytes(save(model.state_dict()))  # save_file's file could be read by its owner alone
    _write_sequences(out, held_out, rows)
    write_text(out / "README.md", _readme(summary, seed, epochs))
    return summary


def _train(simulation: Simulation, *, seed: int, epochs: int, batch: int = 128) -> DemoModel:
    """Train on both strands, a random one of the two at each step, with a one-cycle learning rate."""
    onehot = torch.from_numpy(onehot_of_codes(simulation.codes)).float()
    labels = torch.from_numpy(simulation.labels).float()
    random = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = DemoModel()
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=1e-4)
    steps = epochs * -(-len(onehot) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
    for epoch in range(epochs):
        losses = []
        for rows in torch.randperm(len(onehot), generator=random).split(batch):
            turned = torch.rand(len(rows), 1, 1, generator=random) < 0.5
            strand = torch.where(turned, onehot[rows].flip(1, 2), onehot[rows])
            loss = nn.functional.binary_cross_entropy_with_logits(model(strand), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        _LOG.info("epoch %d of %d: training loss %.4f", epoch + 1, epochs, np.mean(losses))
    return model.eval()


def _auroc(model: DemoModel, simulation: Simulation) -> tuple[float, ...]:
    """Return each task's area under the ROC curve."""
    from sklearn.metrics import roc_auc_score  # here, so that loading a DemoModel does not wait for it

    with torch.no_grad():
        logits = model(torch.from_numpy(onehot_of_codes(simulation.codes)).float()).numpy()
    return tuple(roc_auc_score(simulation.labels, logits, average=None).tolist())


def _rows_to_write(n_held_out: int, n_written: int) -> list[int]:
    """The first rows of each group, as many as asked for, in order."""
    eighth = n_written // 8
    wanted = dict.fromkeys(range(len(GROUPS)), eighth) | {list(GROUPS).index("gata1_tal1"): 5 * eighth}
    return [row for row in range(n_held_out) if row // len(GROUPS) < wanted[row % len(GROUPS)]]


def _write_sequences(out: Path, simulation: Simulation, rows: list[int]) -> None:
    """Write sequences.fa.gz, labels.tsv and instances.tsv of some rows of a simulation."""
    records = [f">{simulation.id[row]}\n{decode_letters(simulation.codes[row])}\n" for row in rows]
    labels = ["\t".join(("id", *TASKS))]
    labels += ["\t".join((simulation.id[row], *map(str, simulation.labels[row]))) for row in rows]
    instances = ["\t".join(("id", "motif", "matrix", "start", "end", "strand", "letters"))]
    for instance in simulation.instances:
        if instance.sequence in rows:
            name, matrix = instance.motif, MATRICES[instance.motif]
            place = f"{instance.start}\t{instance.end}\t{instance.strand}\t{instance.letters}"
            instances.append(f"{simulation.id[instance.sequence]}\t{name}\t{matrix}\t{place}")
    with whole_file(out / "sequences.fa.gz") as path:
        # without a time, so that the same sequences are the same bytes
        path.write_bytes(gzip.compress("".join(records).encode("ascii"), mtime=0))
    for name, lines in (("labels.tsv", labels), ("instances.tsv", instances)):
        write_text(out / name, "\n".join(lines) + "\n")


def _readme(summary: TrainDemoSummary, seed: int, epochs: int) -> str:
    """Return the text of README.md."""
    command = "genolift train-demo --out data/demo" + (f" --seed {seed}" if seed else "")
    made_with = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "pyjaspar"))
    rows = "\n".join(f"| {task} | {area:.4f} |" for task, area in zip(TASKS, summary.auroc, strict=True))
    eighth = summary.n_written // 8
    told = {**asdict(summary), "seed": seed, "held_out_seed": seed + 1, "epochs": epochs, **MATRICES}
    told |= {"command": command, "made_with": made_with, "rows": rows, "eighth": eighth, "most": 5 * eighth}
    return (Path(__file__).parent / "README.template.md").read_text(encoding="utf-8").format(**told)
