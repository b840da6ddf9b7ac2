# Four rules that differ only in their outputs: tracks exist only for windows on a genome, and each model's own
# contributions and their spread only for several models.
rule aggregate:
    input:
        sequences=of_analysis("sequences.tsv"),
        shards=of_each_model(rules.attribute.output),
    output:
        **aggregated(),
    log:
        of_analysis("logs/aggregate.log"),
    wildcard_constraints:
        analysis=analyses_with(genome=False, models=False),
    conda:
        "../envs/genolift.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        folder=subpath(output.contributions, parent=True),
    message:
        "{wildcards.analysis}: shards to contributions.h5, its tables and, on a genome, its tracks"
    shell:
        "genolift aggregate --sequences {input.sequences:q} --shards {input.shards:q}"
        " --out {params.folder:q} 2>&1 | logged {log:q}"


use rule aggregate as aggregate_windows with:
    output:
        **aggregated(),
        track=of_analysis("contributions.bw"),
    wildcard_constraints:
        analysis=analyses_with(genome=True, models=False),


use rule aggregate as aggregate_models with:
    output:
        **aggregated(),
        models=directory(of_analysis("models")),
    wildcard_constraints:
        analysis=analyses_with(genome=False, models=True),


use rule aggregate as aggregate_models_on_windows with:
    output:
        **aggregated(),
        models=directory(of_analysis("models")),
        track=of_analysis("contributions.bw"),
        spread=of_analysis("contributions_sd.bw"),
    wildcard_constraints:
        analysis=analyses_with(genome=True, models=True),
