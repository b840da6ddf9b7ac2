"""sequences.tsv, read whole."""

from pathlib import Path

import pandas as pd

from genolift.data.stored_sequences import SEQUENCES


def read_sequence_table(path: Path) -> pd.DataFrame:
    """Return a row for every record of the input, in its order; ``kept`` is bool."""
    table = SEQUENCES.read(path)
    return table.assign(kept=table["kept"] == "true")
