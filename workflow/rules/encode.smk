# Analyses of the same sequences share what is made of them. Does not wait for the check, whose outcome changes no
# sequence: another target would encode them again. Where no key says the length, the models do.
rule encode:
    input:
        sequences=files_of("sequences"),
        models=lambda wildcards: (
            [] if settings(wildcards).length else files_of_models(wildcards)
        ),
    output:
        table=shared("sequences.tsv"),
        store=shared("sequences.h5"),
    log:
        shared("encode.log"),
    conda:
        "../envs/genolift.yaml"
    threads: 1
    resources:
        mem_mb=cost_of("encode", "mem_mb"),
        runtime=cost_of("encode", "runtime"),
    params:
        settings=settings_of("encode"),
    message:
        "sequences to a table and a store"
    shell:
        "genolift encode --settings {params.settings:q}"
        " --table {output.table:q} --out {output.store:q} 2>&1 | logged {log:q}"


# The table is copied, so that an analysis's folder can be read on its own; the store, which may be large, is a link.
rule sequences:
    input:
        table=of_shared("sequences.tsv"),
        store=of_shared("sequences.h5"),
    output:
        table=report(
            of_analysis("sequences.tsv"),
            caption="../report/sequences.rst",
            category="{analysis}",
            subcategory="Sequences",
        ),
        store=of_analysis("sequences.h5"),
    log:
        of_analysis("logs/sequences.log"),
    conda:
        "../envs/genolift.yaml"
    threads: 1
    resources:
        mem_mb=cost_of("sequences", "mem_mb"),
        runtime=cost_of("sequences", "runtime"),
    params:
        link=link_to("sequences.h5"),
    message:
        "{wildcards.analysis}: its sequences"
    shell:
        "( cp {input.table:q} {output.table:q}.unfinished; mv -f {output.table:q}.unfinished {output.table:q};"
        " ln -sfn {params.link:q} {output.store:q} ) 2>&1 | logged {log:q}"
