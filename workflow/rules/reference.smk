rule reference:
    input:
        sequences=of_analysis("sequences.h5"),
        fasta=reference_files,
    output:
        of_analysis("references.h5"),
    log:
        log_of("reference"),
    conda:
        "../envs/genolift.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        flags=reference_flags,
    message:
        "{wildcards.analysis}: what each sequence is compared with"
    shell:
        "genolift reference --sequences {input.sequences:q} {params.flags} --out {output:q}"
        " 2>&1 | logged {log:q}"
