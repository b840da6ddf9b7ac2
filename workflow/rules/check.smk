# Run where snakemake runs, and before an analysis's other steps, so that what is wrong with a model is seen on
# two sequences before anything is queued.
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
    message:
        "{wildcards.analysis}: the model on two sequences"
    shell:
        "genolift check {params.flags} --out {output:q} 2>&1 | tee {log:q}"
