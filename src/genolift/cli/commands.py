"""The commands: what each takes, says of it and calls, in the order of ``genolift --help``.

What takes long to import is imported when a command is run. ``python -m genolift.cli.commands`` prints the
text of ``genolift --help``, for help.txt.
"""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from genolift.cli.command import COMMANDS as COMMANDS  # with all commands in it, here
from genolift.cli.command import command, overview
from genolift.settings.model import ONE_MODEL
from genolift.settings.of_commands import Sources
from genolift.settings.sections import EXPLAINED, EXTRAS, SEVERAL_EXPLAINED, Settings
from genolift.settings.types import Database, ListOf

Count = Annotated[int, Field(ge=1)]
Shard = Annotated[str, Field(pattern=r"^[0-9]{1,9}/[0-9]{1,9}$", examples=["0/4 for the first of four"])]


@command("sequences", "model", "models", "extra_channels")
def encode(settings: Settings, table: Path, out: Path) -> object:
    """Turn FASTA, or BED/narrowPeak windows on a genome, into a table and a store of sequences.

    Parameters
    ----------
    table
        sequences.tsv to write
    out
        sequences.h5 to write

    Example
    -------
    genolift encode --bed peaks.narrowPeak --genome genome.fa.gz --length 1000
    --table sequences.tsv --out sequences.h5
    """
    from genolift.steps.encode import encode_analysis

    return encode_analysis(settings, table=table, store=out)


@command("sequences", "model", "models", *EXTRAS, "tracks", *SEVERAL_EXPLAINED)
def check(
    settings: Settings,
    out: Path,
    database: Database | None = None,
    inspection: Path | None = None,
    captures: Path | None = None,
    costs: Path | None = None,
    references: Count = 20,
    final: ListOf[str] = (),
) -> object:
    """Run a model on the first two sequences and read the known motifs, to say what is wrong before anything
    long is begun.

    Parameters
    ----------
    out
        what was run, JSON
    database
        the known motifs to read too: jaspar:GROUP or a MEME file; by default none
    inspection
        a folder to write what inspect says of each model to, as JSON
    captures
        a folder to hand captured models on to attribute in
    costs
        a file to write to what disk and time the analysis takes, JSON; it ends if the disk has no room
    references
        for that, how many each sequence has
    final
        for that, the name of a file that the workflow makes in the end

    Example
    -------
    genolift check --fasta sequences.fa --model weights.pt --model-class model.py:Model --out check.json
    """
    from genolift.steps.check import check_analysis

    return check_analysis(
        settings,
        out=out,
        database=database,
        inspection=inspection,
        captures=captures,
        costs=costs,
        references=references,
        final=final,
    )


@command("references", "model.alphabet")
def reference(settings: Settings, sequences: Path, out: Path) -> object:
    """Make what each sequence is compared with.

    Parameters
    ----------
    sequences
        sequences.h5
    out
        references.h5 to write

    Example
    -------
    genolift reference --sequences sequences.h5 --number 20 --seed 0 --out references.h5
    """
    from genolift.steps.reference import write_references

    rna = settings.rna_alphabet is not None
    return write_references(settings.references, sequences=sequences, out=out, rna=rna)


@command("model", *EXTRAS, "tracks", *EXPLAINED, positional="settings.model.path")
def inspect(
    settings: Settings, sources: Sources, write_config: Path | None = None, out: Path | None = None
) -> None:
    """Say what a model is: inputs, outputs, operations and rules (of its first target, where none is named),
    and the config that would explain it. Exits 2, having said all else, if the model as it is given cannot be
    explained.

    Parameters
    ----------
    sources
        the sequences
    write_config
        a new file for the guessed config
    out
        write it as JSON instead of printing it

    Example
    -------
    genolift inspect weights.pt --model-class model.py:Model --write-config my.yaml
    """
    from genolift.steps.inspect import told

    for text in told(settings, sources, write_config, out):
        print(text)


@command("model", *EXTRAS, "tracks", *SEVERAL_EXPLAINED, "references", "attribution")
def attribute(
    settings: Settings,
    sequences: Path,
    out: Path,
    references: Path | None = None,
    shard: Shard = "0/1",
    model_name: str = ONE_MODEL,
    captures: Path | None = None,
) -> object:
    """Run DeepLIFT on every sequence against each of its references.

    Parameters
    ----------
    sequences
        sequences.h5
    out
        the file of contributions to write; of several targets the folder of a file for each
    references
        references.h5; without it they are made as --kind, --number and --seed say
    shard
        I/K, the I-th of K shards, from 0
    model_name
        what to call the model, where several are run
    captures
        the folder in which the check handed captured models on, to take this one from

    Example
    -------
    genolift attribute --sequences sequences.h5 --number 20 --seed 0 --model weights.pt
    --model-class model.py:Model --target 0 --out contributions.h5
    """
    from genolift.cli.progress import shown_progress
    from genolift.steps.attribute import attribute

    part, _, parts = shard.partition("/")
    with shown_progress("attribute", "pair") as progress:
        files: dict[str, Any] = {"references": references, "out": out, "captures": captures}
        named: dict[str, Any] = {"shard": (int(part), int(parts)), "model_name": model_name}
        return attribute(settings, sequences=sequences, **files, **named, progress=progress)


@command("per_base")
def aggregate(settings: Settings, sequences: Path, shards: list[Path], out: Path) -> object:
    """Merge shards, of one model or several, to contributions.h5, and write its tables and tracks.

    Parameters
    ----------
    sequences
        sequences.tsv
    shards
        files of the attribute step
    out
        folder to write to

    Example
    -------
    genolift aggregate --sequences sequences.tsv --shards shard-*.h5 --out results/mine
    """
    from genolift.steps.aggregate import aggregate

    return aggregate(shards=shards, sequences=sequences, out=out, per_base=settings.per_base)


@command(positional="results")
def per_base(
    results: Path, sequence: str | None = None, region: str | None = None, parquet: Path | None = None
) -> object:
    """Print the bases of a sequence or region, or write per_base.parquet.

    Parameters
    ----------
    results
        folder of an analysis
    sequence
        the sequence by its key or id
    region
        of every window, the bases in chrom:start-end, from 1 and including the end, as browsers write it
    parquet
        instead, the table of all bases to write

    Example
    -------
    genolift per-base results/mine --sequence 0
    """
    from genolift.steps.per_base import bases_of, check_asked, write_all

    check_asked(sequence, region, parquet)
    if parquet is not None:
        return write_all(results, parquet)
    for lines in bases_of(results, sequence=sequence, region=region):
        print(lines, end="")
    return None


@command()
def compile(out: Path) -> object:
    """Compile what finds motifs, a minute of work once for an installation, and keep it.

    Parameters
    ----------
    out
        what is compiled, JSON

    Example
    -------
    genolift compile --out compiled.json
    """
    from genolift.steps.compile import compile_motif_tools

    return compile_motif_tools(out)


@command("motifs")
def motifs(settings: Settings, contributions: Path, sequences: Path, out: Path) -> object:
    """Find motifs (TF-MoDISco), name them (Tomtom) and find their occurrences (Fi-NeMo).

    Parameters
    ----------
    contributions
        contributions.h5
    sequences
        sequences.tsv
    out
        folder to write to

    Example
    -------
    genolift motifs --contributions contributions.h5 --sequences sequences.tsv --out results/mine
    """
    from genolift.cli.progress import shown_progress
    from genolift.steps.motifs import find_motifs

    files: dict[str, Any] = {"contributions": contributions, "sequences": sequences, "out": out}
    return find_motifs(settings.motifs, **files, shown=partial(shown_progress, unit="window"))


@command("logos")
def logos(settings: Settings, results: Path, out: Path) -> object:
    """Draw the motifs and the strongest windows.

    Parameters
    ----------
    results
        folder of an analysis
    out
        folder to write to

    Example
    -------
    genolift logos --results results/mine --out results/mine/logos
    """
    from genolift.steps.logos import draw_logos

    return draw_logos(settings.logos, results=results, out=out)


@command("report")
def report(settings: Settings, results: Path, out: Path) -> object:
    """Write one self-contained page of what was run and found.

    Parameters
    ----------
    results
        folder of an analysis, or of one of its targets, whose name is the title where none is given
    out
        report.html to write

    Example
    -------
    genolift report --results results/mine --title 'My peaks' --out results/mine/report.html
    """
    from genolift.steps.report import title_of, write_report

    return write_report(results=results, out=out, title=title_of(results, settings.report.title))


@command(positional="results")
def index(results: Path) -> object:
    """List all analyses of a results folder on one page: how far each is, its motifs, and its report.

    Parameters
    ----------
    results
        the folder that holds a folder for each analysis, in which index.html is written

    Example
    -------
    genolift index results
    """
    from genolift.report.index import in_words
    from genolift.steps.index import write_index

    return f"{in_words(write_index(results))} {results / 'index.html'}"


from genolift.cli import tools  # noqa: E402, F401 (last in the help)

if __name__ == "__main__":
    print(overview(), end="")
