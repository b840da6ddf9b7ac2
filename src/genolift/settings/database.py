"""How a database of known motifs is named, in the config as on the command line. Reads nothing."""

JASPAR = "jaspar"
GROUPS = ("vertebrates", "plants", "insects", "nematodes", "fungi", "urochordates", "diatoms")
"""The taxonomic groups of JASPAR CORE."""


def jaspar_group(name: str) -> str | None:
    """Return the taxonomic group that ``jaspar:GROUP`` names, in lower case as JASPAR has it.

    None where a file is named. Upper and lower case mean the same; ``jaspar`` alone has an empty group.
    """
    database, _, group = name.partition(":")
    return group.strip().lower() if database.strip().lower() == JASPAR else None


def database_name(name: str) -> str:
    """Return the one spelling of a database's name: ``jaspar:fungi`` for ``JASPAR:Fungi``."""
    group = jaspar_group(name)
    return name if group is None else f"{JASPAR}:{group}"
