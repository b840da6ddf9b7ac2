# Four rules that differ only in their outputs: tracks exist only for windows on a genome, and each model's own
# contributions and their spread only for several models.
rule aggregate:
    input:
        sequences=of_whole("sequences.tsv"),
        shards=shards,
    output:
        **aggregated(),
    log:
        of_analysis("logs/aggregate.log"),
    wildcard_constraints:
        analysis=targets_with(genome=False, models=False),
    conda:
        "../envs/genolift.yaml"
    threads: 1
    resources:
        mem_mb=cost_of("aggregate", "mem_mb"),
        runtime=cost_of("aggregate", "runtime"),
    params:
        folder=subpath(output.contributions, parent=True),
        models=lambda wildcards: list(settings(wildcards).models),
        shards=files_of_shards,
        # Where the config leaves it to the number of bases, which is not known here, the table is not an output.
        running=lambda wildcards, threads: (
            "{}" if settings(wildcards).per_base is None else '{"per_base": false}'
        ),
    message:
        "{wildcards.analysis}: shards to contributions.h5, its tables and, on a genome, its tracks"
    shell:
        "genolift aggregate --sequences {input.sequences:q} --shards {params.shards:q}"
        " --running {params.running:q} --out {params.folder:q} 2>&1 | logged {log:q}"


use rule aggregate as aggregate_windows with:
    output:
        **aggregated(),
        track=of_analysis("contributions.bw"),
    wildcard_constraints:
        analysis=targets_with(genome=True, models=False),


use rule aggregate as aggregate_models with:
    output:
        **aggregated(),
        models=directory(of_analysis("models")),
    wildcard_constraints:
        analysis=targets_with(genome=False, models=True),


use rule aggregate as aggregate_models_on_windows with:
    output:
        **aggregated(),
        models=directory(of_analysis("models")),
        track=of_analysis("contributions.bw"),
        spread=of_analysis("contributions_sd.bw"),
    wildcard_constraints:
        analysis=targets_with(genome=True, models=True),


# From contributions.h5, so that it can be asked for when the shards are gone.
rule per_base:
    input:
        contributions=of_analysis("contributions.h5"),
        sequences=of_whole("sequences.tsv"),
    output:
        of_analysis("per_base.parquet"),
    log:
        of_analysis("logs/per-base.log"),
    wildcard_constraints:
        analysis=any_of(BY_TARGET),
    conda:
        "../envs/genolift.yaml"
    threads: 1
    resources:
        mem_mb=cost_of("per_base", "mem_mb"),
        runtime=cost_of("per_base", "runtime"),
    params:
        folder=subpath(input.contributions, parent=True),
    message:
        "{wildcards.analysis}: a row for each base of each sequence"
    shell:
        "genolift per-base {params.folder:q} --parquet {output:q} 2>&1 | logged {log:q}"
