# Run where snakemake runs, and before an analysis's other steps, so that what is wrong with a model or a file of
# motifs is seen before anything is queued. That file is no input: with another one, all that waits for the check
# would be run again, attribution too, and the motifs step reads it anyway. For the same reason the parameter
# takes `threads`: Snakemake then compares it with no earlier run's.
rule check:
    input:
        sequences=files_of("sequences", "extras"),
        models=files_of_models,
    output:
        of_analysis("check.json"),
    log:
        log_of("check"),
    priority: 100
    conda:
        "../envs/genolift.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        settings=settings_of("check"),
        database=lambda wildcards, threads: settings(wildcards).motifs.database,
    message:
        "{wildcards.analysis}: the model on two sequences"
    shell:
        "genolift check --settings {params.settings:q} --database={params.database:q} --out {output:q}"
        " 2>&1 | logged {log:q}"
