# The checked config, and from it the files and the command-line flags of each step. No rules.
import json
import os
import re
import shlex
import sys
from pathlib import Path

from genolift.settings.config import resolve_config
from genolift.settings.reading import with_command_line
from genolift.settings.database import jaspar_group
from genolift.settings.extra_inputs import as_given
from genolift.settings.model import is_rna

HERE = f"{Path.cwd()}{os.sep}"
CONFIG_FILES = [str(file).removeprefix(HERE) for file in workflow.configfiles]

for config_file in CONFIG_FILES:
    check_yaml(config_file)
COMMAND_LINE = workflow.config_settings.config_args or []
with mistakes_in_one_line():
    # Snakemake takes every number within a value of --config for text.
    CONFIG = resolve_config(
        with_command_line(config, COMMAND_LINE),
        where=" and ".join([*CONFIG_FILES, *(["--config"] if COMMAND_LINE else [])]),
    )

ANALYSES = CONFIG.analyses
WITH_GENOME = [name for name in ANALYSES if ANALYSES[name].sequences.bed]
WITH_MODELS = [name for name in ANALYSES if len(ANALYSES[name].models) > 1]

# `genolift` of the activated environment, or else of the one that snakemake runs in. pipefail, so that a
# step's exit code is genolift's and not tee's, which shows a user on the terminal what goes to the log. Ctrl-C in
# the terminal reaches all that runs: tee ignores it, so that it still has genolift's last line to write.
shell.executable("bash")
shell.prefix(
    f'set -euo pipefail; export PATH="$PATH:{Path(sys.executable).parent}"; '
    'logged() ( trap "" INT TERM HUP; exec tee "$1" ); '
)


def any_of(names):
    """The wildcard's pattern for these analyses; one that nothing matches where there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"


def analyses_with(genome, models):
    """The wildcard's pattern for the analyses of one kind of aggregate rule."""
    return any_of(
        name
        for name in ANALYSES
        if (name in WITH_GENOME) == genome and (name in WITH_MODELS) == models
    )


wildcard_constraints:
    analysis=any_of(ANALYSES),
    model=any_of(sorted({name for each in ANALYSES.values() for name in each.models})),
    shard=r"\d+",
    shards=r"\d+",


def of_analysis(file):
    """The path of one of an analysis's files, with the wildcard in it."""
    return os.path.normpath(f"{CONFIG.results}/{{analysis}}/{file}")


SHARD = of_analysis("attribution/{model}/shard-{shard}-of-{shards}.h5")
INSPECTED = of_analysis("inspection/{model}.json")


def aggregated():
    """What the aggregate step writes of every analysis."""
    shown = {"category": "{analysis}", "subcategory": "Contributions"}
    return {
        "contributions": report(
            of_analysis("contributions.h5"),
            caption="../report/contributions.rst",
            **shown,
        ),
        "per_sequence": report(
            of_analysis("per_sequence.tsv"),
            caption="../report/per_sequence.rst",
            **shown,
        ),
        "per_base": of_analysis("per_base.parquet"),
        "record": of_analysis("aggregate.json"),
    }


def models_folder(wildcards):
    """The folder of what each model says, where there are several."""
    analyses = [wildcards.analysis] if wildcards.analysis in WITH_MODELS else []
    return [of_analysis("models").format(analysis=name) for name in analyses]


def log_of(step):
    return of_analysis(f"logs/{step}.log")


def final_files(name):
    """What is made of an analysis."""
    files = [
        "sequences.tsv",
        "references.h5",
        "contributions.h5",
        "per_base.parquet",
        "per_sequence.tsv",
        "motifs.h5",
        "motifs.meme",
        "motifs.tsv",
        "hits.bed.gz",
        "logos",
        "report.html",
    ]
    if name in WITH_GENOME:
        files.append("contributions.bw")
    if name in WITH_MODELS:
        files.append("models")
    if name in WITH_GENOME and name in WITH_MODELS:
        files.append("contributions_sd.bw")
    return [of_analysis(file).format(analysis=name) for file in files]


def settings(wildcards):
    return ANALYSES[wildcards.analysis]


def flags(**values):
    """Command-line flags, quoted for the shell; without those that are None or False."""
    words = []
    for name, value in values.items():
        if value is None or value is False:
            continue
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(flag)
        elif str(value).startswith("-"):  # which would be taken for a flag itself
            words.append(f"{flag}={value}")
        else:
            words += [
                flag,
                *map(str, value if isinstance(value, (list, tuple)) else [value]),
            ]
    return shlex.join(words)


def not_a_flag(path):
    """A path that no command takes for a flag."""
    return f"./{path}" if path.startswith("-") else path


def model_of(wildcards):
    return settings(wildcards).models[wildcards.model]


def model_files(wildcards):
    return model_of(wildcards).files


def held_files(wildcards):
    return settings(wildcards).extras.files


def held_flags(flag, items):
    """A flag for each item, in order; with "=", since a constant may be negative."""
    return shlex.join(f"--{flag}={json.dumps(as_given(item))}" for item in items)


def model_flags(wildcards):
    return flags_of_model(model_of(wildcards), wildcards)


def flags_of_model(model, wildcards):
    return f"{flags(model=model.path)} {flags_beside_path(model, wildcards)}".rstrip()


def flags_beside_path(model, wildcards):
    channels = held_flags("extra-channel", settings(wildcards).extra_channels)
    others = flags(
        model_class=model.class_name,
        model_arguments=json.dumps(model.arguments) if model.arguments else None,
        model_sha256=model.sha256,
        model_weights=model.weights,
        custom_layers=model.custom_layers,
        axes=model.axes,
        alphabet=model.alphabet if model.alphabet != "ACGT" else None,
        input_length=model.input_length,
        trust_pickle=model.trust,
        **expect_flags(model),
    )
    return f"{others} {channels}".rstrip()


def expect_flags(model):
    """The outputs that the model is compared with, as flags."""
    keys = model.expect.keys() if model.expect else {}
    return {f"expect_{key}": value for key, value in keys.items()}


def rna_alphabet(wildcards):
    """A model's alphabet that has U, which a FASTA may then have too; None where none has."""
    alphabets = [model.alphabet for model in settings(wildcards).models.values()]
    return next(filter(is_rna, alphabets), None)


def known_length(wildcards):
    """The sequences' length in bases where the config says it, so that encode need not read the model."""
    models = settings(wildcards).models.values()
    said = [model.input_length for model in models if model.input_length]
    return settings(wildcards).sequences.length or next(iter(said), None)


def sequence_files(wildcards):
    sequences = settings(wildcards).sequences
    return [sequences.fasta] if sequences.fasta else [sequences.bed, sequences.genome]


def files_that_say_length(wildcards):
    return [] if known_length(wildcards) else files_of_models(wildcards)


def flags_that_say_length(wildcards):
    models = settings(wildcards).models
    if known_length(wildcards):
        return flags(length=known_length(wildcards), alphabet=rna_alphabet(wildcards))
    if len(models) == 1:
        return flags_of_model(next(iter(models.values())), wildcards)
    return flags(models=json_of_models(wildcards), alphabet=rna_alphabet(wildcards))


def json_of_models(wildcards):
    analysis = settings(wildcards)
    channels = {"extra_channels": len(analysis.extra_channels)}
    models = {name: model.keys() | channels for name, model in analysis.models.items()}
    return json.dumps(models)


def source_flags(sequences):
    source = flags(fasta=sequences.fasta, max_n_fraction=sequences.max_n_fraction)
    if sequences.bed is None:
        return source
    windows = flags(
        bed=sequences.bed,
        genome=sequences.genome,
        format=sequences.format,
        center=sequences.center,
        use_strand=sequences.use_strand,
    )
    return f"{source} {windows}"


def encode_flags(wildcards):
    sequences = settings(wildcards).sequences
    missing = flags(missing_chromosomes=sequences.missing_chromosomes)
    return f"{source_flags(sequences)} {missing} {flags_that_say_length(wildcards)}"


def files_of_models(wildcards):
    models = settings(wildcards).models.values()
    return sorted({file for model in models for file in model.files})


def check_flags(wildcards):
    analysis = settings(wildcards)
    others = flags(
        length=known_length(wildcards),
        models=json_of_models(wildcards),
        alphabet=rna_alphabet(wildcards),
        target=analysis.target,
        keep_final_activation=analysis.keep_final_activation,
    )
    inputs = held_flags("extra-input", analysis.extra_inputs)
    channels = held_flags("extra-channel", analysis.extra_channels)
    # the rule apart, since Snakemake takes `rule` at the beginning of a line for its own
    own = f"--rule {analysis.rule} {others} {inputs} {channels}"
    return f"{source_flags(analysis.sequences)} {own}".rstrip()


def database_flag(wildcards, threads):
    """The known motifs to read; since it takes `threads`, Snakemake runs nothing again where they change."""
    return flags(database=settings(wildcards).motifs.database)


def reference_files(wildcards):
    references = settings(wildcards).references
    return [references.fasta] if references.fasta else []


def reference_flags(wildcards):
    references = settings(wildcards).references
    drawn = references.kind.endswith("_shuffle")
    return flags(
        kind=references.kind,
        number=references.number if drawn else None,
        seed=references.seed if drawn else None,
        fasta=references.fasta,
        frequencies=references.frequencies,
        alphabet=rna_alphabet(wildcards) if references.fasta else None,
    )


def inspect_flags(wildcards):
    model = flags_beside_path(model_of(wildcards), wildcards)
    return f"{model} {explained_flags(wildcards)}"


def inspected_files(wildcards):
    models = settings(wildcards).models
    return expand(INSPECTED, analysis=wildcards.analysis, model=models)


def explained_flags(wildcards):
    """What is explained, and how."""
    analysis = settings(wildcards)
    others = flags(
        target=analysis.target, keep_final_activation=analysis.keep_final_activation
    )
    # the rule apart, since Snakemake takes `rule` at the beginning of a line for its own
    inputs = held_flags("extra-input", analysis.extra_inputs)
    return f"--rule {analysis.rule} {others} {inputs}".rstrip()


def attribute_flags(wildcards):
    attribution = settings(wildcards).attribution
    others = flags(
        tolerance=attribution.tolerance,
        batch_size=attribution.batch_size,
        memory=attribution.memory,
        device=attribution.device,
        precision=attribution.precision,
    )
    return f"{explained_flags(wildcards)} {others}"


def attribute_memory(wildcards):
    return f"{settings(wildcards).attribution.memory or 8 * 10**9}B"


def attribute_gpus(wildcards):
    return 1 if settings(wildcards).attribution.device.startswith("cuda") else 0


def shard_files(wildcards):
    number = settings(wildcards).attribution.shards
    return expand(
        SHARD,
        analysis=wildcards.analysis,
        model=settings(wildcards).models,
        shard=range(number),
        shards=number,
    )


def motif_files(wildcards):
    database = settings(wildcards).motifs.database
    return [] if jaspar_group(database) is not None else [database]


def motif_flags(wildcards):
    motifs = settings(wildcards).motifs
    return flags(
        database=motifs.database,
        max_seqlets=motifs.max_seqlets,
        window=motifs.window,
        seed=motifs.seed,
    )
