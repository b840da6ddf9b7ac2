# Runs where snakemake runs, before all that takes long, so that a mistake in a model or a motif file is found before
# attribute is queued. The motif file is not an input: if it were, a new one would rerun everything that
# waits for the check, including attribution, and the motifs step reads it anyway. For the same reason the
# parameter takes `threads`: Snakemake then does not compare it with earlier runs. The models that are captured here
# for attribute are not outputs, since analyses share them; one that is missing is captured again. Costs are told by
# the references and the final files, which change nothing else here.
rule check:
    input:
        sequences=files_of("sequences", "extras"),
        models=files_of_models,
    output:
        check=of_analysis("check.json"),
        inspection=directory(of_analysis("inspection")),
        costs=of_analysis("costs.json"),
    log:
        of_analysis("logs/check.log"),
    priority: 100
    conda:
        "../envs/genolift.yaml"
    threads: 1
    resources:
        mem_mb=cost_of("check", "mem_mb"),
        runtime=cost_of("check", "runtime"),
    params:
        settings=settings_of("check"),
        captures=os.path.normpath(f"{CONFIG.results}/.captures"),
        database=lambda wildcards, threads: settings(wildcards).motifs.database,
        references=lambda wildcards, threads: references_of(settings(wildcards)),
        final=lambda wildcards, threads: [
            f"--final={name}" for name in final_names(settings(wildcards))
        ],
    message:
        "{wildcards.analysis}: the model on two sequences, and what it is"
    shell:
        "genolift check --settings {params.settings:q} --database={params.database:q}"
        " --inspection {output.inspection:q} --captures {params.captures:q} --costs {output.costs:q}"
        " --references {params.references} {params.final:q} --out {output.check:q} 2>&1 | logged {log:q}"
