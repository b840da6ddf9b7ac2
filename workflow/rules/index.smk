# Lists what the results folder holds, so that it needs no names. A run that fails writes it too: see mistakes.smk.
rule index:
    input:
        [of_analysis("report.html").format(analysis=name) for name in BY_TARGET],
    output:
        os.path.normpath(f"{CONFIG.results}/index.html"),
    log:
        os.path.normpath(f"{CONFIG.results}/.index/index.log"),
    conda:
        "../envs/genolift.yaml"
    threads: 1
    resources:
        mem_mb=cost_of("index", "mem_mb"),
        runtime=cost_of("index", "runtime"),
    params:
        folder=subpath(output[0], parent=True),
        analyses=list(BY_TARGET),
    message:
        "a list of all analyses"
    shell:
        "genolift index {params.folder:q} 2>&1 | logged {log:q}"
