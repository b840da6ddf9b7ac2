# Of the sequences the length alone is taken. They are no `ancient` input all the same: Snakemake then runs a rule
# no more whose other inputs have changed, where the ancient one is to be made anew.
rule inspect:
    input:
        sequences=of_analysis("sequences.h5"),
        model=model_files,
        held=held_files,
    output:
        INSPECTED,
    log:
        log_of("inspect-{model}"),
    conda:
        "../envs/genolift.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        path=lambda wildcards: not_a_flag(model_of(wildcards).path),
        flags=inspect_flags,
    message:
        "{wildcards.analysis}: what {wildcards.model} is"
    shell:
        "genolift inspect {params.path:q} --sequences {input.sequences:q} {params.flags} --out {output:q}"
        " 2>&1 | logged {log:q}"
