# Only the sequences' length is used. They are still not an `ancient` input: if an ancient input has to be remade,
# Snakemake no longer reruns a rule whose other inputs have changed.
rule inspect:
    input:
        sequences=of_analysis("sequences.h5"),
        model=files_of_models,
        extras=files_of("extras"),
    output:
        of_analysis("inspection/{model}.json"),
    log:
        of_analysis("logs/inspect-{model}.log"),
    conda:
        "../envs/genolift.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        settings=settings_of("inspect"),
    message:
        "{wildcards.analysis}: what {wildcards.model} is"
    shell:
        "genolift inspect --sequences {input.sequences:q} --settings {params.settings:q} --out {output:q}"
        " 2>&1 | logged {log:q}"
