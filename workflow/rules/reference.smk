rule reference:
    input:
        sequences=shared("sequences.h5"),
        fasta=files_of("references"),
    output:
        shared("references-{references}.h5"),
    log:
        shared("references-{references}.log"),
    conda:
        "../envs/genolift.yaml"
    threads: 1
    resources:
        mem_mb=cost_of("reference", "mem_mb"),
        runtime=cost_of("reference", "runtime"),
    params:
        settings=settings_of("reference"),
    message:
        "what each sequence is compared with"
    shell:
        "genolift reference --sequences {input.sequences:q} --settings {params.settings:q} --out {output:q}"
        " 2>&1 | logged {log:q}"


rule references:
    input:
        store=of_shared("references-{references}.h5"),
    output:
        of_analysis("references.h5"),
    log:
        of_analysis("logs/references.log"),
    conda:
        "../envs/genolift.yaml"
    threads: 1
    resources:
        mem_mb=cost_of("references", "mem_mb"),
        runtime=cost_of("references", "runtime"),
    params:
        link=link_to("references-{references}.h5"),
    message:
        "{wildcards.analysis}: its references"
    shell:
        "ln -sfn {params.link:q} {output:q} 2>&1 | logged {log:q}"
