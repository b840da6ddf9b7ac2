# With several targets the output is a folder, with a file for each of them.
rule attribute:
    input:
        sequences=of_analysis("sequences.h5"),
        references=stored_references,
        model=files_of_models,
        extras=files_of("extras"),
        check=of_analysis("check.json"),
    output:
        temp(of_analysis("attribution/{model}/shard-{shard}-of-{shards}.h5")),
    log:
        of_analysis("logs/attribute-{model}-{shard}-of-{shards}.log"),
    wildcard_constraints:
        analysis=any_of(ANALYSES.keys() & BY_TARGET.keys()),
    conda:
        "../envs/genolift.yaml"
    threads: 4
    resources:
        mem_mb=cost_of("attribute", "mem_mb"),
        runtime=cost_of("attribute", "runtime"),
        gpu=lambda wildcards: int(
            settings(wildcards).attribution.device.startswith("cuda")
        ),
    params:
        settings=settings_of("attribute"),
        references=lambda wildcards, input: (
            ["--references", *input.references] if input.references else []
        ),
        captures=rules.check.params.captures,
        # as it takes `threads`, Snakemake reruns nothing when this changes
        running=lambda wildcards, threads: handed_to(
            "attribute", wildcards.analysis, wildcards.model
        )[1],
    message:
        "{wildcards.analysis}: DeepLIFT of {wildcards.model}, shard {wildcards.shard} of {wildcards.shards}, counted from 0"
    shell:
        "genolift attribute --sequences {input.sequences:q} {params.references:q}"
        " --settings {params.settings:q} --running {params.running:q} --model-name {wildcards.model}"
        " --shard {wildcards.shard}/{wildcards.shards} --captures {params.captures:q} --out {output:q}"
        " 2>&1 | logged {log:q}"


use rule attribute as attribute_targets with:
    output:
        temp(directory(of_analysis("attribution/{model}/shard-{shard}-of-{shards}"))),
    wildcard_constraints:
        analysis=any_of(ANALYSES.keys() - BY_TARGET.keys()),
