rule encode:
    input:
        sequences=sequence_files,
        model=files_that_say_length,
        check=of_analysis("check.json"),
    output:
        table=report(
            of_analysis("sequences.tsv"),
            caption="../report/sequences.rst",
            category="{analysis}",
            subcategory="Sequences",
        ),
        store=of_analysis("sequences.h5"),
    log:
        log_of("encode"),
    conda:
        "../envs/genolift.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        flags=encode_flags,
    message:
        "{wildcards.analysis}: sequences to a table and a store"
    shell:
        "genolift encode {params.flags} --table {output.table:q} --out {output.store:q}"
        " 2>&1 | logged {log:q}"
