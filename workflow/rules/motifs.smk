rule motifs:
    input:
        contributions=of_analysis("contributions.h5"),
        sequences=of_whole("sequences.tsv"),
        database=files_of("motifs"),
        compiled=ancient(rules.compile.output),
    output:
        modisco=of_analysis("motifs.h5"),
        ppm=of_analysis("motifs.meme"),
        cwm=of_analysis("motifs_cwm.meme"),
        matrices=of_analysis("motif_matrices.tsv"),
        record=of_analysis("motifs.json"),
        table=report(
            of_analysis("motifs.tsv"),
            caption="../report/motifs.rst",
            category="{analysis}",
            subcategory="Motifs",
        ),
        seqlets=of_analysis("seqlets.tsv"),
        seqlets_by_window=of_analysis("seqlets_by_window.tsv"),
        hits=report(
            of_analysis("hits.bed.gz"),
            caption="../report/hits.rst",
            category="{analysis}",
            subcategory="Motifs",
        ),
        hits_by_window=of_analysis("hits_by_window.bed.gz"),
        finemo_hits=of_analysis("hits_by_window.tsv.gz"),
    log:
        of_analysis("logs/motifs.log"),
    wildcard_constraints:
        analysis=any_of(BY_TARGET),
    conda:
        "../envs/genolift.yaml"
    threads: 1
    resources:
        mem_mb=cost_of("motifs", "mem_mb"),
        runtime=cost_of("motifs", "runtime"),
    params:
        settings=settings_of("motifs"),
        folder=subpath(output.modisco, parent=True),
    message:
        "{wildcards.analysis}: motifs, their names and their occurrences"
    shell:
        "export NUMBA_NUM_THREADS={threads} OMP_NUM_THREADS={threads}; genolift motifs"
        " --contributions {input.contributions:q} --sequences {input.sequences:q} --settings {params.settings:q}"
        " --out {params.folder:q} 2>&1 | logged {log:q}"
