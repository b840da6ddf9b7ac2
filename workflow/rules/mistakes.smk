# The messages that a user reads: one line for a mistake in the config; at the end what is done, and a failed step's
# own line last. No rules.
import sys
from contextlib import contextmanager
from pathlib import Path

from snakemake.logging import logger

from genolift.settings.reading import read_yaml
from genolift.errors import InputError
from genolift.cli.failed_steps import FailedSteps, say_at_exit, summary
from genolift.cli.shared import remove_unused, users_of
from genolift.files.output_paths import check_folder
from genolift.report.index import INDEX, check_index

# A failed step's message may be far above Snakemake's last line, so it is repeated after it.
FAILED_STEPS = FailedSteps(sys.argv[1:])
logger.addHandler(FAILED_STEPS)


# The rules whose output is a whole folder, and what genolift calls that folder; others are shards.
FOLDERS = {"inspection": "check", "logos": "logos", "models": "aggregate"}


onstart:
    check_folders()


onsuccess:
    remove_unused(Path(CONFIG.results), users_of(KEYS))
    say_what_is_done()


onerror:
    say_what_is_done()


def say_what_is_done():
    """Say at the end what is done, what failed, and where the reports are."""
    say_at_exit(
        summary(FAILED_STEPS, Path(CONFIG.results), [*BY_TARGET], users_of(KEYS))
    )


def check_folders():
    """Refuse to lose a user's files: Snakemake deletes an output folder and its contents before the step runs."""
    jobs = workflow.dag.needrun_jobs()
    folders = {file for job in jobs for file in job.output if file.is_directory}
    with mistakes_in_one_line():
        for folder in sorted(map(Path, folders)):
            check_folder(folder, FOLDERS.get(folder.name, "attribute"))
        check_index(Path(CONFIG.results, INDEX))


@contextmanager
def mistakes_in_one_line():
    """End with one line for a mistake in the config, without the place in this file that Snakemake would add."""
    try:
        yield
    except InputError as error:
        say_at_exit([f"genolift: error: {error}"], apart=False)
        sys.exit(2)


def check_yaml(file):
    """Read a config file as check-config does: Snakemake would accept a duplicate key and use the last."""
    with mistakes_in_one_line():
        read_yaml(Path(file))
