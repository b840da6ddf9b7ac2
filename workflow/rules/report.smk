rule report:
    input:
        sequences=of_whole("sequences.tsv"),
        references=stored_references,
        contributions=of_analysis("contributions.h5"),
        models=lambda wildcards: (
            of_analysis("models") if len(settings(wildcards).models) > 1 else []
        ),
        inspection=of_whole("inspection"),
        costs=of_whole("costs.json"),
        per_sequence=of_analysis("per_sequence.tsv"),
        per_base=lambda wildcards: (
            of_analysis("per_base.parquet") if settings(wildcards).per_base else []
        ),
        modisco=of_analysis("motifs.h5"),
        matrices=of_analysis("motif_matrices.tsv"),
        motifs=of_analysis("motifs.tsv"),
        seqlets=of_analysis("seqlets.tsv"),
        seqlets_by_window=of_analysis("seqlets_by_window.tsv"),
        hits=of_analysis("hits.bed.gz"),
        hits_by_window=of_analysis("hits_by_window.bed.gz"),
        finemo_hits=of_analysis("hits_by_window.tsv.gz"),
        aggregated=of_analysis("aggregate.json"),
        searched=of_analysis("motifs.json"),
        logos=of_analysis("logos"),
    output:
        report(
            of_analysis("report.html"),
            caption="../report/report.rst",
            category="{analysis}",
            subcategory="Report",
        ),
    log:
        of_analysis("logs/report.log"),
    wildcard_constraints:
        analysis=any_of(BY_TARGET),
    conda:
        "../envs/genolift.yaml"
    threads: 1
    resources:
        mem_mb=cost_of("report", "mem_mb"),
        runtime=cost_of("report", "runtime"),
    params:
        settings=settings_of("report"),
        folder=subpath(input.contributions, parent=True),
    message:
        "{wildcards.analysis}: one page of what was run and found"
    shell:
        "genolift report --results {params.folder:q} --settings {params.settings:q} --out {output:q} 2>&1 | logged {log:q}"
