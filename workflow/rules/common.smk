# The checked config, and the files and settings of each step derived from it. No rules.
import os
import re
import sys
from functools import cache
from pathlib import Path

from genolift.cli.all_targets import with_all_targets
from genolift.cli.asked import asked, references_of
from genolift.cli.handed import handed
from genolift.cli.shared import SHARED, shared_key
from genolift.settings.config import resolve_config
from genolift.settings.reading import with_command_line
from genolift.settings.workflow import by_target, final_files, final_names, whole_of

HERE = f"{Path.cwd()}{os.sep}"
CONFIG_FILES = [str(file).removeprefix(HERE) for file in workflow.configfiles]
COMMAND_LINE = workflow.config_settings.config_args or []
for config_file in CONFIG_FILES:
    check_yaml(config_file)
IN_CONFIG = " and ".join([*CONFIG_FILES, *(["--config"] if COMMAND_LINE else [])])
with mistakes_in_one_line():
    # Snakemake reads every number inside a value of --config as text.
    CONFIG = resolve_config(with_command_line(config, COMMAND_LINE), where=IN_CONFIG)
    ANALYSES = with_all_targets(CONFIG.analyses, CONFIG.results, IN_CONFIG)
# What follows attribute is run for each target. With several, the wildcard is then the folder of one of them,
# mine/targets/gata1, in place of that of the analysis.
BY_TARGET = by_target(ANALYSES)
EVERY = ANALYSES | BY_TARGET
# Analyses of the same sequences, and with the same references, share them.
KEYS = {
    name: {
        "sequences": shared_key(each, "encode"),
        "references": shared_key(each, "reference"),
    }
    for name, each in ANALYSES.items()
}

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


def targets_with(genome, models):
    """The wildcard's pattern for the targets of one kind of aggregate rule."""
    return any_of(
        name
        for name, each in BY_TARGET.items()
        if (each.sequences.on_genome, len(each.models) > 1) == (genome, models)
    )


wildcard_constraints:
    analysis=any_of(ANALYSES),
    model=any_of({name for each in ANALYSES.values() for name in each.models}),
    shard=r"\d+",
    shards=r"\d+",
    sequences="[0-9a-f]{16}",
    references="[0-9a-f]{16}",


def of_analysis(file):
    """The path of one of an analysis's files, with the wildcard in it."""
    return os.path.normpath(f"{CONFIG.results}/{{analysis}}/{file}")


def shared(file):
    """The path of a file that analyses share, with the wildcards in it."""
    return os.path.normpath(f"{CONFIG.results}/{SHARED}/{{sequences}}/{file}")


def of_shared(file):
    """The file that an analysis shares."""
    return lambda wildcards: shared(file).format(**KEYS[wildcards.analysis])


def link_to(file):
    """Where the link to a shared file in an analysis's folder points. It does not take ``input``, since Snakemake
    would then not compare it with earlier runs, and miss that the analysis has other sequences now.
    """
    return lambda wildcards: os.path.relpath(
        of_shared(file)(wildcards), f"{CONFIG.results}/{wildcards.analysis}"
    )


def of_whole(file):
    """The same file for all targets of an analysis."""
    return lambda wildcards: of_analysis(file).format(
        analysis=whole_of(wildcards.analysis)[0]
    )


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


def name_of(wildcards):
    """The analysis or target that a job is for; of what is shared, the first analysis of those."""
    if "analysis" in wildcards.keys():
        return wildcards.analysis
    return next(
        name for name, keys in KEYS.items() if {*wildcards.items()} <= keys.items()
    )


def settings(wildcards):
    return EVERY[name_of(wildcards)]


@cache  # all shards get the same
def handed_to(command, analysis, model):
    return handed(EVERY[analysis], command, model)


def settings_of(command):
    """The settings that determine the command's result, as JSON."""
    return lambda wildcards: handed_to(
        command, name_of(wildcards), wildcards.get("model")
    )[0]


def cost_of(step, resource):
    """What a step's job asks for, of ``mem_mb`` and ``runtime``: see docs/costs.md."""
    return lambda wildcards, input, attempt: asked(
        step, settings(wildcards) if wildcards else None, input, attempt
    )[resource]


def files_of(*sections):
    """The files named in these sections of the settings."""
    return lambda wildcards: [
        file for name in sections for file in getattr(settings(wildcards), name).files
    ]


def files_of_models(wildcards):
    """The files of the model that a rule runs, or of all models."""
    return model_files(name_of(wildcards), wildcards.get("model"))


@cache
def model_files(analysis, model):
    models = ANALYSES[analysis].models
    named = [models[model]] if model else models.values()
    return sorted({file for each in named for file in each.files})


def stored_references(wildcards):
    """The file of the references, where they are stored and not made again in every job."""
    stored = settings(wildcards).references.stored
    return [of_whole("references.h5")(wildcards)] if stored else []


def shards(wildcards):
    """The shards of every model: files, or with several targets folders of a file for each."""
    name, slug = whole_of(wildcards.analysis)
    return expand(
        rules.attribute_targets.output if slug else rules.attribute.output,
        analysis=name,
        model=ANALYSES[name].models,
        shard=range(ANALYSES[name].attribution.shards),
        shards=ANALYSES[name].attribution.shards,
    )


def files_of_shards(wildcards, input):
    """The files of a target's contributions."""
    slug = whole_of(wildcards.analysis)[1]
    return [f"{shard}/{slug}.h5" if slug else shard for shard in input.shards]
