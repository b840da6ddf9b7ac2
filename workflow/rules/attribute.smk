rule attribute:
    input:
        sequences=of_analysis("sequences.h5"),
        references=of_analysis("references.h5"),
        model=model_files,
        held=held_files,
        check=of_analysis("check.json"),
    output:
        SHARD,
    log:
        log_of("attribute-{model}-{shard}-of-{shards}"),
    conda:
        "../envs/genolift.yaml"
    threads: 4
    resources:
        mem=attribute_memory,
        runtime=240,
        gpu=attribute_gpus,
    params:
        model=model_flags,
        flags=attribute_flags,
    message:
        "{wildcards.analysis}: DeepLIFT of {wildcards.model}, shard {wildcards.shard} of {wildcards.shards}, counted from 0"
    shell:
        "genolift attribute --sequences {input.sequences:q} --references {input.references:q}"
        " {params.model} --model-name {wildcards.model} {params.flags}"
        " --shard {wildcards.shard}/{wildcards.shards} --out {output:q}"
        " 2>&1 | logged {log:q}"
