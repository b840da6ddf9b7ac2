"""The time of one whole `genolift attribute` process, over that of the engine alone on the same sequences.

    python benchmarks/end_to_end.py --sequences 1000 --references 20

The engine alone is `Explainer.explain` in this process, with its model captured and its references in memory.
Both choose their own batch size. Sequences, references and weights are made in a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from machine import machine
from measure import said
from models import BPNetShaped, random_onehot, with_statistics
from timing import interleaved, median_ratio
from torch import Tensor

from genolift.data.alphabet import codes_of_onehot, decode_letters, onehot_of_codes
from genolift.data.stored_sequences import read_sequences
from genolift.explain.attribution import Explainer
from genolift.references.store import open_references

LENGTH = 2114


def genolift_command(*arguments: object) -> float:
    """Run a `genolift` process and return its seconds; if it fails, exit with its code."""
    start = time.perf_counter()
    words = [sys.executable, "-m", "genolift", *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"genolift {arguments[0]} failed:\n{done.stderr}")
    return time.perf_counter() - start


def make_files(folder: Path, sequences: int, references: int) -> dict[str, float]:
    """Write sequences.h5, references.h5 and weights.pt; return the seconds of the steps that write them."""
    onehot = random_onehot(sequences, LENGTH)
    records = (
        f">sequence_{number}\n{decode_letters(codes)}\n"
        for number, codes in enumerate(codes_of_onehot(onehot.numpy()))
    )
    (folder / "sequences.fa").write_text("".join(records))
    torch.manual_seed(0)
    torch.save(with_statistics(BPNetShaped()).state_dict(), folder / "weights.pt")
    store = folder / "sequences.h5"
    encoding = genolift_command(
        *("encode", "--fasta", folder / "sequences.fa", "--table", folder / "sequences.tsv", "--out", store)
    )
    shuffling = genolift_command(
        *("reference", "--sequences", store, "--kind", "dinucleotide_shuffle", "--number", references),
        *("--out", folder / "references.h5"),
    )
    return {"encode": encoding, "reference": shuffling}


def attribute_process(folder: Path, rule: str, device: str) -> None:
    """Run the whole attribute step from scratch in its own process."""
    out = folder / "contributions.h5"
    out.unlink(missing_ok=True)
    genolift_command(
        *("attribute", "--sequences", folder / "sequences.h5", "--references", folder / "references.h5"),
        *(
            "--model",
            folder / "weights.pt",
            "--model-class",
            f"{Path(__file__).parent / 'models.py'}:BPNetShaped",
        ),
        *("--rule", rule, "--device", device, "--out", out),
    )


def held_tensors(folder: Path) -> tuple[Tensor, Tensor]:
    """Return the sequences (n, 4, length) and references (n, r, 4, length) of the files."""
    stored = read_sequences(folder / "sequences.h5")
    with open_references(folder / "references.h5") as compared:
        references = torch.from_numpy(compared.onehot(0, len(stored.key)))
    return torch.from_numpy(onehot_of_codes(stored.codes)).float(), references


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sequences", type=int, default=1000)
    parser.add_argument("--references", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=1, help="of process and engine in turn (1)")
    parser.add_argument("--rule", default="rescale")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--json", type=Path, help="also write the result here")
    a = parser.parse_args()
    device = torch.device(a.device)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        said(f"making {a.sequences} sequences of {LENGTH} bp and {a.references} references of each")
        before = make_files(folder, a.sequences, a.references)
        sequences, references = held_tensors(folder)
        model = with_statistics(BPNetShaped())
        model.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
        explainer = Explainer(model, sequences[:1], rule=a.rule, device=device)
        explainer.explain(sequences[:8], references[:8])
        said(f"{a.rounds} rounds of the process and of the engine alone")
        times = interleaved(
            {
                "process": lambda: attribute_process(folder, a.rule, a.device),
                "engine": lambda: explainer.explain(sequences, references),
            },
            a.rounds,
            device,
        )
    ratio = median_ratio(times["process"], times["engine"])
    process, engine = (statistics.median(times[name]) for name in ("process", "engine"))
    print(", ".join(f"{key} {value}" for key, value in machine(device).items()))
    print(
        f"{a.sequences} sequences x {a.references} references, {a.rule}: attribute process {process:.1f} s, "
        f"engine alone {engine:.1f} s, ratio {ratio:.3f} (bar: at most 1.1); before it, encode "
        f"{before['encode']:.1f} s and reference {before['reference']:.1f} s"
    )
    if a.json:
        a.json.write_text(json.dumps({"seconds": times, "ratio": ratio, "before": before}, indent=1) + "\n")


if __name__ == "__main__":
    main()
