"""The commands that no rule of the workflow calls, written as those in `genolift.cli.commands`."""

from pathlib import Path

from genolift.cli.command import command
from genolift.settings.of_commands import COMPARED, Comparison
from genolift.settings.sections import EXPLAINED, EXTRAS, Settings
from genolift.settings.types import Seed


@command("model", *EXTRAS, "tracks", *EXPLAINED[:2], *(f"attribution.{key}" for key in COMPARED))
def compare(
    settings: Settings, sequences: Path, references: Path, out: Path, comparison: Comparison
) -> object:
    """Run several methods on one input: how they agree, what they cost and, where it is known, how well they
    find the motifs.

    Parameters
    ----------
    sequences
        sequences.h5
    references
        references.h5
    out
        folder to write to
    comparison
        what is compared

    Example
    -------
    genolift compare --sequences sequences.h5 --references references.h5 --model weights.pt
    --model-class model.py:Model --methods genomics-default,rescale --out compared
    """
    from genolift.compare.methods import compare

    return compare(settings, comparison, sequences=sequences, references=references, out=out)


@command("model", *EXTRAS, "tracks")
def export(settings: Settings, out: Path) -> object:
    """Write a model as an exported program, which runs with no source file.

    Parameters
    ----------
    out
        the exported program to write, .pt2

    Example
    -------
    genolift export --model weights.pt --model-class model.py:Model --input-length 400 --out model.pt2
    """
    from genolift.steps.export import write_program

    return write_program(settings.the_model, out, settings.extras)


@command("model", *EXTRAS, "tracks", *EXPLAINED)
def plan(settings: Settings, check: bool = False) -> object:
    """Show what each operation of a model is and which rule it gets.

    Parameters
    ----------
    check
        also compare each operation's in- and outgoing contributions, on random sequences in float64

    Example
    -------
    genolift plan --model weights.pt --model-class model.py:Model --input-length 400
    """
    from genolift.steps.plan import plan_model

    return plan_model(settings, check=check)


@command()
def train_demo(out: Path, seed: Seed = 0) -> object:
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

    return train_demo(out, seed=seed)


@command(positional="config")
def check_config(config: Path) -> object:
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

    return "\n".join(check_config_file(config))
