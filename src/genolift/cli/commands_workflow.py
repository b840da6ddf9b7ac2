"""The commands around the workflow: train-demo and check-config."""

from __future__ import annotations

from pathlib import Path

from genolift.cli.command import command
from genolift.settings.types import Seed


@command()
def train_demo(out: Path, seed: Seed = 0) -> None:
    """Simulate the paper's sequences and train the demo's model on them.

    Parameters
    ----------
    out
        folder to write to
    seed
        seed of the sequences and of the weights

    Example
    -------
    genolift train-demo --out data/demo
    """
    from genolift.demo.simulate import train_demo

    summary = train_demo(out, seed=seed)
    scores = ", ".join(f"{score:.3f}" for score in summary.auroc)
    print(f"trained on {summary.n_training} sequences, held-out auROC {scores}: {out}")


@command(positional="config")
def check_config(config: Path) -> None:
    """Check a workflow's config and say what it would run.

    Parameters
    ----------
    config
        the config's file

    Example
    -------
    genolift check-config config/config.yaml
    """
    from genolift.settings.config import check_config_file

    for line in check_config_file(config):
        print(line)
