# The workflow's entry, so that `snakemake` works here; the workflow itself is in workflow/.
include: "workflow/Snakefile"


workflow.default_target = "all"  # an included file's target is not taken over by itself
