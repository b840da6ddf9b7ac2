# Does not wait for the check, whose outcome changes no sequence: another target would encode them again. Where no
# key says the length, the models do.
rule encode:
    input:
        sequences=files_of("sequences"),
        models=lambda wildcards: (
            [] if settings(wildcards).length else files_of_models(wildcards)
        ),
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
        mem_mb=cost_of("encode", "mem_mb"),
        runtime=cost_of("encode", "runtime"),
    params:
        settings=settings_of("encode"),
    message:
        "{wildcards.analysis}: sequences to a table and a store"
    shell:
        "genolift encode --settings {params.settings:q}"
        " --table {output.table:q} --out {output.store:q} 2>&1 | logged {log:q}"
