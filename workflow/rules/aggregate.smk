# Two rules that differ in their outputs alone: a genome's track is there only for windows on a genome.
rule aggregate:
    input:
        sequences=of_analysis("sequences.tsv"),
        shards=shard_files,
    output:
        contributions=report(
            of_analysis("contributions.h5"),
            caption="../report/contributions.rst",
            category="{analysis}",
            subcategory="Contributions",
        ),
        per_sequence=report(
            of_analysis("per_sequence.tsv"),
            caption="../report/per_sequence.rst",
            category="{analysis}",
            subcategory="Contributions",
        ),
        per_base=of_analysis("per_base.parquet"),
    log:
        log_of("aggregate"),
    wildcard_constraints:
        analysis=any_of(WITHOUT_GENOME),
    conda:
        "../envs/genolift.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        folder=subpath(output.contributions, parent=True),
    message:
        "{wildcards.analysis}: shards to contributions.h5 and its tables"
    shell:
        "genolift aggregate --sequences {input.sequences:q} --shards {input.shards:q}"
        " --out {params.folder:q} 2>&1 | tee {log:q}"


use rule aggregate as aggregate_windows with:
    output:
        contributions=report(
            of_analysis("contributions.h5"),
            caption="../report/contributions.rst",
            category="{analysis}",
            subcategory="Contributions",
        ),
        per_sequence=report(
            of_analysis("per_sequence.tsv"),
            caption="../report/per_sequence.rst",
            category="{analysis}",
            subcategory="Contributions",
        ),
        per_base=of_analysis("per_base.parquet"),
        track=of_analysis("contributions.bw"),
    wildcard_constraints:
        analysis=any_of(WITH_GENOME),
    message:
        "{wildcards.analysis}: shards to contributions.h5, its tables and its track"
