rule encode:
    input:
        sequences=files_of("sequences"),
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
        of_analysis("logs/encode.log"),
    conda:
        "../envs/genolift.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        settings=settings_of("encode"),
    message:
        "{wildcards.analysis}: sequences to a table and a store"
    shell:
        "genolift encode --settings {params.settings:q} --check {input.check:q}"
        " --table {output.table:q} --out {output.store:q} 2>&1 | logged {log:q}"
