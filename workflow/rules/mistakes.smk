# What a user reads when something is wrong: of a config, one line; of a step that failed, its own line last. No rules.
import sys
from contextlib import contextmanager
from pathlib import Path

from snakemake.logging import logger

from genolift.settings.reading import read_yaml
from genolift.errors import InputError
from genolift.cli.failed_steps import FailedSteps
from genolift.files.output_paths import check_folder

# What a step says is wrong stands far above Snakemake's last line; it is said again behind it.
FAILED_STEPS = FailedSteps(sys.argv[1:])
logger.addHandler(FAILED_STEPS)


# The folders that are an output as a whole, and what genolift calls such a folder.
FOLDERS = {"logos": "logos", "models": "aggregate"}


onstart:
    check_folders()


onerror:
    FAILED_STEPS.say_at_exit()


def check_folders():
    """Refuse to lose a user's files: Snakemake deletes a folder with all in it before the step that makes it."""
    jobs = workflow.dag.needrun_jobs()
    folders = {file for job in jobs for file in job.output if file.is_directory}
    with mistakes_in_one_line():
        for folder in sorted(map(Path, folders)):
            check_folder(folder, FOLDERS[folder.name])


@contextmanager
def mistakes_in_one_line():
    """End with one line for a mistake in the config, without the place in here that Snakemake would add."""
    try:
        yield
    except InputError as error:
        print(f"genolift: error: {error}", file=sys.stderr)
        sys.exit(2)


def check_yaml(file):
    """Read a config file as check-config does: of a key that is written twice, Snakemake takes the last."""
    with mistakes_in_one_line():
        read_yaml(Path(file))
