"""Subcommands around the workflow: train-demo and check-config. Exit nowhere."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from genolift.cli.subcommand import add_command
from genolift.settings import values


def add_train_demo(commands: Any) -> None:
    """Add ``genolift train-demo``."""

    def run(a: argparse.Namespace) -> None:
        from genolift.demo.simulate import train_demo

        summary = train_demo(a.out, seed=a.seed)
        scores = ", ".join(f"{score:.3f}" for score in summary.auroc)
        print(f"trained on {summary.n_training} sequences, held-out auROC {scores}: {a.out}")

    parser = add_command(
        commands,
        "train-demo",
        run,
        "Simulate the paper's sequences and train the demo's model on them.",
        "genolift train-demo --out data/demo",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--seed", type=values.as_config("references.seed"), default=0)


def add_check_config(commands: Any) -> None:
    """Add ``genolift check-config``."""

    def run(a: argparse.Namespace) -> None:
        from genolift.settings.config import check_config_file

        for line in check_config_file(a.config):
            print(line)

    parser = add_command(
        commands,
        "check-config",
        run,
        "Check a workflow's config and say what it would run.",
        "genolift check-config config/config.yaml",
    )
    parser.add_argument("config", type=Path)
