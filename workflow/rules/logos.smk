rule logos:
    input:
        matrices=of_analysis("motif_matrices.tsv"),
        motifs=of_analysis("motifs.tsv"),
        contributions=of_analysis("contributions.h5"),
        per_sequence=of_analysis("per_sequence.tsv"),
        aggregated=of_analysis("aggregate.json"),
        searched=of_analysis("motifs.json"),
    output:
        report(
            directory(of_analysis("logos")),
            patterns=["{name}.png"],
            caption="../report/logos.rst",
            category="{analysis}",
            subcategory="Logos",
        ),
    log:
        of_analysis("logs/logos.log"),
    wildcard_constraints:
        analysis=any_of(BY_TARGET),
    conda:
        "../envs/genolift.yaml"
    threads: 1
    resources:
        mem_mb=cost_of("logos", "mem_mb"),
        runtime=cost_of("logos", "runtime"),
    params:
        settings=settings_of("logos"),
        folder=subpath(input.contributions, parent=True),
    message:
        "{wildcards.analysis}: logos of the motifs and the strongest sequences"
    shell:
        "genolift logos --results {params.folder:q} --settings {params.settings:q} --out {output:q} 2>&1 | logged {log:q}"
