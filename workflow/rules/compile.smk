# What finds motifs is compiled while earlier steps run, once for all analyses, or found to be.
rule compile:
    output:
        os.path.normpath(f"{CONFIG.results}/.compiled/compiled.json"),
    log:
        os.path.normpath(f"{CONFIG.results}/.compiled/compile.log"),
    conda:
        "../envs/genolift.yaml"
    threads: 1
    resources:
        mem_mb=cost_of("compile", "mem_mb"),
        runtime=cost_of("compile", "runtime"),
    message:
        "compiling what finds motifs, a minute of work once for an installation"
    shell:
        "export NUMBA_NUM_THREADS={threads} OMP_NUM_THREADS={threads};"
        " genolift compile --out {output:q} 2>&1 | logged {log:q}"
