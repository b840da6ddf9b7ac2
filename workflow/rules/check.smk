# Run where snakemake runs, and before an analysis's other steps, so that what is wrong with a model or a file of
# motifs is seen before anything is queued. That file is no input: with another one, all that waits for the check
# would be run again, attribution too, and the motifs step reads it anyway.
rule check:
    input:
        sequences=sequence_files,
        models=files_of_models,
        held=held_files,
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
        flags=check_flags,
        database=database_flag,
    message:
        "{wildcards.analysis}: the model on two sequences"
    shell:
        "genolift check {params.flags} {params.database} --out {output:q} 2>&1 | logged {log:q}"
