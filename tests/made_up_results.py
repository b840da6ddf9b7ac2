"""A small made-up analysis folder, in the formats of docs/architecture.md, for tests of what reads one."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import logomaker
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from genolift.files.digests import row_digests, sequence_digests
from genolift.files.hdf5 import as_text
from genolift.files.whole import sha256
from genolift.motifs.method import method_of
from genolift.references.store import Head, add_codes
from genolift.results import store as stored
from genolift.results.step_record import write_record
from genolift.results.store import open_contributions
from genolift.results.store import write_contributions as write
from genolift.settings.motifs import Motifs

N, LENGTH, R = 40, 200, 20
SITES = {"GATA1": ("MA0035.5", "TTATCTGCA"), "TAL1": ("MA0091.2", "ACCATATGTT")}
NASTY = "<script>alert('id')</script>"
MOTIF_COLUMNS = ["motif", "name", "sign", "n_seqlets", "n_hits", "trim_start", "trim_end", "consensus"] + [
    f"match{rank}{end}" for rank in (1, 2, 3) for end in ("", "_name", "_qvalue", "_pvalue", "_strand")
]
PROVENANCE = {
    "genolift": "0.1.0",
    "torch": "2.13.0",
    "python": "3.11.2",
    "model": "models/demo.pt2",
    "model_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "model_class": "genolift.demo.simulate.DemoModel",
    "model_arguments": {"n_filters": 32},
    "target": "GATA1",
    "rule": "genomics-default",
    "reference_kind": "dinucleotide_shuffle",
    "reference_number": R,
    "reference_seed": 7,
    "device": "cpu",
    "precision": "float32",
    "tolerance": 1e-3,
    "seconds": 12.4,
}

INSPECTED = {
    "format": "genolift-inspection",
    "version": 1,
    **{key: value for key, value in PROVENANCE.items() if key.startswith("model")},
    "kind": "PyTorch module DemoModel",
    "inputs": [
        {"name": "onehot", "shape": [4, 200], "axes": "bases,length"},
        {"name": "library", "shape": [13], "axes": None},
    ],
    "length": {"bases": 200, "smallest": 200, "largest": 200, "found": "the model"},
    "outputs": [{"name": "", "shape": [3], "target": "0", "others": "0 to 2: GATA1, TAL1, both"}],
    "heads": [],
    "tasks": ["GATA1", "TAL1", "both"],
    "target": "GATA1",
    "rule": "genomics-default",
    "weights": {
        "parameters": 32505,
        "buffers": 0,
        "bytes": 130020,
        "dtypes": [["float32", 32505]],
        "sha256": "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
    },
    "final_activation": "sigmoid",
    "stepped_over": True,
    "receptive_field": {"bases": 29, "of": "before the global pooling", "at_least": False},
    "operations": [
        {"kind": "linear (convolution)", "rule": "transpose", "operation": "convolution", "number": 2},
        {"kind": "elementwise", "rule": "Rescale", "operation": "relu", "number": 2},
    ],
    "plan": [
        {
            "value": f"relu_{number}",
            "layer": f"blocks.{number}.activation",
            "operation": "relu",
            "kind": "elementwise",
            "rule": "Rescale",
            "why": "fed by a convolution",
            "line": "model.py:24 `h = h + F.relu(self.block2(F.dropout(h, <p>, self.training)))`",
        }
        for number in range(30)
    ],
    "refused": [],
    "notes": [],
}


def write_inspection(folder: Path, name: str = "model", **changed: object) -> None:
    """Write the result of `genolift inspect` for a model."""
    (folder / "inspection").mkdir(exist_ok=True)
    (folder / "inspection" / f"{name}.json").write_text(json.dumps(INSPECTED | changed))


def write_table(path: Path, frame: pd.DataFrame) -> None:
    frame.to_csv(path, sep="\t", index=False)


def make_results(folder: Path, *, windows: bool = True, motifs: bool = True) -> Path:
    """Make an analysis folder in the formats of docs/architecture.md: record 3 is dropped."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(1)
    table = pd.DataFrame({"key": range(N + 1), "id": [f"peak_{key}" for key in range(N + 1)]})
    table.loc[0, "id"] = NASTY
    table["chrom"] = "chr22" if windows else ""
    table["start"] = 16_000_000 + 1000 * table["key"] if windows else ""
    table["end"] = table["start"] + LENGTH if windows else ""
    table["strand"] = np.where(table["key"] % 2 == 1, "-", "+") if windows else "."
    table = table.assign(length=LENGTH, gc=0.42, n_count=0, kept="true", reason="")
    table.loc[3, ["kept", "reason"]] = ["false", "has 150 bases, not 200"]
    write_table(folder / "sequences.tsv", table)
    kept = table[table["kept"] == "true"].reset_index(drop=True)
    placed = write_contributions(folder, kept, random)
    write_motifs(folder, kept, placed, motifs=motifs)
    write_logos(folder, kept, placed, motifs=motifs)
    write_inspection(folder)
    write_records(folder)
    return folder


def write_records(folder: Path) -> None:
    """Record that the tables and pictures, as they are, were made from these contributions."""
    with open_contributions(folder / "contributions.h5") as store:
        here = {"contributions.h5": store.digest, "sequences.tsv": sha256(folder / "sequences.tsv")}
    told = {b"genolift": json.dumps({"made_from": {"contributions.h5": here["contributions.h5"]}})}
    pq.write_table(pa.table({"key": [0]}).replace_schema_metadata(told), folder / "per_base.parquet")
    aggregated = {"per_sequence.tsv": folder / "per_sequence.tsv"}
    write_record(folder / "aggregate.json", "aggregate", here, aggregated)
    names = ("motifs.h5", "motifs.tsv", "motif_matrices.tsv", "seqlets.tsv", "hits.bed.gz")
    write_record(folder / "motifs.json", "motifs", here, {name: folder / name for name in names})
    drawn = ("per_sequence.tsv", "motifs.tsv", "motif_matrices.tsv")
    here |= {name: sha256(folder / name) for name in drawn}
    pictures = {file.name: file for file in (folder / "logos").iterdir() if file.name != "logos.json"}
    write_record(folder / "logos" / "logos.json", "logos", here, pictures)


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    """Rewrite contributions.h5 with changed rows and provenance, as if it had been written so."""
    with open_contributions(path) as store:
        block = {name: store[name][:] for name in store.layout}
        told, head = dict(store.provenance), store.head
    change(block, told)
    write(path, replace(head, provenance=told), iter([block]))


def tell(path: Path, **provenance: object) -> None:
    """Change the provenance of contributions.h5, as if it had been written so."""
    rewrite(path, lambda block, told: told.update(provenance))


def write_contributions(folder: Path, kept: pd.DataFrame, random: np.random.Generator) -> np.ndarray:
    """Write contributions.h5, references.h5 and per_sequence.tsv; return where each site begins."""
    codes = random.integers(0, 4, (N, LENGTH))
    placed = random.normal(95, 20, N).astype(int).clip(10, 180)
    strength = random.gamma(4, 0.4, N)
    scores = random.normal(0, 0.01, (N, LENGTH))
    for row, start in enumerate(placed):
        site = list(SITES.values())[row % 2][1]
        codes[row, start : start + len(site)] = ["ACGT".index(base) for base in site]
        scores[row, start : start + len(site)] += strength[row] / len(site)
    onehot = np.eye(4, dtype=np.int8)[codes].transpose(0, 2, 1)
    reference_output = random.normal(-1, 0.2, (N, R))
    output = scores.sum(1) + reference_output.mean(1)
    error = np.abs(random.normal(0, 1e-6, (N, R)))
    projected = (onehot * scores[:, None]).astype("f4")
    block = {
        "raw/seq": onehot,
        "shap/seq": projected,
        "projected_shap/seq": projected,
        "genolift/key": kept["key"].to_numpy(dtype="i8"),
        "genolift/id": kept["id"].to_numpy(),
        "genolift/output": output.astype("f4"),
        "genolift/reference_output": reference_output.astype("f4"),
        "genolift/convergence_error": error.astype("f4"),
        "genolift/standard_error": np.full((N, LENGTH), 0.004, dtype="f4"),
    }
    digests = sequence_digests(block["genolift/key"], kept["id"], codes.astype("u1"))
    shuffles = np.repeat(codes[:, None].astype("u1"), R, axis=1)
    block |= {
        "genolift/sequence_digest": digests,
        "genolift/reference_digest": row_digests(digests, shuffles),
    }
    with h5py.File(folder / "references.h5", "w") as file:
        told = {"kind": "dinucleotide_shuffle", "number": R, "seed": 7, "provenance": {"genolift": "0.1.0"}}
        add_codes(file, Head(block["genolift/key"], digests, **told), LENGTH, [shuffles])
        references = as_text(file.attrs["digest"])
    given = {
        "references_digest": references,
        "sequences_table_sha256": sha256(folder / "sequences.tsv"),
    }
    head = stored.Head(n=N, length=LENGTH, r=R, provenance=PROVENANCE | given, chromosomes={})
    write(folder / "contributions.h5", head, iter([block]))
    peak = np.abs(scores).argmax(1)
    scored = kept[["key", "id", "chrom", "start", "end", "strand"]].assign(
        output=output,
        reference_output_mean=reference_output.mean(1),
        reference_output_sd=reference_output.std(1, ddof=1),
        contribution_sum=scores.sum(1),
        convergence_error_max=error.max(1),
        convergence_error_relative_max=error.max(1) / np.abs(scores.sum(1)),
        standard_error_mean=0.004,
        peak_position=peak,
        peak_base=[("ACGT")[codes[row, at]] for row, at in enumerate(peak)],
        peak_contribution=scores[np.arange(N), peak],
    )
    write_table(folder / "per_sequence.tsv", scored)
    np.save(folder / "scores.npy", onehot * scores[:, None])
    return placed


def write_motifs(folder: Path, kept: pd.DataFrame, placed: np.ndarray, *, motifs: bool) -> None:
    """Write motifs.h5 and the tables of motifs, seqlets and hits, with one seqlet at each site."""
    names = ["pos_patterns.pattern_0", "neg_patterns.pattern_0"]
    seqlets = kept[["key", "id", "chrom", "strand"]].copy()
    windows = bool(kept["chrom"].iloc[0])
    seqlets["motif"] = [names[row % 2] if motifs else "" for row in range(N)]
    seqlets["start"], seqlets["end"] = placed, placed + 10
    offset = kept["start"].astype(int) if windows else 0
    turned = kept["strand"] == "-"
    starts = np.where(turned, offset + LENGTH - placed - 10, offset + placed)
    seqlets["genome_start"], seqlets["genome_end"] = (starts, starts + 10) if windows else ("", "")
    seqlets["contribution"] = np.linspace(2, 0.5, N) * np.where(np.arange(N) % 2, -1, 1)
    seqlets["windows"], seqlets["site"] = 1, range(N)
    for column, value in (("match1", "MA0139.2"), ("match1_name", "CTCF"), ("match1_pvalue", "2.1e-07")):
        seqlets[column] = ["" if motifs or row >= 22 else value for row in range(N)]
    seqlets.loc[[0, 1], "match1_name"] = seqlets.loc[[0, 1], "match1_name"].replace("CTCF", "CTCFL")
    write_table(folder / "seqlets.tsv", seqlets)
    rows = []
    for number, (name, (accession, site)) in enumerate(SITES.items()):
        matches = [
            accession,
            name,
            1.2e-5,
            3e-8,
            "+",
            "MA0140.3",
            "GATA1::TAL1",
            0.004,
            1e-5,
            "-",
            "",
            "",
            "",
            "",
            "",
        ]
        rows.append(
            [names[number], name, ("pos", "neg")[number], N // 2, N // 2, 8, 8 + len(site), site, *matches]
        )
    write_table(folder / "motifs.tsv", pd.DataFrame(rows if motifs else [], columns=MOTIF_COLUMNS))
    write_table(folder / "motif_matrices.tsv", pd.DataFrame(columns=["motif", "kind", "position", *"ACGT"]))
    lines = []
    for row, (key, start) in enumerate(zip(kept["key"], starts, strict=True)):
        chrom = "chr22" if windows else kept["id"][row]
        strand = "-" if turned[row] else "+"
        lines.append(
            f"{chrom}\t{start}\t{start + 10}\tsite\t900\t{strand}\t{names[row % 2]}\t0.9\t0.5\t2\t1\t{key}\n"
        )
    with gzip.open(folder / "hits.bed.gz", "wt") as file:
        file.writelines(lines if motifs else [])
    with h5py.File(folder / "motifs.h5", "w") as file:
        file.attrs["provenance"] = json.dumps(
            {
                "modisco-lite": "3.0.0",
                "finemo": "0.41",
                "pyjaspar": "4.0.0",
                "database": "JASPAR2026 CORE vertebrates",
                **method_of(Motifs()).provenance,
            }
        )
        file.attrs["note"] = (
            "" if motifs else "25 seqlets are too few for TF-MoDISco, which asks for 100 of a kind."
        )


def write_logos(folder: Path, kept: pd.DataFrame, placed: np.ndarray, *, motifs: bool) -> None:
    """Draw a plain version of every logo that the index names."""
    (folder / "logos").mkdir()
    rows: list[list[str]] = []

    def draw(matrix: np.ndarray, size: tuple[float, float], *row: str) -> None:
        stem = f"{row[0]}_{len(rows)}"
        logo = logomaker.Logo(pd.DataFrame(matrix, columns=list("ACGT")), figsize=size, show_spines=False)
        logo.ax.axhline(0, color="#888888", linewidth=0.5)
        for suffix in ("png", "svg"):
            logo.ax.figure.savefig(folder / "logos" / f"{stem}.{suffix}", dpi=80, bbox_inches="tight")
        plt.close(logo.ax.figure)
        rows.append([*row, f"{stem}.png", f"{stem}.svg", "0.9" if row[0] == "sequence" else ""])

    for number, (_, site) in enumerate(SITES.values()) if motifs else ():
        name = ("pos_patterns.pattern_0", "neg_patterns.pattern_0")[number]
        onehot = np.eye(4)[["ACGT".index(base) for base in site]]
        signed = onehot * np.linspace(0.4, 1, len(site))[:, None] * (1 - 2 * number)
        for orientation, matrix, values in (
            ("forward", "cwm", signed),
            ("reverse", "cwm", signed[::-1, ::-1]),
            ("forward", "hcwm", signed - signed.mean(1, keepdims=True)),
            ("forward", "ppm", onehot * 1.6),
        ):
            draw(values, (5, 1.5), "motif", name, orientation, matrix)
    scores = np.load(folder / "scores.npy")
    (folder / "scores.npy").unlink()
    for row in (0, 6):  # of one strand and of the other
        draw(scores[row].T[60:140], (14, 1.6), "sequence", str(kept["key"][row]), "forward", "contribution")
    write_table(
        folder / "logos" / "index.tsv",
        pd.DataFrame(rows, columns=["kind", "name", "orientation", "matrix", "png", "svg", "focus"]),
    )
