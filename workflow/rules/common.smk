# The checked config, and the files and settings of each step derived from it. No rules.
import os
import re
import sys
from functools import cache
from pathlib import Path

from genolift.cli.asked import asked
from genolift.cli.handed import handed
from genolift.settings.config import resolve_config
from genolift.settings.reading import with_command_line
from genolift.settings.workflow import final_files

HERE = f"{Path.cwd()}{os.sep}"
CONFIG_FILES = [str(file).removeprefix(HERE) for file in workflow.configfiles]
COMMAND_LINE = workflow.config_settings.config_args or []
for config_file in CONFIG_FILES:
    check_yaml(config_file)
with mistakes_in_one_line():
    # Snakemake reads every number inside a value of --config as text.
    CONFIG = resolve_config(
        with_command_line(config, COMMAND_LINE),
        where=" and ".join([*CONFIG_FILES, *(["--config"] if COMMAND_LINE else [])]),
    )
ANALYSES = CONFIG.analyses

# `genolift` from the activated environment, or else from the one that snakemake runs in. With pipefail a step's exit
# code is that of genolift, not of tee, which shows the log in the terminal. Ctrl-C in the terminal reaches all
# processes: tee ignores it, so that it can still write genolift's last line.
shell.executable("bash")
shell.prefix(
    f'set -euo pipefail; export PATH="$PATH:{Path(sys.executable).parent}"; '
    'logged() ( trap "" INT TERM HUP; exec tee "$1" ); '
)


def any_of(names):
    """The wildcard's pattern for these names; if there are none, one that matches nothing."""
    return "|".join(map(re.escape, sorted(names))) or "(?!)"


def analyses_with(genome, models):
    """The wildcard's pattern for the analyses of one kind of aggregate rule."""
    return any_of(
        name
        for name, each in ANALYSES.items()
        if (each.sequences.on_genome, len(each.models) > 1) == (genome, models)
    )


wildcard_constraints:
    analysis=any_of(ANALYSES),
    model=any_of({name for each in ANALYSES.values() for name in each.models}),
    shard=r"\d+",
    shards=r"\d+",


def of_analysis(file):
    """The path of one of an analysis's files, with the wildcard in it."""
    return os.path.normpath(f"{CONFIG.results}/{{analysis}}/{file}")


def aggregated():
    """The files that the aggregate step writes for every analysis."""
    tables = {"contributions": "contributions.h5", "per_sequence": "per_sequence.tsv"}
    shown = {"category": "{analysis}", "subcategory": "Contributions"}
    return {
        "record": of_analysis("aggregate.json"),
        **{
            name: report(of_analysis(file), caption=f"../report/{name}.rst", **shown)
            for name, file in tables.items()
        },
    }


def settings(wildcards):
    return ANALYSES[wildcards.analysis]


@cache  # all shards get the same
def handed_to(command, analysis, model):
    return handed(ANALYSES[analysis], command, model)


def settings_of(command):
    """The settings that determine the command's result, as JSON."""
    return lambda wildcards: handed_to(
        command, wildcards.analysis, wildcards.get("model")
    )[0]


def cost_of(step, resource):
    """What a step's job asks for, of ``mem_mb`` and ``runtime``: see docs/costs.md."""
    return lambda wildcards, input, attempt: asked(
        step, ANALYSES.get(wildcards.get("analysis")), input, attempt
    )[resource]


def files_of(*sections):
    """The files named in these sections of the settings."""
    return lambda wildcards: [
        file for name in sections for file in getattr(settings(wildcards), name).files
    ]


def files_of_models(wildcards):
    """The files of the model that a rule runs, or of all models."""
    return model_files(wildcards.analysis, wildcards.get("model"))


@cache
def model_files(analysis, model):
    models = ANALYSES[analysis].models
    named = [models[model]] if model else models.values()
    return sorted({file for each in named for file in each.files})


def stored_references(wildcards):
    """The file of the references, where they are stored and not made again in every job."""
    stored = settings(wildcards).references.stored
    return [of_analysis("references.h5")] if stored else []


def of_each_model(file):
    """A file for each model of an analysis, and for each shard if the file's name has one."""
    return lambda wildcards: expand(
        file,
        analysis=wildcards.analysis,
        model=settings(wildcards).models,
        shard=range(settings(wildcards).attribution.shards),
        shards=settings(wildcards).attribution.shards,
    )
