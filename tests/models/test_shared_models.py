"""Every real Keras model available, as its author saved it, runs through snakemake to exact contributions.

The CTCF and the yeast model are run up to their motifs in `test_real_data`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml
from workflows import snakemake

N, R = 3, 2
APARENT2 = """
import torch


def aparent_expand_lib(x):
    return x[:, None, None, :].tile(1, 1, 206, 1)


def aparent_extend_tensor(x):
    return torch.cat([x, torch.zeros_like(x[:, :, :1])], 2)


def lambda_57(x):
    return x[:, 0, :, 0].softmax(-1)


def lambda_58(cuts):
    return cuts[:, 80:110].sum(-1, keepdim=True)


LAYERS = {"lambda_*": torch.relu, "aparent_*": lambda x: x[0] + x[1]}
"""
FRAMEPOOL = '''
def FrameSliceLayer(x):
    """Every third position, in each of the three frames."""
    return [x[:, frame::3] for frame in range(3)]
'''


def analyses(shared: Path, folder: Path) -> dict[str, Any]:
    """Return an analysis for each model, on random sequences of its length, and write their files."""
    keras, paper = shared / "keras", shared / "paper"
    (folder / "aparent2_layers.py").write_text(APARENT2)
    (folder / "framepool_layers.py").write_text(FRAMEPOOL)
    rows = [f"s{row}\t" + "\t".join(str(float(row == column)) for column in range(13)) for row in range(N)]
    columns = "\t".join(f"library_{column}" for column in range(13))
    (folder / "libraries.tsv").write_text("\n".join([f"id\t{columns}", *rows]) + "\n")
    of_length: dict[str, tuple[int, dict[str, Any]]] = {
        "paper": (200, {"model": {"path": paper / "model.json", "weights": paper / "model_weights.h5"}}),
        "donor": (18, {"model": {"path": keras / "Donor.h5"}}),
        "intron3": (90, {"model": {"path": keras / "Intron3.h5"}}),
        "acceptor": (53, {"model": {"path": keras / "Acceptor.h5"}}),
        "framepool": (
            50,
            {"model": {"path": keras / "framepool_fixed_size.h5", "custom_layers": "framepool_layers.py"}},
        ),
        "dragonn": (
            1000,
            {
                "model": {
                    "path": keras / "multi_layer_dragonn.arch.json",
                    "weights": keras / "multi_layer_dragonn.weights.h5",
                }
            },
        ),
        "aparent2": (
            205,
            {
                "model": {"path": keras / "aparent2.h5", "custom_layers": "aparent2_layers.py"},
                "extra_inputs": [{"table": "libraries.tsv"}],
                "target": "lambda_57[77]",
            },
        ),
    }
    random, made = np.random.default_rng(0), {}
    for name, (length, analysis) in of_length.items():
        letters = ["".join(random.choice(list("ACGT"), length)) for _ in range(N)]
        (folder / f"{name}.fa").write_text("".join(f">s{row}\n{text}\n" for row, text in enumerate(letters)))
        model = {key: str(value) for key, value in analysis["model"].items()}
        # if the length is given, encode need not read the model; check and attribute verify it
        sequences = {"fasta": f"{name}.fa", **({} if name == "paper" else {"length": length})}
        made[name] = {**analysis, "model": model, "sequences": sequences}
    return made


@pytest.mark.slow
def test_every_keras_model_runs_through_snakemake_and_is_exact(shared: Path, tmp_path: Path) -> None:
    made = analyses(shared, tmp_path)
    defaults = {"references": {"number": R}, "attribution": {"device": "cpu", "tolerance": 1e-4}}
    (tmp_path / "my.yaml").write_text(yaml.safe_dump({"defaults": defaults, "analyses": made}))
    wanted = [f"results/{name}/per_sequence.tsv" for name in made]
    code, said = snakemake(*wanted, "--cores", "2", "--configfile", "my.yaml", folder=tmp_path)
    assert code == 0, said
    for name in made:
        results = tmp_path / "results" / name
        table = pd.read_csv(results / "per_sequence.tsv", sep="\t")
        assert len(table) == N
        assert table["convergence_error_relative_max"].max() < 1e-4, name
        with h5py.File(results / "contributions.h5") as file:
            assert np.abs(file["projected_shap/seq"][:]).sum() > 0, name
            assert file["genolift/reference_output"].shape == (N, R)
