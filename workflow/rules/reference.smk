rule reference:
    input:
        sequences=of_analysis("sequences.h5"),
        fasta=files_of("references"),
    output:
        of_analysis("references.h5"),
    log:
        of_analysis("logs/reference.log"),
    conda:
        "../envs/genolift.yaml"
    threads: 1
    resources:
        mem_mb=cost_of("reference", "mem_mb"),
        runtime=cost_of("reference", "runtime"),
    params:
        settings=settings_of("reference"),
    message:
        "{wildcards.analysis}: what each sequence is compared with"
    shell:
        "genolift reference --sequences {input.sequences:q} --settings {params.settings:q} --out {output:q}"
        " 2>&1 | logged {log:q}"
